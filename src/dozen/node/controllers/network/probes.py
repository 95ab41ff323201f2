"""Probes: whether a port takes connections, or a URL is answered, as TCPProbeConfig and HTTPProbeConfig ask."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources import config
from dozen.machinery.resources.probes import (
    PROBE_SPEC,
    PROBE_STATUS,
    HTTPProbe,
    ProbeSpec,
    ProbeStatusSpec,
    ProbeUrl,
    TCPProbe,
)
from dozen.node.configuration import parse

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store

# Seconds.
INTERVAL, TIMEOUT = 1.0, 10.0
NANOSECONDS = 1_000_000_000


class ProbeController:
    """MachineConfig → ProbeSpec."""

    name = "network-probes"
    inputs = (Input(config.MACHINE_CONFIG, config.ACTIVE),)
    outputs = (PROBE_SPEC,)

    def plan(self, view: View) -> Iterable[Step]:
        from dozen.machinery.config.effective import find_documents

        active = view.get(config.MACHINE_CONFIG, config.ACTIVE)
        if active is None:
            return
        given = parse(active.spec.text)
        for each in find_documents(given, "TCPProbeConfig"):
            tcp = TCPProbe(endpoint=each.endpoint, timeout=_nanoseconds(each.timeout, TIMEOUT))
            yield Put(PROBE_SPEC, each.name, _spec(each, tcp=tcp))
        for each in find_documents(given, "HTTPProbeConfig"):
            http = HTTPProbe(url=ProbeUrl(full_path=each.url), timeout=_nanoseconds(each.timeout, TIMEOUT))
            yield Put(PROBE_SPEC, each.name, _spec(each, http=http))


def _spec(document: Any, **what: Any) -> ProbeSpec:
    return ProbeSpec(
        interval=_nanoseconds(document.interval, INTERVAL),
        failure_threshold=document.failure_threshold,
        layer="configuration",
        **what,
    )


def _nanoseconds(said: float | None, default: float) -> int:
    return round((said or default) * NANOSECONDS)


class ProbeWatcher:
    """ProbeSpec → tried again and again → ProbeStatus."""

    name = "network-probing"
    outputs = (PROBE_STATUS,)

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self, publish: Publisher) -> None:
        changed = asyncio.Event()
        stop = self._store.listen(PROBE_SPEC, lambda _: changed.set())
        running: dict[str, tuple[ProbeSpec, asyncio.Task[None]]] = {}
        try:
            while True:
                changed.clear()
                wanted = {each.id: each.spec for each in self._store.list(PROBE_SPEC)}
                for id in [id for id, (spec, _) in running.items() if wanted.get(id) != spec]:
                    running.pop(id)[1].cancel()
                    publish.remove(PROBE_STATUS, id)
                for id in wanted.keys() - running.keys():
                    task = asyncio.create_task(_try_for_ever(id, wanted[id], publish), name=f"probe-{id}")
                    running[id] = wanted[id], task
                await changed.wait()
        finally:
            stop()
            for _, task in running.values():
                task.cancel()


async def _try_for_ever(id: str, spec: ProbeSpec, publish: Publisher) -> None:
    succeeded, failures = False, 0
    while True:
        error = await attempt(spec)
        failures = failures + 1 if error else 0
        if not error or not succeeded or failures > spec.failure_threshold:
            succeeded = not error
            publish.put(PROBE_STATUS, id, ProbeStatusSpec(success=succeeded, last_error=error))
        await asyncio.sleep(spec.interval / NANOSECONDS)


async def attempt(spec: ProbeSpec) -> str:
    """Why it does not work, empty when it does."""
    limit = (spec.tcp or spec.http or TCPProbe()).timeout / NANOSECONDS
    try:
        async with asyncio.timeout(limit):
            if spec.tcp is not None:
                host, _, port = spec.tcp.endpoint.rpartition(":")
                _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
                writer.transport.abort()
            elif spec.http is not None and spec.http.url is not None:
                return await _ask(spec.http.url.full_path, limit)
    except TimeoutError:
        return f"no answer within {limit:g} s"
    except OSError as error:
        # asyncio names the call that failed where the system has words for why.
        return os.strerror(error.errno).lower() if error.errno else str(error)
    except ValueError as error:
        return str(error)
    return ""


async def _ask(url: str, limit: float) -> str:
    from dozen.node.kubernetes.http import Connection

    parts = urlsplit(url)
    tls = None
    if parts.scheme == "https":
        import ssl

        tls = ssl.create_default_context()
    port = parts.port or (443 if tls else 80)
    connection = await Connection.open(parts.hostname or "", port, tls, timeout=limit)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        answer = await connection.request("GET", target, {"User-Agent": "dozen", "Connection": "close"})
        return "" if 200 <= answer.status < 400 else f"answered with HTTP status {answer.status}"
    finally:
        connection.close()

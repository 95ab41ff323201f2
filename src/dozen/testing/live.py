"""A running node as tests see it: every question goes over its API and gets an explicit answer.

`LiveNode.call` takes a method's path and its fields, so a test reads like the question it asks. On top of it are the
few things that many tests do: read a file, list a folder, see the services, reboot and wait until all is back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from dozen.machinery.messages import method_types
from dozen.machinery.talosconfig import Context
from dozen.provider.access import ask_version, open_channel
from dozen.provider.console import read_console
from dozen.provider.machines import Machine, OpenStep, report_nothing
from dozen.provider.waiting import Resettable, await_answer
from dozen.rpc.client import Channel
from dozen.rpc.status import RpcError
from dozen.testing.portal import Portal

ValueT = TypeVar("ValueT")

MACHINE = "/machine.MachineService/"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
UNCHECKED = ("machined", "dashboard")
"""Services of which nothing tells whether they are well."""
LONGEST_PAUSE = 2.0
"""Seconds between two questions of one who waits."""


class LiveNode:
    """One node. ``provider`` started it, ``context`` lets the test in as administrator."""

    def __init__(self, provider: Resettable, machine: Machine, context: Context, portal: Portal) -> None:
        self.provider, self.machine, self.context, self.portal = provider, machine, context, portal
        self.channel = open_channel(machine.address, context)

    def close(self) -> None:
        self.portal.run(self.channel.close())

    # Any method.

    def call(self, method: str, /, *, seconds: float = 30.0, channel: Channel | None = None, **fields: Any) -> Any:
        """The reply of a unary method, the list of messages of a streaming one. A bare name is a machine method."""
        path = method if method.startswith("/") else MACHINE + method
        types = method_types(path)
        request = types.request(**fields)
        channel = channel or self.channel
        if not types.server_streaming:
            return self.portal.run(channel.unary(path, request, types.response, timeout=seconds), seconds + 5)

        async def collect() -> list[Any]:
            return [message async for message in channel.server_stream(path, request, types.response, timeout=seconds)]

        return self.portal.run(collect(), seconds + 5)

    def first_bytes(self, method: str, count: int, *, seconds: float = 30.0, **fields: Any) -> bytes:
        """At least ``count`` bytes of a machine method that streams data and never ends by itself."""
        types = method_types(MACHINE + method)

        async def collect() -> bytes:
            data = b""
            replies = self.channel.server_stream(
                MACHINE + method, types.request(**fields), types.response, timeout=seconds
            )
            async for part in replies:
                data += part.bytes
                if len(data) >= count:
                    break
            return data

        return self.portal.run(collect(), seconds + 5)

    def converse(self, path: str, requests: Iterable[Any], *, seconds: float = 60.0) -> list[Any]:
        """All replies of a method that takes a stream of messages, after all of ``requests`` were sent."""
        types = method_types(path)

        async def talk() -> list[Any]:
            replies = []
            async with self.channel.call(path, timeout=seconds) as call:
                for request in requests:
                    await call.send(request.SerializeToString())
                await call.end()
                while (data := await call.recv()) is not None:
                    replies.append(types.response.FromString(data))
            return replies

        return self.portal.run(talk(), seconds + 5)

    # What many tests ask.

    def version(self) -> Any:
        return self.call("Version").messages[0]

    def names(self, folder: str) -> list[str]:
        """The names in a folder, sorted, without the folder itself."""
        entries = self.call("List", root=folder)
        return sorted(entry.relative_name for entry in entries if entry.relative_name != ".")

    def read(self, path: str) -> bytes:
        return b"".join(part.bytes for part in self.call("Read", path=path))

    def boot_id(self) -> str:
        return self.read(BOOT_ID).decode().strip()

    def services(self) -> dict[str, Any]:
        """Each service's information by its id."""
        return {service.id: service for service in self.call("ServiceList").messages[0].services}

    def processes(self) -> list[Any]:
        return list(self.call("Processes").messages[0].processes)

    def process(self, name: str) -> Any:
        """The oldest process that goes by that name (see `names_of`). Raises LookupError."""
        found = [process for process in self.processes() if name in names_of(process)]
        if not found:
            raise LookupError(f"no process {name} runs")
        return min(found, key=lambda process: int(process.pid))

    def logs(self, service: str) -> str:
        parts = self.call("Logs", namespace="system", id=service, tail_lines=-1)
        return b"".join(part.bytes for part in parts).decode(errors="replace")

    def dmesg(self) -> str:
        return b"".join(part.bytes for part in self.call("Dmesg")).decode(errors="replace")

    def console(self) -> str:
        """For a failed test's report, never for deciding anything."""
        return read_console(self.machine.console)

    def resources(self, type: str, namespace: str) -> dict[str, Any]:
        """The specs of all resources of a type, by id, as their YAML says."""
        from dozen.machinery import yaml

        replies = self.call("/cosi.resource.State/List", type=type, namespace=namespace)
        found = [reply.resource for reply in replies]
        return {item.metadata.id: yaml.load(item.spec.yaml_spec, item.metadata.id) for item in found}

    def problems(self) -> dict[str, str]:
        """What the node says is wrong with it, by subject."""
        specs = self.resources("Diagnostics.runtime.talos.dev", "runtime")
        return {name: spec["message"] for name, spec in specs.items()}

    # Waiting.

    def until(self, ask: Callable[[], ValueT | None], what: str, seconds: float = 60.0) -> ValueT:
        """The first true value of ``ask``, asked again and again; a node that is away meanwhile is asked again, too."""
        deadline, last = time.monotonic() + seconds, "nothing true"
        while (asked := time.monotonic()) < deadline:
            try:
                if value := ask():
                    return value
            except (RpcError, LookupError, TimeoutError) as error:
                last = repr(error)
            # A machine that is slow to answer is left as long to do what is waited for.
            time.sleep(min(max(0.1, time.monotonic() - asked), LONGEST_PAUSE))
        raise AssertionError(f"{what}: not within {seconds:.0f} s; last: {last}")

    def until_healthy(self, *names: str, seconds: float = 90.0) -> dict[str, Any]:
        """Waits until each of these services runs and is found healthy (or has nothing that tells)."""

        def look() -> dict[str, Any] | None:
            services = self.services()
            return services if all(is_well(services.get(name)) for name in names) else None

        return self.until(look, f"{', '.join(names)} running and healthy", seconds)

    def reboot(self, seconds: float = 180.0) -> None:
        """Reboots the node over its API and waits until another boot of it answers."""
        before = self.boot_id()
        start = self.machine.console.stat().st_size
        self.call("Reboot")
        self.await_boot(before, start, seconds)

    def await_boot(self, before: str, start: int, seconds: float = 180.0) -> None:
        """Waits for a boot that is not ``before``; ``start`` is the console's length when it was asked for."""

        async def ask() -> str:
            await ask_version(self.machine.address, self.context)
            return "answered"

        def another() -> bool:
            self.portal.run(
                await_answer(self.provider, self.machine, ask, OpenStep("boot", report_nothing), seconds, start=start),
                seconds + 5,
            )
            return self.boot_id() != before

        self.until(another, "another boot", seconds)


def is_well(service: Any) -> bool:
    """Running, and found healthy; just started, a service whose health is checked is not yet well."""
    if service is None or service.state != "Running":
        return False
    return service.health.healthy or (service.id in UNCHECKED and service.health.unknown)


def names_of(process: Any) -> set[str]:
    """What a process can be called: its name, its program's, and the first word of its command line."""
    words = (process.command, process.executable, process.args.partition(" ")[0])
    return {word.rpartition("/")[2] for word in words}

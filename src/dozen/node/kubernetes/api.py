"""The node's way to its cluster's API: which identity it has, and waiting until the API answers.

A control plane speaks to the API server on itself as its administrator. A worker speaks to the cluster's endpoint with
the identity of its kubelet, which may do little: its own Node, its own pods.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from dozen.machinery.kubeconfig import Access, KubeconfigError, read_kubeconfig
from dozen.machinery.kubernetes.paths import KUBELET_KUBECONFIG
from dozen.machinery.plan import Temporary
from dozen.machinery.resources import config as kinds
from dozen.machinery.resources import secrets
from dozen.node.configuration import parse
from dozen.node.kubernetes.client import Client
from dozen.node.kubernetes.errors import KubernetesError

if TYPE_CHECKING:
    import logging

    from dozen.engine.store import Store

# How often an API server that is not there yet is asked, and how long an answer counts for others, seconds.
PERIOD = 2.0
GOOD_FOR = 5.0


@lru_cache(maxsize=1)
def _read(text: str) -> Access:
    """A kubeconfig that holds all of its certificates, read once however often it is asked for."""
    return read_kubeconfig(text)


class KubernetesApi:
    """Gives clients of the cluster's API to the watchers of this node."""

    def __init__(self, store: Store, log: logging.Logger) -> None:
        self._store = store
        self._log = log
        self._asking = asyncio.Lock()
        self._ready_at = self._failed_at = float("-inf")
        self.last_error = "not asked yet"

    @property
    def is_control_plane(self) -> bool:
        active = self._store.find(kinds.MACHINE_CONFIG, kinds.ACTIVE)
        return active is not None and parse(active.spec.text).machine_type == "controlplane"

    def access(self) -> Access | None:
        """The best identity there is now, None while there is none. Raises KubeconfigError and OSError."""
        own = self._store.find(secrets.KUBERNETES_CERTS, secrets.KUBERNETES_CERTS_ID)
        if own is not None and own.spec.localhost_admin_kubeconfig:
            return _read(own.spec.localhost_admin_kubeconfig)
        if self.is_control_plane:
            return None
        try:
            text = Path(KUBELET_KUBECONFIG).read_text()
        except FileNotFoundError:
            return None
        return read_kubeconfig(text, lambda path: Path(path).read_bytes())

    def open(self, access: Access) -> Client:
        """A client that logs what the server warns of."""
        return Client(access, on_warning=lambda text: self._log.warning("kubernetes api: %s", text))

    async def connect(self) -> Client:
        """A client of an API that answers, as soon as there is one.

        Several who wait share the asking: an API server that takes a minute to begin on a slow machine is asked once
        in a while, and not once by each who waits for it, with a TLS handshake every time.
        """
        while True:
            async with self._asking:
                await asyncio.sleep(max(0.0, self._failed_at + PERIOD - time.monotonic()))
                client = await self.try_connect()
                if client is not None:
                    return client
                self._failed_at = time.monotonic()

    async def try_connect(self) -> Client | None:
        """A client if the API answers now; else None, and ``last_error`` says why."""
        try:
            access = await asyncio.to_thread(self.access)
        except (KubeconfigError, OSError) as error:
            self.last_error = str(error)
            return None
        if access is None:
            self.last_error = "there are no credentials for the Kubernetes API yet"
            return None
        client = self.open(access)
        if time.monotonic() - self._ready_at < GOOD_FOR:
            return client
        try:
            await client.text("/readyz")
        except KubernetesError as error:
            self.last_error = what_is_missing(str(error))
            client.close()
            return None
        self._ready_at, self.last_error = time.monotonic(), ""
        return client


def what_is_missing(text: str) -> str:
    """The parts that an API server's answer about its readiness names as missing, on one line; else the text."""
    missing = [line[3:].partition(" ")[0] for line in text.splitlines() if line.startswith("[-]")]
    return f"the API server is not ready: it waits for {', '.join(missing)}" if missing else text


@contextmanager
def retrying() -> Iterator[None]:
    """Makes an API that fails a watcher, or one of its tasks, a reason to start it again soon, without a trace."""
    try:
        yield
    except KubernetesError as error:
        raise Temporary(str(error), PERIOD) from None
    except BaseExceptionGroup as group:
        lost, others = group.split(KubernetesError)
        if lost is None or others is not None:
            raise
        found: BaseException = lost
        while isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
        raise Temporary(str(found), PERIOD) from None

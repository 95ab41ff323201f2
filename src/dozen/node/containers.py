"""containerd's own API, as far as the node uses it: what runs, what is used, ending it.

The node talks to containerd over its socket, like any other client. Every call belongs to a *namespace* (``system``
for the node's own containers, ``k8s.io`` for Kubernetes'), told in metadata. A container is a record; what runs in it
is its *task*, in a shim process of its own, so tasks go on while containerd is killed and comes back, and calls about
them that were under way are made again (`Containerd.wait`).

What is made for a later call and referred to by nothing yet would be collected as garbage; a `Lease` holds it until
then.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from dozen.machinery.messages import method_types
from dozen.rpc.client import Channel
from dozen.rpc.status import Code, RpcError

SOCKET = "/run/containerd/containerd.sock"
SYSTEM_NAMESPACE = "system"
CRI_NAMESPACE = "k8s.io"

# A call that makes containerd start processes takes seconds on an emulated machine, more when that is busy.
CALL_TIMEOUT = 120.0
_HEALTH_TIMEOUT = 2.0
# Between tries to reach a containerd that went away.
_RETRY_PAUSE = 0.2
_LEASE_SECONDS = 3600

# containerd.v1.types.Status
RUNNING = 2

# Method paths by a short name for the service.
_SERVICES = {
    "version": "containerd.services.version.v1.Version",
    "namespaces": "containerd.services.namespaces.v1.Namespaces",
    "containers": "containerd.services.containers.v1.Containers",
    "tasks": "containerd.services.tasks.v1.Tasks",
    "images": "containerd.services.images.v1.Images",
    "content": "containerd.services.content.v1.Content",
    "snapshots": "containerd.services.snapshots.v1.Snapshots",
    "diff": "containerd.services.diff.v1.Diff",
    "leases": "containerd.services.leases.v1.Leases",
    "transfer": "containerd.services.transfer.v1.Transfer",
    "streaming": "containerd.services.streaming.v1.Streaming",
    "introspection": "containerd.services.introspection.v1.Introspection",
    "cri": "runtime.v1.RuntimeService",
    "cri_images": "runtime.v1.ImageService",
}


def method_path(service: str, method: str) -> str:
    """``("tasks", "Wait")`` as a path."""
    return f"/{_SERVICES[service]}/{method}"


class Containerd:
    """Calls within one namespace. ``lease`` keeps what calls make from being collected."""

    def __init__(self, channel: Channel, namespace: str = SYSTEM_NAMESPACE, lease: str = "") -> None:
        self.channel = channel
        self.namespace = namespace
        self.lease = lease

    def within(self, namespace: str) -> Containerd:
        """The same containerd in another namespace."""
        return Containerd(self.channel, namespace)

    @property
    def metadata(self) -> list[tuple[str, str]]:
        """What goes beside the messages of every call."""
        pairs = [("containerd-namespace", self.namespace)]
        return [*pairs, ("containerd-lease", self.lease)] if self.lease else pairs

    async def ask(self, service: str, method: str, *, timeout: float | None = CALL_TIMEOUT, **fields: Any) -> Any:
        """One call by short names; ``fields`` are the request's. Raises RpcError."""
        path = method_path(service, method)
        types = method_types(path)
        try:
            return await self.channel.unary(path, types.request(**fields), types.response, self.metadata, timeout)
        except RpcError as error:
            raise explain(error) from None

    @asynccontextmanager
    async def leased(self) -> AsyncIterator[Containerd]:
        """Calls whose products stay for as long as the context lasts, even if nothing refers to them."""
        expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + _LEASE_SECONDS))
        id = f"dozen-{time.monotonic_ns()}"
        await self.ask("leases", "Create", id=id, labels={"containerd.io/gc.expire": expires})
        try:
            yield Containerd(self.channel, self.namespace, id)
        finally:
            # One that cannot be ended now ends by itself.
            with suppress(RpcError):
                await self.ask("leases", "Delete", id=id)

    async def list_containers(self) -> list[Any]:
        """The namespace's containers, as containerd.services.containers.v1.Container."""
        return list((await self.ask("containers", "List")).containers)

    async def list_tasks(self) -> dict[str, Any]:
        """The namespace's tasks by container, as containerd.v1.types.Process."""
        return {process.id: process for process in (await self.ask("tasks", "List")).tasks}

    async def list_images(self) -> list[Any]:
        """The namespace's images, as containerd.services.images.v1.Image."""
        return list((await self.ask("images", "List")).images)

    async def read_blob(self, digest: str) -> bytes:
        """A blob of the content store; meant for manifests and configurations, which are small."""
        path = method_path("content", "Read")
        types = method_types(path)
        request = types.request(digest=digest)
        try:
            parts = [
                part.data
                async for part in self.channel.server_stream(path, request, types.response, self.metadata, CALL_TIMEOUT)
            ]
        except RpcError as error:
            raise explain(error) from None
        return b"".join(parts)

    async def choose_snapshotter(self) -> str:
        """overlayfs where the file system below can be one's upper layer, else the one that copies."""
        reply = await self.ask("introspection", "Plugins", filters=["type==io.containerd.snapshotter.v1"])
        works = {plugin.id for plugin in reply.plugins if not plugin.init_err.code}
        for name in ("overlayfs", "native"):
            if name in works:
                return name
        raise RpcError(Code.FAILED_PRECONDITION, "containerd has no snapshotter that works here")

    async def wait(self, container: str) -> int:
        """Until the task has ended: its exit status. Goes on asking while containerd is away.

        Raises NOT_FOUND when there is no such task, or no longer.
        """
        while True:
            try:
                reply = await self.ask("tasks", "Wait", container_id=container, timeout=None)
            except RpcError as error:
                if not is_temporary(error):
                    raise
                await asyncio.sleep(_RETRY_PAUSE)
            else:
                return int(reply.exit_status)

    async def persist(self, service: str, method: str, *, patience: float, **fields: Any) -> None:
        """A call that undoes something: what is gone already is fine, and a containerd that is away is waited for."""
        deadline = asyncio.get_running_loop().time() + patience
        while True:
            try:
                await self.ask(service, method, **fields)
            except RpcError as error:
                if error.code is Code.NOT_FOUND:
                    return
                if not is_temporary(error) or asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(_RETRY_PAUSE)
            else:
                return


def is_temporary(error: RpcError) -> bool:
    """Whether containerd, or its connection to a shim, went away under the call."""
    return error.code in (Code.UNAVAILABLE, Code.CANCELLED) or "ttrpc: closed" in error.message


def explain(error: RpcError) -> RpcError:
    """An unreachable containerd in words for whoever asked for something else."""
    if error.code is not Code.UNAVAILABLE:
        return error
    return RpcError(Code.UNAVAILABLE, f"containerd does not answer ({error.message}): see `service containerd`")


_shared: Containerd | None = None


def containerd(namespace: str = SYSTEM_NAMESPACE) -> Containerd:
    """This node's containerd. All callers share one connection, made when it is first needed and again when lost."""
    global _shared
    if _shared is None:
        _shared = Containerd(Channel(f"unix:{SOCKET}"))
    return _shared.within(namespace)


async def check_health() -> None:
    """Raise RpcError unless containerd answers. Needs no protobuf: neither message is looked into."""
    await containerd().channel.unary(method_path("version", "Version"), b"", timeout=_HEALTH_TIMEOUT)


async def stop_all(grace: float) -> None:
    """Ask the first process of every container to end, and make it after ``grace`` seconds."""
    node = containerd()
    namespaces = [namespace.name for namespace in (await node.ask("namespaces", "List")).namespaces]
    await asyncio.gather(*(_stop_namespace(node.within(namespace), grace) for namespace in namespaces))


async def _stop_namespace(node: Containerd, grace: float) -> None:
    running = [id for id, process in (await node.list_tasks()).items() if process.status == RUNNING]
    await asyncio.gather(*(stop_task(node, id, grace) for id in running))


async def stop_task(node: Containerd, container: str, grace: float) -> None:
    """End a task: politely, then by force. One that is gone is fine."""
    with suppress(RpcError):
        await node.ask("tasks", "Kill", container_id=container, signal=signal.SIGTERM)
        try:
            await asyncio.wait_for(node.wait(container), grace)
        except TimeoutError:
            await node.ask("tasks", "Kill", container_id=container, signal=signal.SIGKILL, all=True)
            await node.wait(container)

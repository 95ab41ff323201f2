"""The machine API's calls for one node, with arguments that have names and types.

Replies are the API's own messages. Where the API wraps a single answer into a list (its proxy could once ask many
nodes at once), the single answer is what is given here; an answer that carries an error instead of content raises
`NodeError`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from dozen.client.connection import Connection
from dozen.client.errors import NodeError
from dozen.machinery.messages import enum, message
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.machinery.bpf import Instruction

SERVICE = "/machine.MachineService/"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
SYSTEM_NAMESPACE, KUBERNETES_NAMESPACE = "system", "k8s.io"


class Node:
    """One node, reached over a connection. ``name`` is what it was asked for by; empty: the endpoint itself."""

    def __init__(self, connection: Connection, name: str = "") -> None:
        self.connection = connection
        self.name = name

    @property
    def label(self) -> str:
        """What to call the node in tables and messages."""
        return self.name or self.connection.endpoints[0]

    async def ask(self, method: str, request: Any = b"", *, timeout: float | None = None) -> Any:
        """A unary call; ``method`` without a slash is one of the machine service."""
        reply = await self.connection.unary(_path(method), request, node=self.name, timeout=timeout)
        return self._single(reply)

    async def listen(self, method: str, request: Any = b"", *, timeout: float | None = None) -> AsyncIterator[Any]:
        """A call that streams; an error that a node put into the stream raises NodeError."""
        async for reply in self.connection.stream(_path(method), request, node=self.name, timeout=timeout):
            self._check(reply)
            yield reply

    async def sockets(self, **wanted: Any) -> list[Any]:
        """``wanted`` are fields of machine.NetstatRequest."""
        return list((await self.ask("Netstat", message("machine.NetstatRequest")(**wanted))).connectrecord)

    async def capture(
        self, interface: str, *, promiscuous: bool = False, keep: int = 0, program: Sequence[Instruction] = ()
    ) -> AsyncIterator[bytes]:
        """Frames of an interface as a pcap file, in chunks, without end; ``keep`` bytes of each, 0 for all. Only those
        that ``program`` accepts, if there is one."""
        request = message("machine.PacketCaptureRequest")(
            interface=interface,
            promiscuous=promiscuous,
            snap_len=keep,
            bpf_filter=[each._asdict() for each in program],
        )
        async for chunk in self._chunks("PacketCapture", request):
            yield chunk

    async def dependencies(self) -> list[Any]:
        """The ties between controllers and resources, as inspect.ControllerDependencyEdge."""
        return list((await self.ask("/inspect.InspectService/ControllerRuntimeDependencies")).edges)

    async def version(self, *, timeout: float | None = None) -> Any:
        return await self.ask("Version", timeout=timeout)

    async def hostname(self) -> str:
        return str((await self.ask("Hostname")).hostname)

    async def services(self) -> list[Any]:
        return list((await self.ask("ServiceList")).services)

    async def act_on_service(self, action: str, service: str) -> str:
        """``action``: Start, Stop or Restart. Gives the node's own words."""
        request = message(f"machine.Service{action}Request")(id=service)
        return str((await self.ask(f"Service{action}", request)).resp)

    async def list_files(
        self, root: str, *, depth: int = 1, types: Iterable[str] = (), xattrs: bool = False
    ) -> AsyncIterator[Any]:
        """Entries under ``root``, itself first; depth 0 goes all the way down. Types: REGULAR, DIRECTORY, SYMLINK."""
        request_class = message("machine.ListRequest")
        numbers = [getattr(request_class, name) for name in types]
        request = request_class(
            root=root, recurse=depth != 1, recursion_depth=depth, types=numbers, report_xattrs=xattrs
        )
        async for entry in self.listen("List", request):
            yield entry

    async def disk_usage(
        self, paths: Iterable[str], *, depth: int = 0, everything: bool = False, threshold: int = 0
    ) -> AsyncIterator[Any]:
        request = message("machine.DiskUsageRequest")(
            paths=list(paths), recursion_depth=depth, all=everything, threshold=threshold
        )
        async for entry in self.listen("DiskUsage", request):
            yield entry

    async def read(self, path: str) -> AsyncIterator[bytes]:
        """A file's content in chunks."""
        async for chunk in self._chunks("Read", message("machine.ReadRequest")(path=path)):
            yield chunk

    async def read_whole(self, path: str, limit: int = 64 << 20) -> bytes:
        """A file's content, at most ``limit`` bytes of it."""
        content = b""
        async for chunk in self.read(path):
            content += chunk
            if len(content) >= limit:
                return content[:limit]
        return content

    async def copy(self, path: str) -> AsyncIterator[bytes]:
        """A file or folder as a gzipped tar archive in chunks."""
        async for chunk in self._chunks("Copy", message("machine.CopyRequest")(root_path=path)):
            yield chunk

    async def logs(
        self, id: str, *, kubernetes: bool = False, follow: bool = False, tail: int = -1
    ) -> AsyncIterator[bytes]:
        """A service's log, or with ``kubernetes`` a container's, in chunks that know nothing of lines."""
        request = message("machine.LogsRequest")(
            namespace=KUBERNETES_NAMESPACE if kubernetes else SYSTEM_NAMESPACE,
            id=id,
            driver=_driver(kubernetes),
            follow=follow,
            tail_lines=tail,
        )
        async for chunk in self._chunks("Logs", request):
            yield chunk

    async def dmesg(self, *, follow: bool = False, tail: bool = False) -> AsyncIterator[bytes]:
        """The kernel's log; one record a chunk."""
        async for chunk in self._chunks("Dmesg", message("machine.DmesgRequest")(follow=follow, tail=tail)):
            yield chunk

    async def events(
        self, *, tail: int = 0, tail_id: str = "", tail_seconds: int = 0, actor: str = ""
    ) -> AsyncIterator[Any]:
        """Past events as asked for (negative tail: all), then those that happen. The hello is not among them."""
        request = message("machine.EventsRequest")(
            tail_events=tail, tail_id=tail_id, tail_seconds=tail_seconds, with_actor_id=actor
        )
        async for event in self.listen("Events", request):
            if event.data.type_url:
                yield event

    async def health(
        self, timeout: float, control_planes: Iterable[str] = (), workers: Iterable[str] = (), *, endpoint: str = ""
    ) -> AsyncIterator[str]:
        """What the node waits for, line by line, until the cluster is well or ``timeout`` seconds are over."""
        request = message("cluster.HealthCheckRequest")()
        request.wait_timeout.seconds, request.wait_timeout.nanos = divmod(round(timeout * 1e9), 10**9)
        request.cluster_info.control_plane_nodes.extend(control_planes)
        request.cluster_info.worker_nodes.extend(workers)
        request.cluster_info.force_endpoint = endpoint
        async for progress in self.listen("/cluster.ClusterService/HealthCheck", request):
            yield str(progress.message)

    async def mounts(self) -> list[Any]:
        return list((await self.ask("Mounts")).stats)

    async def processes(self) -> list[Any]:
        return list((await self.ask("Processes")).processes)

    async def memory(self) -> Any:
        return (await self.ask("Memory")).meminfo

    async def containers(self, *, kubernetes: bool = False) -> list[Any]:
        return list((await self.ask("Containers", _containers("ContainersRequest", kubernetes))).containers)

    async def stats(self, *, kubernetes: bool = False) -> list[Any]:
        return list((await self.ask("Stats", _containers("StatsRequest", kubernetes))).stats)

    async def time(self, server: str = "") -> Any:
        """The node's time, and with ``server`` that of a time server beside it."""
        if server:
            return await self.ask("/time.TimeService/TimeCheck", message("time.TimeRequest")(server=server))
        return await self.ask("/time.TimeService/Time")

    async def reboot(self, mode: str = "DEFAULT") -> str:
        """Mode: DEFAULT, POWERCYCLE or FORCE. Gives the actor id that marks the events of this reboot."""
        request_class = message("machine.RebootRequest")
        return str((await self.ask("Reboot", request_class(mode=getattr(request_class, mode)))).actor_id)

    async def shutdown(self, *, force: bool = False) -> str:
        return str((await self.ask("Shutdown", message("machine.ShutdownRequest")(force=force))).actor_id)

    async def write_meta(self, key: int, value: bytes) -> None:
        await self.ask("MetaWrite", message("machine.MetaWriteRequest")(key=key, value=value))

    async def delete_meta(self, key: int) -> None:
        await self.ask("MetaDelete", message("machine.MetaDeleteRequest")(key=key))

    async def apply_configuration(
        self, text: str, mode: str = "AUTO", *, dry_run: bool = False, seconds: float = 60.0
    ) -> Any:
        """Mode: AUTO, NO_REBOOT, REBOOT, STAGED or TRY, which lasts ``seconds``. Gives mode, mode_details, warnings."""
        request_class = message("machine.ApplyConfigurationRequest")
        request = request_class(data=text.encode(), mode=getattr(request_class, mode), dry_run=dry_run)
        if mode == "TRY":
            request.try_mode_timeout.seconds = int(seconds)
            request.try_mode_timeout.nanos = int(seconds % 1 * 1e9)
        return await self.ask("ApplyConfiguration", request)

    async def client_configuration(self, roles: Iterable[str], seconds: int) -> Any:
        """ca, crt, key and talosconfig for the given roles, as the node's authority signs them."""
        request = message("machine.GenerateClientConfigurationRequest")(roles=list(roles))
        request.crt_ttl.seconds = seconds
        return await self.ask("GenerateClientConfiguration", request)

    async def kubeconfig(self) -> str:
        """An administrator's kubeconfig of the cluster. Raises NodeError for an archive without one."""
        from dozen.machinery.kubeconfig import KubeconfigError, unpack_kubeconfig

        request = message("google.protobuf.Empty")()
        packed = b"".join([chunk async for chunk in self._chunks("Kubeconfig", request)])
        try:
            return unpack_kubeconfig(packed)
        except KubeconfigError as error:
            raise NodeError(self.label, str(error)) from None

    async def bootstrap(self, *, recover: bool = False, skip_hash_check: bool = False) -> None:
        """Begin the cluster's etcd on this node."""
        request = message("machine.BootstrapRequest")(recover_etcd=recover, recover_skip_hash_check=skip_hash_check)
        await self.ask("Bootstrap", request)

    async def send_snapshot(self, chunks: Iterable[bytes]) -> None:
        """A snapshot of etcd, for a bootstrap that recovers from it."""
        data = message("common.Data")
        async with self.connection.call(_path("EtcdRecover"), node=self.name) as call:
            for chunk in chunks:
                await call.send(data(bytes=chunk).SerializeToString())
            await call.end()
            reply = await call.recv()
            if reply is not None and await call.recv() is None:
                self._single(message("machine.EtcdRecoverResponse").FromString(reply))

    async def etcd_members(self, *, local: bool = False) -> list[Any]:
        request = message("machine.EtcdMemberListRequest")(query_local=local)
        return list((await self.ask("EtcdMemberList", request)).members)

    async def etcd_status(self) -> Any:
        return (await self.ask("EtcdStatus")).member_status

    async def etcd_snapshot(self) -> AsyncIterator[bytes]:
        """The database in chunks, its checksum at the end."""
        async for chunk in self._chunks("EtcdSnapshot", message("machine.EtcdSnapshotRequest")()):
            yield chunk

    async def _chunks(self, method: str, request: Any) -> AsyncIterator[bytes]:
        async for data in self.listen(method, request):
            yield data.bytes

    def _single(self, reply: Any) -> Any:
        """The one answer of a reply that holds a list of them; other replies as they are."""
        if "messages" not in reply.DESCRIPTOR.fields_by_name:
            return reply
        if not reply.messages:
            raise NodeError(self.label, "the node sent an empty answer")
        self._check(reply.messages[0])
        return reply.messages[0]

    def _check(self, answer: Any) -> None:
        if "metadata" in answer.DESCRIPTOR.fields_by_name and answer.metadata.error:
            raise NodeError(answer.metadata.hostname or self.label, answer.metadata.error)


def _path(method: str) -> str:
    return method if method.startswith("/") else SERVICE + method


def _driver(kubernetes: bool) -> int:
    driver: Callable[[str], int] = enum("common.ContainerDriver").Value
    return driver("CRI" if kubernetes else "CONTAINERD")


def _containers(request: str, kubernetes: bool) -> Any:
    namespace = KUBERNETES_NAMESPACE if kubernetes else SYSTEM_NAMESPACE
    return message(f"machine.{request}")(namespace=namespace, driver=_driver(kubernetes))


async def copy_what_is_there(node: Node, path: str, write: Callable[[bytes], object]) -> RpcError | None:
    """Hands on `Node.copy`'s archive as it comes. Files that the node could not read are missing in it, and what is
    returned then says which. Raises any other error."""
    try:
        async for chunk in node.copy(path):
            write(chunk)
    except RpcError as error:
        if error.code is not Code.DATA_LOSS:
            raise
        return error
    return None

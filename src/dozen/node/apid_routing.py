"""Where a call goes: to this node, to one other, or to several at once.

A caller names nodes in metadata: ``node`` one, ``nodes`` several. ``proxyfrom`` says that another node's apid forwarded
the call, so it ends here. Pure decisions; `dozen.node.apid` carries them out.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from dozen.rpc.metadata import Metadata
from dozen.rpc.status import Code, RpcError

# Services whose replies have room for the name of the node that each part comes from.
_AGGREGATED = ("machine.MachineService", "cluster.ClusterService", "inspect.InspectService", "storage.StorageService",
               "time.TimeService")  # fmt: skip
# Their methods with a stream of replies. A unary reply is a list of messages, one a node; a streamed one is a message.
_STREAMED = frozenset(
    f"/machine.MachineService/{method}"
    for method in (
        "Copy", "Dmesg", "DiskUsage", "EtcdSnapshot", "Events", "ImageList", "Kubeconfig", "List", "Logs",
        "PacketCapture", "Read",
    )
) | {"/cluster.ClusterService/HealthCheck"}  # fmt: skip
# A stream of requests cannot be repeated to several nodes.
_UPLOADS = frozenset(("/machine.MachineService/EtcdRecover",))
_MOST_TARGETS = 256


class Route:
    """``targets`` as the caller named them; none means this node. ``many``: replies are to be marked and joined."""

    __slots__ = ("many", "targets")

    def __init__(self, targets: tuple[str, ...] = (), many: bool = False) -> None:
        self.targets = targets
        self.many = many

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Route) and (self.targets, self.many) == (other.targets, other.many)

    def __hash__(self) -> int:
        return hash((self.targets, self.many))

    def __repr__(self) -> str:
        return f"Route({self.targets!r}, many={self.many})"


LOCAL = Route()


def choose_route(path: str, metadata: Metadata, *, can_forward: bool, is_local: Callable[[str], bool]) -> Route:
    """RpcError where the machine API refuses: INVALID_ARGUMENT, PERMISSION_DENIED, INTERNAL."""
    if "proxyfrom" in metadata:
        return LOCAL
    one = metadata.all("node")
    if len(one) > 1:
        raise RpcError(Code.INVALID_ARGUMENT, "node metadata must be single-valued")
    many = tuple(name.strip() for value in metadata.all("nodes") for name in value.split(",") if name.strip())
    if not can_forward:
        return _stay(one, many, is_local)
    if many:
        _check_aggregation(path, many)
        return Route(many, many=True)
    if one:
        check_target(one[0])
        return LOCAL if is_local(one[0]) else Route((one[0],))
    return LOCAL


def is_streamed(path: str) -> bool:
    """Whether an aggregated method answers with a stream."""
    return path in _STREAMED


def check_target(target: str) -> str:
    """The host without brackets. INTERNAL for an empty one and for one with a port, as clients expect it."""
    host = target[1:-1] if target[:1] == "[" and target[-1:] == "]" else target
    if not host or "/" in host or " " in host or (":" in host and not _is_ipv6(host)):
        raise RpcError(Code.INTERNAL, f"invalid target {target!r}")
    return host


def _stay(one: list[str], many: tuple[str, ...], is_local: Callable[[str], bool]) -> Route:
    """A node without a certificate for others serves itself and nobody else."""
    if all(is_local(target) for target in one) and (not many or (len(many) == 1 and is_local(many[0]))):
        return LOCAL
    raise RpcError(Code.PERMISSION_DENIED, "no request forwarding")


def _check_aggregation(path: str, targets: tuple[str, ...]) -> None:
    if path[1:].rpartition("/")[0] not in _AGGREGATED or path in _UPLOADS:
        raise RpcError(Code.INVALID_ARGUMENT, f"{path} cannot be sent to several nodes at once; name one with node")
    if len(targets) > _MOST_TARGETS:
        raise RpcError(Code.INVALID_ARGUMENT, f"{len(targets)} nodes named, {_MOST_TARGETS} allowed")


def _is_ipv6(host: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    except (OSError, ValueError):  # ValueError for a zero byte
        return False
    return True

"""What goes on in the machine's network: its sockets, and the frames that an interface sends and receives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

from dozen.linux import capture, sockets
from dozen.linux.pipes import wait_readable
from dozen.machinery.bpf import Instruction
from dozen.machinery.messages import message
from dozen.node.api.streaming import printable, run_blocking, translate
from dozen.rpc.router import Router
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.node.api.ports import Machine

SERVICE = "/machine.MachineService"


def register(router: Router, machine: Machine) -> None:
    """Serve the calls of this theme."""

    async def netstat(call: object, request: Any) -> Any:
        records = await run_blocking(read_records, request)
        return message("machine.NetstatResponse")(messages=[{"connectrecord": records}])

    router.unary(f"{SERVICE}/Netstat", "machine.NetstatRequest", netstat)
    router.stream(f"{SERVICE}/PacketCapture", "machine.PacketCaptureRequest", capture_frames)


def read_records(request: Any) -> list[Any]:
    """The sockets that were asked for; of the node's own namespace and of all protocols unless some are named."""
    wanted = [protocol for protocol in sockets.PROTOCOLS if getattr(request.l4proto, protocol)]
    holders = sockets.read_holders() if request.feature.pid else {}
    record = message("machine.ConnectRecord")
    return [
        record(**describe_socket(each, namespace), process=_holder(holders, each.inode))
        for namespace, process in _places(request.netns)
        for each in sockets.read_sockets(wanted or sockets.PROTOCOLS, process)
        if _passes(request, each)
    ]


def _places(asked: Any) -> Iterable[tuple[str, str]]:
    """Namespaces by name, the node's own has none, each with a process that is in it."""
    if asked.hostnetwork or asked.allnetns or not asked.netns:
        yield "", "self"
    if asked.allnetns or asked.netns:
        others = sockets.find_namespaces()
        for name in others if asked.allnetns else asked.netns:
            if name not in others:
                raise RpcError(Code.NOT_FOUND, f'there is no network namespace "{name}" with a process in it')
            yield name, str(others[name])


def _passes(request: Any, each: sockets.Socket) -> bool:
    if request.filter == request.CONNECTED:
        return not each.listening
    return request.filter == request.ALL or each.listening


def describe_socket(each: sockets.Socket, namespace: str) -> dict[str, Any]:
    """A socket in the words of the API."""
    return {
        "l4proto": each.protocol,
        "localip": each.local,
        "localport": each.local_port,
        "remoteip": each.remote,
        "remoteport": each.remote_port,
        "state": each.state,
        "txqueue": each.tx_queue,
        "rxqueue": each.rx_queue,
        "tr": each.timer,
        "timerwhen": each.timer_when,
        "retrnsmt": each.retransmits,
        "uid": each.uid,
        "timeout": each.timeout,
        "inode": each.inode,
        "ref": each.references,
        "pointer": each.pointer,
        "netns": namespace,
    }


def _holder(holders: dict[int, tuple[int, str]], inode: int) -> dict[str, Any] | None:
    found = holders.get(inode)
    return {"pid": found[0], "name": printable(found[1])} if found else None


async def capture_frames(call: object, request: Any) -> AsyncIterator[Any]:
    """A pcap file that goes on until the caller has enough. What comes faster than it is read is dropped by the
    kernel.
    """
    program = [Instruction(each.op, each.jt, each.jf, each.k) for each in request.bpf_filter]
    data = message("common.Data")
    try:
        frames = capture.Capture(
            request.interface, keep=request.snap_len, promiscuous=request.promiscuous, program=program
        )
    except capture.CaptureError as error:
        raise RpcError(Code.INVALID_ARGUMENT, str(error)) from None
    except OSError as error:
        raise translate(error) from None
    try:
        yield data(bytes=frames.header)
        while True:
            await wait_readable(frames.fileno())
            if records := frames.take():
                yield data(bytes=records)
    except OSError as error:
        raise RpcError(Code.ABORTED, f"the capture ended: {error.strerror}") from None
    finally:
        frames.close()

"""ContainerRun: a container for looking around, connected to its caller."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from dozen.machinery.messages import enum, message
from dozen.node.api.images import find_containerd
from dozen.rpc.router import Router, decode_request
from dozen.rpc.servercall import ServerCall
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.node.api.ports import Machine
    from dozen.node.debugrun import Resize, Signal

REQUEST = "machine.DebugContainerRunRequest"


def register(router: Router, machine: Machine) -> None:
    """Serve the calls of this theme."""
    router.bidi("/machine.DebugService/ContainerRun", run_container)


async def run_container(call: ServerCall) -> None:
    """The first request carries the spec; the last reply carries the exit code."""
    from dozen.node.debugrun import DebugRun
    from dozen.node.ocispec import Wish

    reply = message("machine.DebugContainerRunResponse")
    first = decode_request(REQUEST, await call.recv() or b"")
    if first.WhichOneof("request") != "spec":
        raise RpcError(Code.INVALID_ARGUMENT, "the first request says what to run")
    spec = first.spec
    profiles = enum("machine.DebugContainerRunRequestSpec.Profile")
    wish = Wish(
        args=tuple(spec.args),
        env=dict(spec.env),
        terminal=spec.tty,
        privileged=spec.profile != profiles.PROFILE_HOST_NS,
    )

    async def send(data: bytes) -> None:
        await call.send(reply(stdout_data=data).SerializeToString())

    run = DebugRun(find_containerd(spec.containerd), spec.image_name, wish)
    exit_code = await run.run(read_inputs(call), send)
    await call.send(reply(exit_code=exit_code).SerializeToString())


async def read_inputs(call: ServerCall) -> AsyncGenerator[bytes | Signal | Resize, None]:
    """What the caller says after the spec."""
    from dozen.node.debugrun import Resize, Signal

    while (data := await call.recv()) is not None:
        item = decode_request(REQUEST, data)
        kind = item.WhichOneof("request")
        if kind == "stdin_data":
            yield item.stdin_data
        elif kind == "signal":
            yield Signal(item.signal)
        elif kind == "term_resize":
            yield Resize(item.term_resize.width, item.term_resize.height)
        elif kind == "spec":
            raise RpcError(Code.INVALID_ARGUMENT, "what to run can be said only once")

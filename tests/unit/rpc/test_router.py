"""Typed methods by path."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dozen.machinery.messages import message
from dozen.rpc.router import Router
from dozen.rpc.servercall import ServerCall
from dozen.rpc.status import Code, RpcError
from unit.rpc.ends import ends, run, until

LIST = "/machine.MachineService/List"
READ = "/machine.MachineService/Read"


class Closed(list[str]):
    """What the streaming method cleaned up."""


def make_router(closed: list[str]) -> Router:
    router = Router()

    async def hostname(call: ServerCall, request: Any) -> Any:
        return message("machine.HostnameResponse")(messages=[{"hostname": "here"}])

    async def read(call: ServerCall, request: Any) -> AsyncIterator[Any]:
        try:
            number = 0
            while request.path == "/endless" or number < 3:
                yield message("common.Data")(bytes=f"{request.path} {number}".encode())
                number += 1
        finally:
            closed.append(request.path)

    async def raw(call: ServerCall) -> None:
        while (data := await call.recv()) is not None:
            await call.send(data[::-1])

    router.unary("/machine.MachineService/Hostname", "google.protobuf.Empty", hostname)
    router.stream(READ, "machine.ReadRequest", read)
    router.bidi("/x.Raw/Reverse", raw)
    return router


def test_typed_calls(tmp_path: Path) -> None:
    async def main() -> None:
        closed: list[str] = []
        async with ends(tmp_path, make_router(closed)) as (_, channel):
            reply = await channel.unary("/machine.MachineService/Hostname", b"", message("machine.HostnameResponse"))
            assert [part.hostname for part in reply.messages] == ["here"]
            request = message("machine.ReadRequest")(path="/etc/x")
            parts = [part.bytes async for part in channel.server_stream(READ, request, message("common.Data"))]
            assert parts == [b"/etc/x 0", b"/etc/x 1", b"/etc/x 2"]
            assert closed == ["/etc/x"]
            assert await channel.unary("/x.Raw/Reverse", b"abc") == b"cba"

    run(main())


def test_generator_is_closed_when_the_client_goes(tmp_path: Path) -> None:
    async def main() -> None:
        closed: list[str] = []
        async with ends(tmp_path, make_router(closed)) as (_, channel):
            async with channel.call(READ) as call:
                await call.send(message("machine.ReadRequest")(path="/endless").SerializeToString(), end=True)
                await call.recv()
            await until(lambda: closed == ["/endless"])

    run(main())


@pytest.mark.parametrize(
    ("path", "request_", "code", "text"),
    [
        (LIST, b"", Code.UNIMPLEMENTED, "unknown method List for service machine.MachineService"),
        ("/no.Such/Thing", b"", Code.UNIMPLEMENTED, "unknown service no.Such"),
        (READ, b"\xff", Code.INTERNAL, "request is not a machine.ReadRequest"),
    ],
)
def test_refusals(tmp_path: Path, path: str, request_: bytes, code: Code, text: str) -> None:
    async def main() -> None:
        async with ends(tmp_path, make_router([])) as (_, channel):
            with pytest.raises(RpcError, match=text) as caught:
                await channel.unary(path, request_)
            assert caught.value.code is code

    run(main())


def test_a_path_is_registered_once() -> None:
    router = make_router([])
    assert READ in router.paths
    with pytest.raises(ValueError, match="twice"):
        router.bidi(READ, lambda call: call.send(b""))

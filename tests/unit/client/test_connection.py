"""Endpoints as people write them, one after another when they do not answer, and what every call carries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dozen.client.connection import Connection, endpoint_address
from dozen.client.errors import ClientError
from dozen.client.machine import Node
from dozen.machinery import pki
from dozen.machinery.messages import message
from dozen.machinery.talosconfig import Context
from dozen.rpc.status import Code, RpcError
from dozen.testing.fakenode import FakeNode

VERSION = message("machine.VersionResponse")(messages=[{"version": {"tag": "v1"}}])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1", "10.0.0.1:50000"),
        ("10.0.0.1:1234", "10.0.0.1:1234"),
        ("node.example", "node.example:50000"),
        ("https://node.example", "node.example:443"),
        ("https://node.example:8443/path", "node.example:8443"),
        ("2001:db8::1", "[2001:db8::1]:50000"),
        ("[2001:db8::1]", "[2001:db8::1]:50000"),
        ("[2001:db8::1]:99", "[2001:db8::1]:99"),
    ],
)
def test_endpoints(text: str, address: str) -> None:
    assert endpoint_address(text) == address


@pytest.mark.parametrize("text", ["", ":50000", "host:port", "host:0", "host:70000", "[]"])
def test_not_endpoints(text: str) -> None:
    with pytest.raises(ClientError, match="is not an endpoint"):
        endpoint_address(text)


def test_calls_carry_what_the_api_wants(fake: FakeNode, ask: Callable[..., Any]) -> None:
    fake.replies["Version"] = VERSION
    ask(Node.version, "10.0.0.7", cluster="c1")
    sent = fake.asked[0].metadata
    assert (sent["runtime"], sent["node"], sent["context"]) == ("Talos", "10.0.0.7", "c1")


def test_without_a_node_none_is_named(fake: FakeNode, ask: Callable[..., Any]) -> None:
    fake.replies["Version"] = VERSION
    ask(Node.version)
    assert "node" not in fake.asked[0].metadata


def test_an_endpoint_that_does_not_answer_is_passed_over(fake: FakeNode, tmp_path: Path) -> None:
    fake.replies["Version"] = VERSION
    fake.replies["Dmesg"] = [message("common.Data")(bytes=b"x")]

    async def main() -> None:
        await fake.start(tmp_path / "up.sock")
        async with Connection([f"unix:{tmp_path}/down.sock", fake.address], None) as connection:
            assert (await Node(connection).version()).version.tag == "v1"
            assert [chunk async for chunk in Node(connection).dmesg()] == [b"x"]
            async with connection.call("/machine.MachineService/Version") as call:
                await call.send(b"", end=True)
                assert await call.recv() is not None
        await fake.stop()

    asyncio.run(main())
    assert fake.methods() == ["Version", "Dmesg", "Version"]


def test_when_no_endpoint_answers_the_last_ones_error_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        async with Connection([f"unix:{tmp_path}/a", f"unix:{tmp_path}/b"], None) as connection:
            await Node(connection).version()

    with pytest.raises(RpcError, match="cannot connect") as caught:
        asyncio.run(main())
    assert caught.value.code == Code.UNAVAILABLE


def test_another_error_than_unreachable_is_final(fake: FakeNode, ask: Callable[..., Any]) -> None:
    fake.replies["Version"] = RpcError(Code.PERMISSION_DENIED, "not authorized")
    with pytest.raises(RpcError, match="not authorized"):
        ask(Node.version)
    assert len(fake.asked) == 1


def test_contexts_that_cannot_be_used() -> None:
    with pytest.raises(ClientError, match="no certificates"):
        Connection.from_context(Context(endpoints=("a",)))
    ca = pki.new_ca()
    with pytest.raises(ClientError, match="cannot be used"):
        Connection.from_context(Context(endpoints=("a",), ca=ca.crt, crt="nonsense", key="nonsense"))
    leaf = pki.client_certificate(ca, ["os:admin"])
    with pytest.raises(ClientError, match="no endpoint"):
        Connection.from_context(Context(ca=ca.crt, crt=leaf.crt, key=leaf.key))


def test_a_context_with_an_identity_makes_a_connection() -> None:
    ca = pki.new_ca()
    leaf = pki.client_certificate(ca, ["os:admin"])
    context = Context(endpoints=("10.0.0.1",), ca=ca.crt, crt=leaf.crt, key=leaf.key)

    async def main() -> tuple[str, ...]:
        async with Connection.from_context(context) as connection:
            return connection.endpoints

    assert asyncio.run(main()) == ("10.0.0.1",)

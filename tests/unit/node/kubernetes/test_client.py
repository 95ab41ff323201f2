"""The Kubernetes client against a server that answers what the test says, over real TLS."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dozen.machinery import pki
from dozen.machinery.kubeconfig import Access
from dozen.node.kubernetes import client as module
from dozen.node.kubernetes.client import Client
from dozen.node.kubernetes.errors import ApiError, Conflict, NotFound, Unreachable
from dozen.node.kubernetes.http import Connection
from dozen.rpc.tls import server_context

CA = pki.new_ca()
SERVER = pki.server_certificate(CA, ["127.0.0.1"], [])
NODES = {
    "resources": [{"name": "nodes", "kind": "Node", "namespaced": False}, {"name": "nodes/status", "kind": "Node"}]
}
PODS = {"resources": [{"name": "pods", "kind": "Pod", "namespaced": True}]}


class Server:
    """Answers by (method, path without query); an answer is (status, headers, body) or a function that writes."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], Any] = {}
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.connections = 0

    def answer(self, method: str, path: str, body: Any, status: int = 200, **headers: str) -> None:
        self.answers[method, path] = (status, headers, json.dumps(body).encode())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                method, target, _ = head.split("\r\n")[0].split(" ")
                headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
                body = await reader.readexactly(int(headers.get("Content-Length", "0")))
                self.asked.append((method, target, headers, body))
                await self._reply(writer, self.answers.get((method, target.partition("?")[0])))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _reply(self, writer: asyncio.StreamWriter, answer: Any) -> None:
        if answer is None:
            answer = (404, {}, b'{"reason": "NotFound", "message": "nothing here"}')
        if callable(answer):
            await answer(writer)
            return
        status, headers, body = answer
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()


@asynccontextmanager
async def running(**options: Any) -> AsyncIterator[tuple[Server, Client]]:
    server = Server()
    server.answer("GET", "/api/v1", {"resources": NODES["resources"] + PODS["resources"]})
    context = server_context(SERVER.crt.encode(), SERVER.key.encode(), None)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    port = listening.sockets[0].getsockname()[1]
    client = Client(Access("127.0.0.1", port, CA.crt.encode(), token="t"), **options)
    try:
        yield server, client
    finally:
        client.close()
        listening.close()


def chunked(*pieces: bytes, end: bool = True) -> Callable[[asyncio.StreamWriter], Any]:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces:
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
        if end:
            writer.write(b"0\r\n\r\n")
        await writer.drain()

    return write


def test_a_kind_is_looked_up_once_and_connections_are_used_again() -> None:
    async def run() -> None:
        async with running() as (server, client):
            server.answer("GET", "/api/v1/nodes/n", {"kind": "Node"})
            server.answer("GET", "/api/v1/namespaces/default/pods/p", {"kind": "Pod"})
            assert await client.get("v1", "Node", "n") == {"kind": "Node"}
            assert await client.get("v1", "Pod", "p") == {"kind": "Pod"}
            assert await client.find("v1", "Pod", "other", "ns") is None
            paths = [target for _, target, _, _ in server.asked]
            assert paths == ["/api/v1", "/api/v1/nodes/n", "/api/v1/namespaces/default/pods/p",
                             "/api/v1/namespaces/ns/pods/other"]  # fmt: skip
            assert server.connections == 1
            assert server.asked[0][2]["Authorization"] == "Bearer t"

    asyncio.run(run())


def test_apply_says_who_applies_and_takes_ownership() -> None:
    async def run() -> None:
        async with running() as (server, client):
            server.answer("PATCH", "/api/v1/nodes/n", {})
            item = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}
            await client.apply(item)
            method, target, headers, body = server.asked[-1]
            assert (method, target) == ("PATCH", "/api/v1/nodes/n?fieldManager=dozen&force=true")
            assert headers["Content-Type"] == "application/apply-patch+yaml"
            assert json.loads(body) == item

    asyncio.run(run())


@pytest.mark.parametrize(("status", "error"), [(404, NotFound), (409, Conflict), (422, ApiError)])
def test_a_refusal_says_what_the_server_said(status: int, error: type[ApiError]) -> None:
    async def run() -> None:
        async with running() as (server, client):
            server.answer("DELETE", "/api/v1/nodes/n", {"reason": "Because", "message": "it is so"}, status)
            with pytest.raises(error, match="it is so") as caught:
                await client._json("DELETE", "/api/v1/nodes/n")
            assert (caught.value.status, caught.value.reason) == (status, "Because")

    asyncio.run(run())


def test_warnings_reach_whoever_listens() -> None:
    heard: list[str] = []

    async def run() -> None:
        async with running(on_warning=heard.append) as (server, client):
            server.answer("GET", "/api/v1/nodes/n", {}, warning='299 - "old"')
            await client.get("v1", "Node", "n")

    asyncio.run(run())
    assert heard == ['299 - "old"']


def test_a_connection_that_the_server_has_closed_is_replaced() -> None:
    async def run() -> None:
        async with running() as (server, client):

            async def reply_and_close(writer: asyncio.StreamWriter) -> None:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                await writer.drain()
                writer.close()

            server.answers["GET", "/api/v1/nodes/n"] = reply_and_close
            await client.get("v1", "Node", "n")
            await client.get("v1", "Node", "n")
            assert server.connections == 2

    asyncio.run(run())


def test_following_lists_then_watches_across_the_end_of_a_watch_and_an_expired_version() -> None:
    def node(name: str, version: int) -> dict[str, Any]:
        return {"metadata": {"name": name, "resourceVersion": str(version)}}

    def event(type: str, item: dict[str, Any]) -> bytes:
        return json.dumps({"type": type, "object": item}).encode() + b"\n"

    async def run() -> list[list[str]]:
        async with running() as (server, client):
            first = event("ADDED", node("b", 6))
            watches = iter(
                [
                    chunked(first[:10], first[10:] + event("BOOKMARK", node("", 8))),
                    chunked(event("DELETED", node("a", 9))),
                    chunked(event("ERROR", {"code": 410, "reason": "Expired"})),
                ]
            )

            async def answer(writer: asyncio.StreamWriter) -> None:
                if "watch=1" in server.asked[-1][1]:
                    await next(watches)(writer)
                else:
                    version = 5 if len(seen) == 0 else 20
                    items = [node("a" if len(seen) == 0 else "z", 1)]
                    body = json.dumps({"metadata": {"resourceVersion": str(version)}, "items": items}).encode()
                    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

            server.answers["GET", "/api/v1/nodes"] = answer
            seen: list[list[str]] = []
            async for nodes in client.follow("v1", "Node", field_selector="metadata.name=a"):
                seen.append(sorted(nodes))
                if len(seen) == 4:
                    break
            versions = [
                target.partition("resourceVersion=")[2][:1] for _, target, _, _ in server.asked if "watch=1" in target
            ]
            assert versions == ["5", "8", "9"]
            return seen

    assert asyncio.run(run()) == [["a"], ["a", "b"], ["b"], ["z"]]


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-nobody\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nbroken\r\n\r\n",
        b"",
    ],
)
def test_what_is_not_an_answer_of_kubernetes_counts_as_unreachable(reply: bytes) -> None:
    async def run() -> None:
        async with running(timeout=5) as (server, client):

            async def answer(writer: asyncio.StreamWriter) -> None:
                writer.write(reply)
                await writer.drain()
                writer.close()

            server.answers["GET", "/api/v1/nodes/n"] = answer
            with pytest.raises(Unreachable, match="127"):
                await client.get("v1", "Node", "n")

    asyncio.run(run())


def test_an_unknown_authority_and_a_silent_server_are_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with running(timeout=0.3) as (server, client):

            async def silence(writer: asyncio.StreamWriter) -> None:
                await asyncio.sleep(5)

            server.answers["GET", "/readyz"] = silence
            with pytest.raises(Unreachable, match=r"no answer within 0\.3 s"):
                await client.text("/readyz")
            other = Client(Access("127.0.0.1", client.access.port, pki.new_ca().crt.encode()))
            with pytest.raises(Unreachable, match="certificate verify failed"):
                await other.text("/readyz")

    monkeypatch.setattr(module, "WATCH_SILENCE", 0.3)
    asyncio.run(run())


def test_a_header_cannot_smuggle_another_one() -> None:
    async def run() -> None:
        reader = asyncio.StreamReader()
        connection = Connection("h", reader, None)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="line break"):
            await connection.request("GET", "/", {"A": "b\r\nC: d"})

    asyncio.run(run())

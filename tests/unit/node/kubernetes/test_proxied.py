"""Downloads by way of a proxy, over real connections: plain requests are passed on, TLS goes through a tunnel."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping

import pytest

from dozen.machinery import pki
from dozen.node.kubernetes import download as module
from dozen.node.kubernetes.download import download
from dozen.node.kubernetes.http import HttpError
from dozen.rpc.tls import server_context

CA = pki.new_ca()
SERVER = pki.server_certificate(CA, [], ["far.test"])
BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nkind: X"


class Proxy:
    """Answers plain requests itself, and connects whoever asks for it to the one server that there is."""

    def __init__(self, status: int = 200) -> None:
        self.heads: list[str] = []
        self.status = status
        self.far = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        if not head.startswith("CONNECT"):
            writer.write(BODY)
        elif self.status != 200:
            writer.write(f"HTTP/1.1 {self.status} No\r\nContent-Length: 0\r\n\r\n".encode())
        else:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back, forth = await asyncio.open_connection("127.0.0.1", self.far)
            await asyncio.gather(pipe(reader, forth), pipe(back, writer))
        writer.close()


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(BODY)
    await writer.drain()


async def fetch(proxy: Proxy, url: str, variables: Mapping[str, str]) -> str:
    context = server_context(SERVER.crt.encode(), pki.tls_key(SERVER.key).encode(), None)
    async with (
        await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as near,
        await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as far,
    ):
        proxy.far = far.sockets[0].getsockname()[1]
        port = near.sockets[0].getsockname()[1]
        given = {name: value.format(port=port) for name, value in variables.items()}
        return await asyncio.wait_for(download(url, {"X-Own": "1"}, given), 10)


def test_a_plain_request_is_the_proxy_s_to_make() -> None:
    proxy = Proxy()
    assert (
        asyncio.run(fetch(proxy, "http://far.test:81/m?x=1", {"http_proxy": "http://a:b@127.0.0.1:{port}"}))
        == "kind: X"
    )
    (head,) = proxy.heads
    assert head.startswith("GET http://far.test:81/m?x=1 HTTP/1.1\r\nHost: far.test:81\r\n")
    assert "Proxy-Authorization: Basic YTpi\r\n" in head
    assert "X-Own: 1\r\n" in head


def test_tls_goes_through_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Proxy()
    monkeypatch.setattr(module.ssl, "create_default_context", lambda: ssl._create_unverified_context())
    assert asyncio.run(fetch(proxy, "https://far.test/m", {"https_proxy": "127.0.0.1:{port}"})) == "kind: X"
    (head,) = proxy.heads
    assert head == "CONNECT far.test:443 HTTP/1.1\r\nHost: far.test:443\r\n\r\n"


def test_a_proxy_that_refuses_is_named() -> None:
    with pytest.raises(HttpError, match=r"the proxy 127\.0\.0\.1:\d+ answered with HTTP status 407"):
        asyncio.run(fetch(Proxy(407), "https://far.test/m", {"https_proxy": "127.0.0.1:{port}"}))

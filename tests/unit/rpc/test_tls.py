"""Mutual TLS with the machine API's Ed25519 certificates."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable

import pytest

from dozen.machinery import pki
from dozen.rpc.client import Channel
from dozen.rpc.limits import Limits
from dozen.rpc.server import Server, serve
from dozen.rpc.servercall import ServerCall
from dozen.rpc.status import Code, RpcError
from dozen.rpc.tls import client_context, server_context
from unit.rpc.ends import run, until

CA = pki.new_ca()
OTHER_CA = pki.new_ca()
SERVER = pki.server_certificate(CA, ["127.0.0.1"], ["localhost"])
ADMIN = pki.client_certificate(CA, ["os:admin"])


def server_tls(ca: pki.Keypair | None = CA, pair: pki.Keypair = SERVER) -> ssl.SSLContext:
    return server_context(pair.crt.encode(), pair.key.encode(), ca.crt.encode() if ca is not None else None)


def client_tls(ca: pki.Keypair = CA, pair: pki.Keypair | None = ADMIN) -> ssl.SSLContext:
    if pair is None:
        return client_context(ca.crt.encode())
    return client_context(ca.crt.encode(), pair.crt.encode(), pair.key.encode())


async def handler(call: ServerCall) -> None:
    data = await call.recv()
    if call.path.endswith("Who"):
        certificate = call.peer.certificate
        chain = call.peer.chain
        assert (certificate,) == chain[:1] if certificate else chain == ()
        data = b"%d" % len(chain)
    await call.send(data or b"")


Tls = ssl.SSLContext | Callable[[], ssl.SSLContext]


async def listen(tls: Tls, limits: Limits | None = None) -> tuple[Server, int]:
    server = await serve(handler, host="127.0.0.1", tls=tls, limits=limits)
    port: int = server.addresses[0][1]  # type: ignore[index]
    return server, port


def test_both_sides_are_verified() -> None:
    async def main() -> None:
        server, port = await listen(server_tls())
        for host in ("127.0.0.1", "localhost"):
            async with Channel(f"{host}:{port}", tls=client_tls()) as channel:
                assert await channel.unary("/t.T/Who", b"") == b"2"
                body = bytes(3_000_000)
                assert await channel.unary("/t.T/Echo", body) == body
        await server.close()

    run(main())


@pytest.mark.parametrize(
    ("tls", "name"),
    [
        (client_tls(pair=None), "without a certificate"),
        (client_tls(pair=pki.client_certificate(OTHER_CA, ["os:admin"])), "of another authority"),
        (client_tls(pair=pki.server_certificate(CA, ["127.0.0.1"])), "a server's certificate"),
        (client_tls(pair=pki.client_certificate(CA, ["os:admin"], 10, now=1_600_000_000)), "expired"),
        (client_tls(ca=OTHER_CA), "trusts another authority"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_others_are_kept_out(tls: ssl.SSLContext, name: str) -> None:
    async def main() -> None:
        server, port = await listen(server_tls())
        async with Channel(f"127.0.0.1:{port}", tls=tls) as channel:
            with pytest.raises(RpcError) as caught:
                await channel.unary("/t.T/Echo", b"", timeout=5)
            assert caught.value.code is Code.UNAVAILABLE
        await until(lambda: server.connections == 0)
        await server.close()

    run(main())


def test_name_of_the_server_is_checked() -> None:
    async def main() -> None:
        server, port = await listen(server_tls())
        async with Channel(f"127.0.0.1:{port}", tls=client_tls(), server_name="elsewhere") as channel:
            with pytest.raises(RpcError, match="cannot connect"):
                await channel.unary("/t.T/Echo", b"")
        async with Channel(f"127.0.0.1:{port}", tls=client_tls(), server_name="localhost") as channel:
            assert await channel.unary("/t.T/Echo", b"x") == b"x"
        await server.close()

    run(main())


def test_server_without_authorities_asks_for_no_certificate() -> None:
    async def main() -> None:
        server, port = await listen(server_tls(ca=None))
        tls = client_context(None, verify=False)
        async with Channel(f"127.0.0.1:{port}", tls=tls) as channel:
            assert await channel.unary("/t.T/Who", b"") == b"0"
        await server.close()

    run(main())


def test_renewed_context_is_for_the_next_connection() -> None:
    async def main() -> None:
        contexts = [server_tls()]
        server, port = await listen(lambda: contexts[-1])
        old = Channel(f"127.0.0.1:{port}", tls=client_tls())
        assert await old.unary("/t.T/Echo", b"1") == b"1"
        contexts.append(server_tls(OTHER_CA, pki.server_certificate(OTHER_CA, ["127.0.0.1"])))
        assert await old.unary("/t.T/Echo", b"2") == b"2"
        new_tls = client_tls(OTHER_CA, pki.client_certificate(OTHER_CA, ["os:admin"]))
        async with Channel(f"127.0.0.1:{port}", tls=new_tls) as new:
            assert await new.unary("/t.T/Echo", b"3") == b"3"
        assert server.connections >= 1
        await old.close()
        await server.close()

    run(main())


async def read_to_end(reader: asyncio.StreamReader) -> bytes:
    """What comes before the connection ends, however it ends."""
    try:
        return await reader.read()
    except OSError:
        return b""


def test_http2_is_agreed_on() -> None:
    async def main() -> None:
        server, port = await listen(server_tls())
        tls = client_tls()
        tls.set_alpn_protocols(["http/1.1"])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
        assert await read_to_end(reader) == b""
        writer.close()
        await until(lambda: server.connections == 0)
        await server.close()

    run(main())


def test_strangers_are_noted_and_dropped(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        server, port = await listen(server_tls(), Limits(handshake_timeout=0.1))
        for greeting in (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b""):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(greeting)
            assert await read_to_end(reader) == b""
            writer.close()
        await until(lambda: server.connections == 0)
        await server.close()

    with caplog.at_level(logging.INFO):
        run(main())
    assert caplog.text.count("handshake failed") == 2


def test_strangers_do_not_keep_others_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dozen.rpc.server._SLOW_HANDSHAKE", 0.0)

    async def main() -> None:
        server, port = await listen(server_tls(), Limits(max_connections=2))
        strangers = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        await until(lambda: server.connections == 2)
        async with Channel(f"127.0.0.1:{port}", tls=client_tls()) as channel:
            assert await channel.unary("/t.T/Echo", b"x", timeout=5) == b"x"
            assert await read_to_end(strangers[0][0]) == b""
        for _, writer in strangers:
            writer.close()
        await server.close()

    run(main())


def test_key_with_a_foreign_label_and_with_the_usual_one() -> None:
    assert "BEGIN ED25519 PRIVATE KEY" in SERVER.key
    usual = SERVER.key.replace("ED25519 PRIVATE KEY", "PRIVATE KEY")
    server_context(SERVER.crt.encode(), usual.encode(), None)
    with pytest.raises(ssl.SSLError):
        server_context(SERVER.crt.encode(), ADMIN.key.encode(), None)


def test_sessions_are_not_resumed() -> None:
    assert server_tls().num_tickets == 0

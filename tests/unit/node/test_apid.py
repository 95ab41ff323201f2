"""apid between real clients and a machined that says what it was told."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dozen.machinery import pki
from dozen.machinery.messages import message
from dozen.node.apid import LIMITS, Apid
from dozen.node.apid_credentials import Credentials
from dozen.node.doors import listen, wait_for_certificate
from dozen.rpc.client import Channel
from dozen.rpc.server import Server, serve
from dozen.rpc.servercall import ServerCall
from dozen.rpc.status import Code, RpcError
from dozen.rpc.tls import client_context

CA = pki.new_ca()
OTHER_CA = pki.new_ca()
LOG = logging.getLogger("test.apid")

VERSION = "/machine.MachineService/Version"
HOSTNAME = "/machine.MachineService/Hostname"
READ = "/machine.MachineService/Read"


async def machined(call: ServerCall) -> None:
    """Answers with what it was told about the caller."""
    await call.recv()
    told = " ".join(f"{name}={value}" for name, value in call.metadata if name != "user-agent")
    if call.path == READ:
        for number in range(3):
            await call.send(message("common.Data")(bytes=b"%d" % number).SerializeToString())
    elif call.path == HOSTNAME:
        await call.send(message("machine.HostnameResponse")(messages=[{"hostname": told}]).SerializeToString())
    elif call.path == VERSION:
        await call.send(told.encode())
    else:
        raise RpcError(Code.NOT_FOUND, "no such thing")


def write(directory: Path, name: str, text: str) -> None:
    """Replace a file as machined does."""
    temporary = directory / f".{name}"
    temporary.write_text(text)
    os.replace(temporary, directory / name)


def write_identity(directory: Path, mode: str = "configured", ca: pki.Keypair = CA, forwards: bool = True) -> None:
    directory.mkdir(exist_ok=True)
    write(directory, "mode", mode)
    write(directory, "ca.pem", ca.crt)
    server = pki.server_certificate(ca, ["127.0.0.1", "127.0.0.2"], ["localhost"])
    if forwards:
        client = pki.client_certificate(ca, ["os:impersonator"])
        write(directory, "client.pem", client.crt)
        write(directory, "client.key", client.key)
    write(directory, "server.key", server.key)
    write(directory, "server.pem", server.crt)


class Node:
    """A machined, an apid in front of it, and channels to that."""

    def __init__(self, directory: Path, credentials: Credentials, server: Server, apid: Apid) -> None:
        self.directory = directory
        self.credentials = credentials
        self.server = server
        self.apid = apid
        self.port: int = server.addresses[0][1]  # type: ignore[index]

    def channel(self, roles: list[str] | None, ca: pki.Keypair = CA) -> Channel:
        if roles is None:
            tls = client_context(None, verify=False)
        else:
            pair = pki.client_certificate(ca, roles)
            tls = client_context(ca.crt.encode(), pair.crt.encode(), pair.key.encode())
        return Channel(f"127.0.0.1:{self.port}", tls=tls)


@asynccontextmanager
async def node(tmp_path: Path, **identity: Any) -> AsyncIterator[Node]:
    directory = tmp_path / "apid"
    write_identity(directory, **identity)
    socket = str(tmp_path / "machine.sock")
    machine = await serve(machined, path=socket)
    credentials = Credentials(str(directory), LOG)
    assert credentials.refresh()
    apid = Apid(credentials, LOG, machine_socket=socket, machined_patience=0.05)
    server = await listen(apid, credentials, LOG, 0, LIMITS)
    # Other "nodes" are this one again, by an address that it does not take for its own.
    apid._remote_port = server.addresses[0][1]  # type: ignore[index]
    try:
        yield Node(directory, credentials, server, apid)
    finally:
        await server.close()
        await apid.close()
        await machine.close()
        assert server.limits.budget.used == machine.limits.budget.used == 0


def run(main: Any) -> None:
    asyncio.run(asyncio.wait_for(main, 20))


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but 127.0.0.1 count as other nodes. ``::1`` is one that cannot prove who it is."""
    monkeypatch.setattr("dozen.node.apid.is_own_name", lambda target: target == "127.0.0.1")


def test_roles_come_from_the_certificate(tmp_path: Path) -> None:
    async def main() -> None:
        async with node(tmp_path) as here:
            for roles in (["os:admin"], ["os:reader", "os:operator"]):
                async with here.channel(roles) as channel:
                    told = await channel.unary(
                        VERSION, b"", metadata=[("talos-role", "os:admin"), ("runtime", "Talos")]
                    )
                    assert told.decode() == " ".join(["runtime=Talos", *(f"talos-role={role}" for role in roles)])

    run(main())


def test_certificate_without_roles_has_none(tmp_path: Path) -> None:
    async def main() -> None:
        async with node(tmp_path) as here, here.channel([""]) as channel:
            assert await channel.unary(VERSION, b"", metadata=[("talos-role", "os:admin")]) == b"talos-role="

    run(main())


def test_impersonator_tells_roles(tmp_path: Path) -> None:
    async def main() -> None:
        async with node(tmp_path) as here, here.channel(["os:impersonator"]) as channel:
            told = await channel.unary(VERSION, b"", metadata=[("talos-role", "os:reader"), ("proxyfrom", "x")])
            assert told == b"proxyfrom=x talos-role=os:reader"

    run(main())


def test_errors_and_streams_pass(tmp_path: Path) -> None:
    async def main() -> None:
        async with node(tmp_path) as here, here.channel(["os:admin"]) as channel:
            with pytest.raises(RpcError, match="no such thing") as caught:
                await channel.unary("/machine.MachineService/Other", b"")
            assert caught.value.code is Code.NOT_FOUND
            data = message("common.Data")
            assert [part.bytes async for part in channel.server_stream(READ, b"", data)] == [b"0", b"1", b"2"]

    run(main())


def test_one_other_node(tmp_path: Path, foreign: None) -> None:
    async def main() -> None:
        async with node(tmp_path) as here, here.channel(["os:reader"]) as channel:
            metadata = [("node", "127.0.0.2"), ("talos-role", "os:admin"), ("runtime", "Talos")]
            told = await channel.unary(VERSION, b"", metadata=metadata)
            assert told.decode() == f"runtime=Talos proxyfrom=127.0.0.1:{here.port} talos-role=os:reader"
            with pytest.raises(RpcError, match="cannot connect") as caught:
                await channel.unary(VERSION, b"", metadata=[("node", "::1")], timeout=5)
            assert caught.value.code is Code.UNAVAILABLE

    run(main())


def test_several_nodes_answer_as_one(tmp_path: Path, foreign: None) -> None:
    async def main() -> None:
        async with node(tmp_path) as here, here.channel(["os:reader"]) as channel:
            targets = ["127.0.0.1", "127.0.0.2", "::1", "10.0.0.1:1"]
            metadata = [("nodes", target) for target in targets]
            reply = await channel.unary(HOSTNAME, b"", message("machine.HostnameResponse"), metadata, timeout=10)
            assert [part.metadata.hostname for part in reply.messages] == targets
            assert [part.hostname.partition(" ")[2] for part in reply.messages] == [
                "talos-role=os:reader",
                "talos-role=os:reader",
                "",
                "",
            ]
            assert reply.messages[2].metadata.error.startswith("rpc error: code = Unavailable desc = cannot connect")
            assert reply.messages[3].metadata.status.code == Code.INTERNAL

    run(main())


def test_streams_of_several_nodes_are_marked(tmp_path: Path, foreign: None) -> None:
    async def main() -> None:
        async with node(tmp_path) as here, here.channel(["os:reader"]) as channel:
            metadata = [("nodes", "127.0.0.1"), ("nodes", "localhost"), ("nodes", "::1")]
            parts = [part async for part in channel.server_stream(READ, b"", message("common.Data"), metadata, 10)]
            by_node: dict[str, list[bytes]] = {}
            for part in parts:
                by_node.setdefault(part.metadata.hostname, []).append(part.bytes)
            assert by_node == {"127.0.0.1": [b"0", b"1", b"2"], "localhost": [b"0", b"1", b"2"], "::1": [b""]}

    run(main())


def test_worker_forwards_nothing(tmp_path: Path, foreign: None) -> None:
    async def main() -> None:
        async with node(tmp_path, forwards=False) as here, here.channel(["os:admin"]) as channel:
            assert await channel.unary(VERSION, b"", metadata=[("node", "127.0.0.1")])
            with pytest.raises(RpcError, match="no request forwarding"):
                await channel.unary(VERSION, b"", metadata=[("node", "127.0.0.2")])

    run(main())


def test_machined_that_is_away(tmp_path: Path) -> None:
    async def main() -> None:
        async with node(tmp_path) as here, here.channel(["os:admin"]) as channel:
            os.unlink(tmp_path / "machine.sock")
            with pytest.raises(RpcError, match="cannot connect to machined at unix:") as caught:
                await channel.unary(VERSION, b"")
            assert caught.value.code is Code.UNAVAILABLE

    run(main())


def test_maintenance_lets_strangers_read_until_the_node_is_configured(tmp_path: Path) -> None:
    async def main() -> None:
        async with node(tmp_path, mode="maintenance", forwards=False) as here, here.channel(None) as stranger:
            metadata = [("node", "10.9.9.9"), ("talos-role", "os:admin")]
            assert await stranger.unary(VERSION, b"", metadata=metadata) == b"node=10.9.9.9 talos-role=os:reader"
            write_identity(here.directory)
            # The connection from before must not keep what it had.
            with pytest.raises(RpcError, match="certificate is required") as caught:
                await stranger.unary(VERSION, b"")
            assert caught.value.code is Code.UNAUTHENTICATED
            async with here.channel(None) as late:
                with pytest.raises(RpcError):
                    await late.unary(VERSION, b"")
            async with here.channel(["os:admin"]) as admin:
                assert await admin.unary(VERSION, b"") == b"talos-role=os:admin"

    run(main())


def test_new_certificates_are_for_new_connections(tmp_path: Path) -> None:
    async def main() -> None:
        async with node(tmp_path) as here, here.channel(["os:admin"]) as old:
            assert await old.unary(VERSION, b"")
            write_identity(here.directory, ca=OTHER_CA)
            async with here.channel(["os:reader"], OTHER_CA) as new:
                assert await new.unary(VERSION, b"") == b"talos-role=os:reader"
            assert await old.unary(VERSION, b"") == b"talos-role=os:admin"
            async with here.channel(["os:admin"]) as late:
                with pytest.raises(RpcError):
                    await late.unary(VERSION, b"")

    run(main())


def test_half_written_certificates_change_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with node(tmp_path) as here:
            generation = here.credentials.generation
            write(here.directory, "server.key", pki.new_ca().key)
            for _ in range(2):
                async with here.channel(["os:admin"]) as channel:
                    assert await channel.unary(VERSION, b"")
            assert here.credentials.generation == generation
            assert caplog.text.count("not usable") == 1
            write_identity(here.directory)
            async with here.channel(["os:admin"]) as channel:
                assert await channel.unary(VERSION, b"")
            assert here.credentials.generation == generation + 1

    with caplog.at_level(logging.WARNING):
        run(main())


@pytest.mark.parametrize("missing", ["server.pem", "server.key", "ca.pem"])
def test_missing_files_open_nothing(tmp_path: Path, missing: str) -> None:
    write_identity(tmp_path)
    os.unlink(tmp_path / missing)
    os.unlink(tmp_path / "mode")
    credentials = Credentials(str(tmp_path), LOG)
    assert not credentials.refresh()
    assert not credentials.loaded
    with pytest.raises(FileNotFoundError):
        credentials.server_context()


def test_without_a_mode_the_node_counts_as_configured(tmp_path: Path) -> None:
    write_identity(tmp_path, mode="maintenance")
    os.unlink(tmp_path / "mode")
    credentials = Credentials(str(tmp_path), LOG)
    assert credentials.refresh()
    assert not credentials.maintenance


def test_first_certificate_is_waited_for(tmp_path: Path) -> None:
    async def main() -> None:
        credentials = Credentials(str(tmp_path), LOG)
        stop = asyncio.Event()
        waiting = asyncio.create_task(wait_for_certificate(credentials, stop, LOG))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        write_identity(tmp_path)
        assert await waiting
        empty = Credentials(str(tmp_path / "empty"), LOG)
        waiting = asyncio.create_task(wait_for_certificate(empty, stop, LOG))
        await asyncio.sleep(0)
        stop.set()
        assert not await waiting

    run(main())

"""What operators get wrong most often: each mistake is found, and its sentence is on the console and in health.

The code that finds a mistake is the node's own; so are what takes its words, the API that tells them and the
checks that ask for them, over a real socket. Only the mistakes are made here.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from dozen.engine.outputs import Outputs
from dozen.engine.publisher import Publisher
from dozen.machinery import pki
from dozen.machinery.config import Config, load
from dozen.machinery.config.generating import Bundle, generate
from dozen.machinery.messages import message
from dozen.machinery.resources import config as config_kinds
from dozen.machinery.resources.runtime import DIAGNOSTIC
from dozen.node import health
from dozen.node.api import build_router
from dozen.node.journal import JournalHandler
from dozen.node.kubernetes import diagnosis
from dozen.node.logs import LogBuffer
from dozen.node.machine import Machine
from dozen.node.process import Reaper
from dozen.rpc.client import Channel
from dozen.rpc.server import serve
from dozen.rpc.status import Code, RpcError
from dozen.testing.etcd import OWNER as TEST
from dozen.testing.etcd import LoopbackMember

HEALTH = "/cluster.ClusterService/HealthCheck"
MISNAMED = "https://api.example.org:6443"
Find = Callable[[Machine, Path], Awaitable[None]]


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Path]:
    """What stands in /dev/kmsg's place, which the kernel prints on its console."""
    path = tmp_path / "kmsg"
    log = logging.getLogger("dozen")
    kernel = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    handler = JournalHandler(LogBuffer("machined"), kernel)
    log.addHandler(handler)
    yield path
    log.removeHandler(handler)
    os.close(kernel)


def configure(machine: Machine, text: str) -> Config:
    machine.store.put(
        config_kinds.MACHINE_CONFIG, config_kinds.ACTIVE, config_kinds.MachineConfigSpec(text), owner=TEST
    )
    machine.config = load(text)
    return machine.config


async def ask_health(machine: Machine, folder: Path) -> tuple[list[str], RpcError]:
    """The lines of HealthCheck and the error that it ends with."""
    server = await serve(build_router(machine), path=str(folder / "machine.sock"))
    lines: list[str] = []
    progress = message("cluster.HealthCheckProgress")
    request = message("cluster.HealthCheckRequest")(wait_timeout={"seconds": 1})
    channel = Channel(health.MACHINE_SOCKET)
    try:
        async for each in channel.server_stream(HEALTH, request, progress, timeout=20):
            lines.append(each.message)
    except RpcError as error:
        return lines, error
    finally:
        await channel.close()
        await server.close()
    raise AssertionError(lines)


async def diagnosed(machine: Machine, seconds: float = 10.0) -> None:
    """One look of the watcher that looks for what keeps a node out of its cluster."""
    watcher = diagnosis.MembershipDiagnosis(machine.store, machine)
    looking = asyncio.create_task(watcher.run(Publisher(Outputs(machine.store, watcher.name, watcher.outputs))))
    async with asyncio.timeout(seconds):
        while not watcher._open:
            await asyncio.sleep(0.01)
    looking.cancel()


async def resolved(endpoint: str) -> str:
    return ""


async def a_clock_that_is_off(machine: Machine, folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: 86400.0)
        patch.setattr(diagnosis, "name_problem", resolved)
        await diagnosed(machine)


async def a_name_that_does_not_resolve(machine: Machine, folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:

        def refuse(*_args: object, **_options: object) -> object:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        patch.setattr(socket, "getaddrinfo", refuse)
        await diagnosed(machine)


async def a_full_disk(machine: Machine, folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os.path, "ismount", lambda path: True)
        volume = os.statvfs_result((4096, 4096, 1 << 21, 10, 10, 0, 0, 0, 0, 255))
        patch.setattr(os, "statvfs", lambda path: volume)
        patch.setattr(diagnosis, "name_problem", resolved)
        await diagnosed(machine)


async def the_data_of_another_cluster(machine: Machine, folder: Path) -> None:
    """etcd's program is not needed: it is not started."""
    data = folder / "etcd/data"
    (data / "member").mkdir(parents=True)
    (folder / "etcd/data.cluster").write_text("another\n")
    member = LoopbackMember("cp-1", "127.0.0.1", folder / "etcd", pki.new_ca(), [], folder, problems=machine)
    async with asyncio.timeout(10):
        while machine.store.find(DIAGNOSTIC, "etcd") is None:
            await asyncio.sleep(0.01)
    await member.close()


MISTAKES = [
    (a_clock_that_is_off, "this machine's clock says 1970-01-02 00:00:00 UTC, but the cluster's authority was made on"),
    (a_name_that_does_not_resolve, "the cluster's endpoint api.example.org does not resolve"),
    (a_full_disk, "the volume of /var has 0 MiB left: remove images or volumes that are not needed"),
    (the_data_of_another_cluster, "is of another cluster (id another): wipe it with a reset, or give this node that"),
]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return generate("mistakes", MISNAMED)


@pytest.fixture(autouse=True)
def own_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MACHINE_SOCKET", f"unix:{tmp_path}/machine.sock")


@pytest.mark.parametrize(("make", "said"), MISTAKES, ids=lambda each: getattr(each, "__name__", ""))
def test_health_and_the_console_say_it_although_etcd_waits(
    make: Find, said: str, bundle: Bundle, console: Path, tmp_path: Path
) -> None:
    async def play() -> tuple[list[str], RpcError]:
        machine = Machine("container", Reaper())
        configure(machine, bundle.controlplane)
        await make(machine, tmp_path)
        return await ask_health(machine, tmp_path)

    lines, error = asyncio.run(play())
    assert said in console.read_text()
    about = [line for line in lines if said in line]
    assert len(about) == 1
    assert about[0].startswith("waiting for etcd to be healthy: 127.0.0.1 reports: ")
    assert (error.code, said in error.message) == (Code.DEADLINE_EXCEEDED, True)
    assert error.message.startswith("waiting for etcd to be healthy: 127.0.0.1: there is no service etcd; ")


# -- A worker that cannot join.


@asynccontextmanager
async def api_server(authority: pki.Keypair, token: str, folder: Path) -> AsyncIterator[int]:
    """Speaks as much HTTP as the question takes, and knows one token; the port that it listens on."""
    pair = pki.server_certificate(authority, ["127.0.0.1"])
    crt, key = folder / "server.crt", folder / "server.key"
    crt.write_text(pair.crt)
    key.write_text(pki.tls_key(pair.key))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(crt, key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        status = "200 OK" if f"authorization: bearer {token}\r\n" in head else "401 Unauthorized"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


Joined = Callable[..., tuple[dict[str, str], list[str], RpcError, str]]


@pytest.fixture
def join(console: Path, tmp_path: Path) -> Joined:
    """Let a worker look for what keeps it out of a cluster, whose API server has this authority and knows this token;
    what it finds, what its own health says and how that ends, and its console."""

    def run(bundle: Bundle, authority: pki.Keypair, token: str) -> tuple[dict[str, str], list[str], RpcError, str]:
        async def play() -> tuple[dict[str, str], list[str], RpcError]:
            machine = Machine("container", Reaper())
            async with api_server(authority, token, tmp_path) as port:
                config = configure(machine, bundle.worker.replace(MISNAMED, f"https://127.0.0.1:{port}"))
                found = await diagnosis.diagnose(config)
                diagnosis.MembershipDiagnosis(machine.store, machine)._tell(found)
                return found, *await ask_health(machine, tmp_path)

        return *asyncio.run(play()), console.read_text()

    return run


@pytest.fixture(scope="module")
def small(bundle: Bundle) -> Bundle:
    """With an authority whose keys this test can sign with."""
    secrets = msgspec.structs.replace(bundle.secrets, kubernetes=pki.new_ca())
    return generate("mistakes", MISNAMED, secrets=secrets)


def test_a_worker_whose_token_is_wrong_says_so_itself(join: Joined, small: Bundle) -> None:
    found, lines, error, printed = join(small, small.secrets.kubernetes, "another")
    assert list(found) == [diagnosis.TOKEN]
    said = "does not know this machine's cluster.token: give the machine the token of its cluster"
    assert said in found[diagnosis.TOKEN]
    assert said in printed
    assert lines == [f"this node reports: {found[diagnosis.TOKEN]}"]
    assert error.code is Code.UNIMPLEMENTED
    assert error.message.startswith("health is asked of control plane nodes")
    assert said in error.message


def test_a_worker_that_is_sent_to_another_cluster_says_so(join: Joined, small: Bundle) -> None:
    found, lines, _, printed = join(small, pki.new_ca(), small.secrets.bootstrap_token)
    assert list(found) == [diagnosis.ENDPOINT]
    assert "its certificate is not signed by cluster.ca; correct cluster.controlPlane.endpoint" in lines[0]
    assert found[diagnosis.ENDPOINT] in printed


def test_a_worker_with_the_right_token_has_nothing_to_say(join: Joined, small: Bundle) -> None:
    found, lines, error, _ = join(small, small.secrets.kubernetes, small.secrets.bootstrap_token)
    assert (found, lines) == ({}, [])
    assert error.message.endswith("others know too little of the cluster")


def test_an_endpoint_that_is_not_up_yet_is_no_mistake(small: Bundle) -> None:
    config = load(small.worker)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"https://127.0.0.1:{closed.getsockname()[1]}"
        assert asyncio.run(diagnosis.joining_problems(config, endpoint, small.secrets.kubernetes.crt)) == {}


def test_a_worker_that_has_joined_asks_nothing(small: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kubeconfig").touch()
    monkeypatch.setattr(diagnosis, "KUBELET_KUBECONFIG", str(tmp_path / "kubeconfig"))
    assert asyncio.run(diagnosis.joining_problems(load(small.worker), MISNAMED, small.secrets.kubernetes.crt)) == {}

"""Members of etcd on this computer's loopback: the real program, and our code that decides how it starts.

Each member has an address of its own in 127.0.0.0/8, a store, and an `EtcdMember`; a process stands where the node has
a container. So joining, promotion and recovery are tried in seconds, without a machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from dozen.engine.outputs import Outputs
from dozen.engine.publisher import Publisher
from dozen.engine.store import Store
from dozen.machinery import pki, x509
from dozen.machinery.resources import etcd, secrets, time
from dozen.node.etcd.arguments import Places, render_arguments
from dozen.node.etcd.joining import Join
from dozen.node.etcd.local import EtcdClients
from dozen.node.etcd.member import EtcdMember, Ground
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.node.problems import Problems

OWNER = "test"


class LoopbackMember:
    """One node's part in etcd. ``peers`` are the addresses where it looks for others, ``programs`` is the folder that
    etcd is in, ``problems`` takes what keeps it from starting, else the member itself does.
    """

    def __init__(
        self,
        name: str,
        address: str,
        folder: Path,
        ca: pki.Keypair,
        peers: list[str],
        programs: Path,
        cluster_id: str = "one",
        problems: Problems | None = None,
    ) -> None:
        self.name, self.address, self.folder, self._programs = name, address, folder, programs
        folder.mkdir(parents=True, exist_ok=True)
        self.places = Places(str(folder / "data"), str(folder / "secrets"), str(folder / "snapshot"))
        self.store = Store()
        self.process: asyncio.subprocess.Process | None = None
        self.cluster_id = cluster_id
        self.problems: dict[str, str] = {}
        self._put_resources(ca)
        ground = Ground(
            stop_service=self.stop,
            start_service=self._start_later,
            restore=self._restore,
            places=self.places,
            cluster_id=lambda: self.cluster_id,
            problems=problems or self,
        )
        self.clients = EtcdClients(self.store, address)
        self.member = EtcdMember(
            self.store, logging.getLogger(f"etcd.{name}"), ground, Join(self._peers(peers)), self.clients
        )
        self._starting: asyncio.Task[None] | None = None
        self._running = asyncio.create_task(
            self.member.run(Publisher(Outputs(self.store, self.member.name, self.member.outputs)))
        )

    def _peers(self, addresses: list[str]):  # type: ignore[no-untyped-def]
        async def find() -> list[str]:
            return addresses

        return find

    def _put_resources(self, ca: pki.Keypair) -> None:
        os.makedirs(self.places.secrets, exist_ok=True)
        pair = issue(ca, self.name, self.address)
        for name in ("server", "peer"):
            Path(self.places.secrets, f"{name}.crt").write_text(pair.crt)
            Path(self.places.secrets, f"{name}.key").write_text(pair.key)
        Path(self.places.secrets, "ca.crt").write_text(ca.crt)
        pem = secrets.PemPair(crt=pair.crt.encode(), key=pair.key.encode())
        certificates = secrets.EtcdCertsSpec(etcd=pem, etcd_peer=pem, etcd_admin=pem, etcd_api_server=pem)
        self.store.put(secrets.ETCD_CERTS, secrets.ETCD, certificates, owner=OWNER)
        root = secrets.EtcdRootSpec(etcd_ca=secrets.PemPair(crt=ca.crt.encode()))
        self.store.put(secrets.ETCD_ROOT, secrets.ETCD, root, owner=OWNER)
        self.store.put(etcd.PKI_STATUS, etcd.ID, etcd.PKIStatusSpec(ready=True, version="1"), owner=OWNER)
        self.store.put(time.TIME_STATUS, "node", time.TimeStatusSpec(synced=True), owner=OWNER)
        here = (self.address,)
        spec = etcd.EtcdSpec(
            name=self.name, advertised_addresses=here, listen_peer_addresses=here, listen_client_addresses=here
        )
        self.store.put(etcd.ETCD_SPEC, etcd.ID, spec, owner=OWNER)

    # -- The program, in a container's place.

    def _start_later(self) -> None:
        self._starting = asyncio.create_task(self._keep_running())

    async def _keep_running(self) -> None:
        """As the node's supervisor does: what ends unasked is started again."""
        while True:
            await self.start()
            assert self.process is not None
            if await self.process.wait() <= 0:
                return
            await asyncio.sleep(0.5)

    async def start(self) -> None:
        """Start etcd as the launch says."""
        launch = self.store.get(etcd.ETCD_LAUNCH, etcd.ID).spec
        arguments = render_arguments(self.store.get(etcd.ETCD_SPEC, etcd.ID).spec, launch, self.places)
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                self._programs / "etcd", *arguments, stdout=log, stderr=log
            )

    async def stop(self, *, kill: bool = False) -> None:
        if self.process is not None and self.process.returncode is None:
            (self.process.kill if kill else self.process.terminate)()
            await self.process.wait()

    async def _restore(self, image: str, arguments: tuple[str, ...]) -> None:
        process = await asyncio.create_subprocess_exec(
            self._programs / "etcdutl", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        printed, _ = await process.communicate()
        if process.returncode:
            raise RpcError(Code.INTERNAL, printed.decode(errors="replace"))

    async def close(self) -> None:
        for task in (self._running, self._starting):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        await self.stop(kill=True)

    def report_problem(self, id: str, text: str) -> None:
        self.problems[id] = text

    def clear_problem(self, id: str) -> None:
        self.problems.pop(id, None)

    # -- What tests ask.

    async def until_voting(self, seconds: float = 30.0) -> int:
        """The member's id, once it has a vote and the cluster a majority."""
        async with asyncio.timeout(seconds):
            while True:
                with contextlib.suppress(RpcError):
                    status = await self.clients.local.status()
                    if status.leader and not status.isLearner:
                        await self.clients.local.check_majority()
                        return int(status.header.member_id)
                await asyncio.sleep(0.05)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace") if (self.folder / "log").exists() else ""


def issue(ca: pki.Keypair, name: str, address: str) -> pki.Keypair:
    """A certificate for both sides of a connection, as members need it."""
    usages = (x509.SERVER_AUTH, x509.CLIENT_AUTH)
    # A member checks where others come from: on the loopback that is the first address, whatever they listen on.
    raw = [bytes(int(part) for part in each.split(".")) for each in (address, "127.0.0.1")]
    return pki._issue(ca, x509.Name(("etcd",), name), usages, 3600, None, [name], raw)

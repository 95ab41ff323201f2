"""A real Kubernetes control plane on this computer, with its etcd, for tests of what speaks with one.

The programs get the command lines, certificates and files that a node would give them, made by the node's own
controllers from a generated configuration; only the paths lead elsewhere, and what names the node's network is loopback
here. It is up within seconds.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
from pathlib import Path
from typing import IO

from dozen.machinery import certificates, pki
from dozen.machinery.config.generating import Bundle, Choices, generate
from dozen.machinery.config.patches import read_patch
from dozen.machinery.effects.files import WriteFile
from dozen.machinery.kubeconfig import Access
from dozen.machinery.kubernetes import paths
from dozen.machinery.resources import config, controlplane, network
from dozen.machinery.resources.time import TIME_STATUS, TimeStatusSpec
from dozen.node.controllers.etcd.files import EtcdFilesController
from dozen.node.controllers.kubernetes import kubernetes_controllers
from dozen.node.controllers.trust import trust_controllers
from dozen.node.kubernetes.client import Client
from dozen.node.kubernetes.errors import KubernetesError
from dozen.testing.controllers import Bench
from dozen.testing.issuing import Told, late_issuers

START_SECONDS = 90.0
# What cannot be as on a node: etcd's port is another one, and loopback is not an address to tell others.
_ELSEWHERE = ("--etcd-servers=", "--advertise-address=", "--bind-address=")


class ApiServer:
    """``binaries`` holds etcd, kube-apiserver and the others; everything else is kept in ``folder``."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries, self._folder = binaries, folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._logs: list[IO[bytes]] = []
        self.port, self._etcd_port = _free_port(), _free_port()
        self._bundle = _generate(self.port)
        self.ca, self.aggregator_ca = self._bundle.secrets.kubernetes, self._bundle.secrets.aggregator
        self._arguments: dict[str, list[str]] = {}
        self._others_run = False

    async def start(self) -> None:
        """Until it is ready to serve."""
        etcd, peer = f"https://127.0.0.1:{self._etcd_port}", f"https://127.0.0.1:{_free_port()}"
        arguments = await self._prepare()
        own = self._folder / "system/secrets/etcd"
        self._spawn(
            "etcd",
            *("--name=test", f"--data-dir={self._folder}/etcd", "--unsafe-no-fsync", "--log-level=error"),
            *(f"--listen-client-urls={etcd}", f"--advertise-client-urls={etcd}"),
            *(f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=test={peer}"),
            *(f"--cert-file={own}/server.crt", f"--key-file={own}/server.key", "--client-cert-auth"),
            *(f"--peer-cert-file={own}/peer.crt", f"--peer-key-file={own}/peer.key", "--peer-client-cert-auth"),
            *(f"--trusted-ca-file={own}/ca.crt", f"--peer-trusted-ca-file={own}/ca.crt"),
        )
        here = ("--bind-address=127.0.0.1", "--endpoint-reconciler-type=none")
        self._spawn(paths.APISERVER, f"--etcd-servers={etcd}", *here, *arguments[paths.APISERVER])
        await self._await_ready()
        self._arguments = arguments

    def start_others(self) -> None:
        """The controller-manager and the scheduler, which most tests do without; once for all tests."""
        if self._others_run:
            return
        self._others_run = True
        for program in (paths.CONTROLLER_MANAGER, paths.SCHEDULER):
            self._spawn(program, f"--secure-port={_free_port()}", *self._arguments[program])

    async def renew(self) -> None:
        """What a node does at half of its certificates' lives: make them anew, and write them over the old ones."""
        await self._prepare()

    def serving_certificate(self) -> str:
        """What it shows to who connects now, PEM."""
        import ssl

        return ssl.get_server_certificate(("127.0.0.1", self.port))

    def etcd_certificate(self) -> str:
        """What its etcd shows to who connects now, PEM."""
        import ssl

        return ssl.get_server_certificate(("127.0.0.1", self._etcd_port))

    def audit(self) -> list[dict[str, object]]:
        """Every entry of the audit log."""
        text = (self._folder / paths.AUDIT_LOG.lstrip("/") / "kube-apiserver.log").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def alive(self) -> list[str]:
        """The programs that run."""
        return [str(process.args[0]).rpartition("/")[2] for process in self._processes if process.poll() is None]  # type: ignore[index]

    def processes(self) -> list[int]:
        """Ids of the processes that run."""
        return [process.pid for process in self._processes if process.poll() is None]

    def log(self, program: str) -> str:
        return (self._folder / f"{program}.log").read_text(errors="replace")

    def stored_bytes(self) -> bytes:
        """All that etcd has written to its disk."""
        return b"".join(path.read_bytes() for path in (self._folder / "etcd").rglob("*") if path.is_file())

    def stop(self) -> None:
        """At once: nothing of it is kept, and an API server would take its time to say farewell."""
        for process in reversed(self._processes):
            process.kill()
            process.wait()
        for log in self._logs:
            log.close()

    def access(self, name: str, *groups: str) -> Access:
        """An identity: a certificate of the cluster's authority for this user and these groups."""
        pair = certificates.issue(self.ca, name, organizations=groups, lifetime=pki.YEAR)
        return Access("127.0.0.1", self.port, self.ca.crt.encode(), pair.crt.encode(), pair.key.encode())

    def admin(self) -> Access:
        return self.access("admin", "system:masters")

    async def _prepare(self) -> dict[str, list[str]]:
        """Write every file that the programs read; the result are their command lines."""
        told = Told()
        controllers = (*trust_controllers(), EtcdFilesController(), *kubernetes_controllers())
        # The issuers are made before the bench whose store they use.
        bench = Bench(*controllers, watchers=late_issuers(lambda: bench.store, told))
        async with bench:
            text = self._bundle.controlplane
            bench.put(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text))
            bench.put(network.HOSTNAME_STATUS, "hostname", network.HostnameStatusSpec(hostname="cp-1"))
            for id in ("current", "routed"):
                bench.put(network.NODE_ADDRESS, id, network.NodeAddressSpec(addresses=("10.0.0.1/24",)))
            bench.put(TIME_STATUS, "node", TimeStatusSpec(synced=True))
            await bench.settle()
            assert not told.problems, told.problems
            for effect in bench.effects:
                if isinstance(effect, WriteFile):
                    self._write(effect.path, self._moved(effect.content))
            specs = (
                (controlplane.API_SERVER_CONFIG, paths.APISERVER),
                (controlplane.CONTROLLER_MANAGER_CONFIG, paths.CONTROLLER_MANAGER),
                (controlplane.SCHEDULER_CONFIG, paths.SCHEDULER),
            )
            found = {program: bench.store.get(kind, program).spec.args for kind, program in specs}  # type: ignore[attr-defined]
        return {
            program: [self._moved(each) for each in args if not each.startswith(_ELSEWHERE)]
            for program, args in found.items()
        }

    def _moved(self, text: str) -> str:
        """Paths of the node lead into the folder."""
        return text.replace("/system/", f"{self._folder}/system/").replace(
            paths.AUDIT_LOG, f"{self._folder}{paths.AUDIT_LOG}"
        )

    def _write(self, path: str, text: str) -> None:
        target = self._folder / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        # In one step, as on a node: programs watch these files.
        draft = target.with_name(f".{target.name}.new")
        draft.write_text(text)
        draft.replace(target)

    def _spawn(self, program: str, *arguments: str) -> None:
        log = (self._folder / f"{program}.log").open("wb")
        self._logs.append(log)
        command = [str(self._binaries / program), *arguments]
        self._processes.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder))

    async def _await_ready(self) -> None:
        end = time.monotonic() + START_SECONDS
        async with Client(self.admin(), timeout=5) as client:
            while True:
                try:
                    await client.text("/readyz")
                except KubernetesError as error:
                    ended = [process.args for process in self._processes if process.poll() is not None]
                    if ended or time.monotonic() > end:
                        raise RuntimeError(f"no API server: {error}; {self._last_words()}") from None
                    await asyncio.sleep(0.25)
                else:
                    return

    def _last_words(self) -> str:
        return "; ".join(path.read_text(errors="replace")[-1000:] for path in self._folder.glob("*.log"))


def _generate(port: int) -> Bundle:
    """A configuration whose API server is on this port, for those who ask it from here and for itself."""
    local = read_patch(f"cluster:\n  controlPlane:\n    localAPIServerPort: {port}\n")
    return generate("native", f"https://127.0.0.1:{port}", choices=Choices(patches=(local,)))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

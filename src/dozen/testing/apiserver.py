"""A real Kubernetes control plane on this computer, with its etcd, for tests of what speaks with one.

The programs get the command lines and files that a node would give them, rendered by the node's own controllers from a
generated configuration; only the paths lead elsewhere, and what names the node's network is loopback here. It is up
within seconds.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import subprocess
import time
from pathlib import Path
from typing import IO

from dozen.machinery import pki, x509, yaml
from dozen.machinery.config.generating import generate
from dozen.machinery.effects.files import WriteFile
from dozen.machinery.kubernetes import paths
from dozen.machinery.kubernetes.kubeconfig import Access
from dozen.machinery.resources import config, controlplane, network
from dozen.node.controllers.kubernetes import kubernetes_controllers
from dozen.node.kubernetes.client import Client, KubernetesError
from dozen.testing.controllers import Bench

START_SECONDS = 90.0
# What cannot be as on a node: etcd has no TLS here, and loopback is not an address to tell others.
_ELSEWHERE = ("--etcd-", "--advertise-address=", "--bind-address=", "--secure-port=")


class ApiServer:
    """``binaries`` holds etcd, kube-apiserver and the others; everything else is kept in ``folder``."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries, self._folder = binaries, folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._logs: list[IO[bytes]] = []
        self.ca = pki.new_ca()
        self.port = 0
        self._arguments: dict[str, list[str]] = {}

    async def start(self) -> None:
        """Until it is ready to serve."""
        client_port, peer_port, self.port = (_free_port() for _ in range(3))
        etcd = f"http://127.0.0.1:{client_port}"
        peer = f"http://127.0.0.1:{peer_port}"
        self._spawn(
            "etcd",
            *("--name=test", f"--data-dir={self._folder}/etcd", "--unsafe-no-fsync", "--log-level=error"),
            *(f"--listen-client-urls={etcd}", f"--advertise-client-urls={etcd}"),
            *(f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=test={peer}"),
        )
        arguments = await self._prepare()
        own = ("--bind-address=127.0.0.1", "--endpoint-reconciler-type=none", f"--secure-port={self.port}")
        self._spawn(paths.APISERVER, f"--etcd-servers={etcd}", *own, *arguments[paths.APISERVER])
        await self._await_ready()
        self._arguments = arguments

    def start_others(self) -> None:
        """The controller-manager and the scheduler, which most tests do without."""
        for program in (paths.CONTROLLER_MANAGER, paths.SCHEDULER):
            self._spawn(program, f"--secure-port={_free_port()}", *self._arguments[program])

    def alive(self) -> list[str]:
        """The programs that run."""
        return [str(process.args[0]).rpartition("/")[2] for process in self._processes if process.poll() is None]  # type: ignore[index]

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
        pair = pki._issue(self.ca, x509.Name(groups, name), (x509.CLIENT_AUTH,), pki.ADMIN_LIFETIME, None)
        return Access("127.0.0.1", self.port, self.ca.crt.encode(), pair.crt.encode(), pair.key.encode())

    def admin(self) -> Access:
        return self.access("admin", "system:masters")

    async def _prepare(self) -> dict[str, list[str]]:
        """Write every file that the programs read; the result are their command lines."""
        self._write_keys()
        async with Bench(*kubernetes_controllers()) as bench:
            text = generate("native", f"https://127.0.0.1:{self.port}").controlplane
            bench.put(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text))
            bench.put(network.HOSTNAME_STATUS, "hostname", network.HostnameStatusSpec(hostname="cp-1"))
            bench.put(network.NODE_ADDRESS, "routed", network.NodeAddressSpec(addresses=("10.0.0.1/24",)))
            await bench.settle()
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

    def _write_keys(self) -> None:
        """What the node's certificates would be, under the names that the command lines have."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        accounts = ec.generate_private_key(ec.SECP256R1())
        private = accounts.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        public = accounts.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        server = pki.server_certificate(self.ca, ["127.0.0.1"], ["localhost"])
        kubelet_client, front = self.access("apiserver-kubelet-client"), self.access("front-proxy-client")
        own = {
            "apiserver.crt": server.crt,
            "apiserver.key": pki.tls_key(server.key),
            "apiserver-kubelet-client.crt": kubelet_client.certificate.decode(),
            "apiserver-kubelet-client.key": kubelet_client.key.decode(),
            "front-proxy-client.crt": front.certificate.decode(),
            "front-proxy-client.key": front.key.decode(),
            "aggregator-ca.crt": self.ca.crt,
            "service-account.pub": public.decode(),
        }
        common = {
            "ca.crt": self.ca.crt,
            "ca.key": pki.tls_key(self.ca.key),
            "service-account.key": private.decode(),
        }
        for name, text in {**own, **common}.items():
            self._write(paths.secret(paths.APISERVER, name), text)
        for program in (paths.CONTROLLER_MANAGER, paths.SCHEDULER):
            for name, text in common.items():
                self._write(paths.secret(program, name), text)
            self._write(paths.secret(program, "kubeconfig"), self._kubeconfig(f"system:{program}"))

    def _kubeconfig(self, user: str) -> str:
        access = self.access(user)
        encoded = {
            "certificate-authority-data": access.ca,
            "client-certificate-data": access.certificate,
            "client-key-data": pki.tls_key(access.key.decode()).encode(),
        }
        data = {name: base64.b64encode(value).decode() for name, value in encoded.items()}
        ca = {"certificate-authority-data": data.pop("certificate-authority-data")}
        return yaml.dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{self.port}", **ca}}],
                "users": [{"name": "u", "user": data}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )

    def _moved(self, text: str) -> str:
        """Paths of the node lead into the folder."""
        return text.replace("/system/", f"{self._folder}/system/").replace(
            paths.AUDIT_LOG, f"{self._folder}{paths.AUDIT_LOG}"
        )

    def _write(self, path: str, text: str) -> None:
        target = self._folder / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

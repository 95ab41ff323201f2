"""A real kube-apiserver on this computer, with its etcd, for tests of what speaks with one. It is up within seconds.

Both listen on loopback addresses on free ports. Authorization is Node and RBAC and admission has NodeRestriction and
Pod Security, as on a node; certificates are made by our own PKI.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from pathlib import Path
from typing import IO

from dozen.machinery import pki, x509
from dozen.machinery.kubernetes.kubeconfig import Access
from dozen.node.kubernetes.client import Client, KubernetesError

START_SECONDS = 90.0
POD_SECURITY = """
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
  - name: PodSecurity
    configuration:
      apiVersion: pod-security.admission.config.k8s.io/v1
      kind: PodSecurityConfiguration
      defaults: {enforce: baseline, warn: restricted}
      exemptions: {namespaces: [kube-system]}
"""


class ApiServer:
    """``binaries`` holds etcd and kube-apiserver; everything else is kept in ``folder``."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries, self._folder = binaries, folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._logs: list[IO[bytes]] = []
        self.ca = pki.new_ca()
        self.port = 0

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
        self._write_files()
        self._spawn("kube-apiserver", f"--etcd-servers={etcd}", *self._arguments())
        await self._await_ready()

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

    def _write_files(self) -> None:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        server = pki.server_certificate(self.ca, ["127.0.0.1"], ["localhost"])
        key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        files = {
            "ca.pem": self.ca.crt,
            "server.pem": server.crt,
            "server.key": pki.tls_key(server.key),
            "accounts.key": key.decode(),
            "admission.yaml": POD_SECURITY,
        }
        for name, text in files.items():
            (self._folder / name).write_text(text)

    def _arguments(self) -> list[str]:
        files = {
            "client-ca-file": "ca.pem",
            "tls-cert-file": "server.pem",
            "tls-private-key-file": "server.key",
            "service-account-key-file": "accounts.key",
            "service-account-signing-key-file": "accounts.key",
            "admission-control-config-file": "admission.yaml",
        }
        return [
            *(f"--{flag}={self._folder}/{name}" for flag, name in files.items()),
            *("--bind-address=127.0.0.1", f"--secure-port={self.port}", "--endpoint-reconciler-type=none"),
            *("--service-cluster-ip-range=10.96.0.0/12", "--service-account-issuer=https://127.0.0.1"),
            *("--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"),
            "--allow-privileged=true",
        ]

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

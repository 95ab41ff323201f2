"""The real programs of the control plane with the command lines and files that a node gives them."""

from __future__ import annotations

import asyncio
import socket
import ssl
import warnings

import pytest

from dozen.machinery.kubeconfig import Access
from dozen.node.kubernetes.client import Client
from dozen.node.kubernetes.errors import ApiError
from dozen.testing.apiserver import ApiServer
from dozen.testing.portal import Portal


def test_liveness_may_be_asked_by_anybody_and_nothing_else(apiserver: ApiServer, portal: Portal) -> None:
    async def run() -> None:
        async with Client(Access("127.0.0.1", apiserver.port, apiserver.ca.crt.encode())) as nobody:
            assert await nobody.text("/livez") == "ok"
            assert await nobody.text("/readyz") == "ok"
            with pytest.raises(ApiError) as caught:
                await nobody.text("/api")
            assert caught.value.status == 401

    portal.run(run())


def handshake(port: int, version: ssl.TLSVersion, ciphers: str) -> str:
    """The cipher that a client of this version with these ciphers (OpenSSL's names) gets. Raises SSLError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # This computer's own library would refuse before the server is asked.
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", port), 10) as connection,
        context.wrap_socket(connection, server_hostname="localhost") as tls,
    ):
        return str((tls.cipher() or ("",))[0])


@pytest.mark.parametrize(
    ("version", "ciphers", "said"),
    [
        (ssl.TLSVersion.TLSv1, "ALL", "protocol version"),
        (ssl.TLSVersion.TLSv1_1, "ALL", "protocol version"),
        # Block chaining, and no secrecy once the key is known; the certificate's key would allow the first.
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA256", "handshake failure"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-SHA", "handshake failure"),
        (ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256", "handshake failure"),
    ],
)
def test_the_api_speaks_no_old_tls_and_no_weak_cipher(
    apiserver: ApiServer, version: ssl.TLSVersion, ciphers: str, said: str
) -> None:
    with pytest.raises(ssl.SSLError) as refused:
        handshake(apiserver.port, version, ciphers)
    # The server's own refusal, not this side's.
    assert f"alert {said}" in str(refused.value).replace("_", " ").lower()
    strong = "ECDHE-ECDSA-AES128-GCM-SHA256"
    assert handshake(apiserver.port, ssl.TLSVersion.TLSv1_2, f"{ciphers}:{strong}") == strong


def test_no_program_complains_about_its_command_line_or_files(apiserver: ApiServer, portal: Portal) -> None:
    apiserver.start_others()

    async def leading() -> bool:
        async with Client(apiserver.admin()) as client:
            leases = await client.list("coordination.k8s.io/v1", "Lease", "kube-system")
            held = {lease["metadata"]["name"] for lease in leases if lease["spec"].get("holderIdentity")}
            return {"kube-controller-manager", "kube-scheduler"} <= held

    async def run() -> None:
        async with asyncio.timeout(60):
            while not await leading():
                await asyncio.sleep(0.5)

    portal.run(run(), 70)
    assert set(apiserver.alive()) >= {"kube-apiserver", "kube-controller-manager", "kube-scheduler"}
    for program in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        complaints = [line for line in apiserver.log(program).splitlines() if "deprecated" in line.lower()]
        assert [line for line in complaints if "Flag" in line or "flag" in line] == []


def test_secrets_are_encrypted_at_rest_and_pods_held_to_the_baseline(apiserver: ApiServer, portal: Portal) -> None:
    async def run() -> None:
        async with Client(apiserver.admin()) as client:
            spec = {"containers": [{"name": "c", "image": "i", "securityContext": {"privileged": True}}]}
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "users"}}
            await client.apply(namespace)
            account = {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": "default", "namespace": "users"},
            }
            await client.apply(account)
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "users"}, "spec": spec}
            with pytest.raises(ApiError, match="violates PodSecurity"):
                await client.create(pod)
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "users"}}
            await client.apply({**secret, "data": {"value": "aHVzaGh1c2g="}})

    portal.run(run())
    assert b"hushhush" not in apiserver.stored_bytes()

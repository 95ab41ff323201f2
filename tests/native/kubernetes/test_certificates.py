"""The certificates that a node makes, with the programs that they are for."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from pathlib import Path

import pytest

from dozen.machinery import certificates, pki
from dozen.machinery.kubeconfig import Access
from dozen.node.kubernetes.client import Client
from dozen.node.kubernetes.errors import ApiError, KubernetesError
from dozen.testing.apiserver import ApiServer
from dozen.testing.portal import Portal
from native.kubernetes.test_membership import put_node, until


def test_a_renewal_is_taken_up_and_nobody_notices(apiserver: ApiServer, portal: Portal) -> None:
    before = apiserver.serving_certificate()
    answers: list[str] = []

    async def run() -> None:
        async with Client(apiserver.admin()) as client, asyncio.timeout(90):
            await apiserver.renew()
            while await asyncio.to_thread(apiserver.serving_certificate) == before:
                answers.append(await client.text("/readyz"))
                await asyncio.sleep(0.5)
        async with Client(apiserver.admin()) as later:
            answers.append(await later.text("/readyz/etcd"))

    portal.run(run(), 100)
    assert set(answers) == {"ok"}
    old, new = pki.certificate(before), pki.certificate(apiserver.serving_certificate())
    assert (old.serial == new.serial, old.public_key == new.public_key) == (False, False)
    assert set(new.dns) >= {"kubernetes.default.svc.cluster.local", "cp-1", "localhost"}


class Asked:
    """Stands where a kubelet and an aggregated API server would, and notes whose certificate it is shown by path."""

    def __init__(self, apiserver: ApiServer, folder: Path) -> None:
        pair = certificates.issue(
            apiserver.ca, usages=certificates.BOTH, names=("127.0.0.1", "localhost"), lifetime=3600
        )
        (folder / "crt").write_text(pair.crt)
        (folder / "key").write_text(pair.key)
        self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.tls.load_cert_chain(folder / "crt", folder / "key")
        self.tls.load_verify_locations(cadata=apiserver.ca.crt + apiserver.aggregator_ca.crt)
        self.tls.verify_mode = ssl.CERT_REQUIRED
        self.shown: dict[str, tuple[str, int]] = {}

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One question a connection, so that every question shows the certificate of its moment."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        certificate = pki.certificate(ssl.DER_cert_to_PEM_cert(shown))
        self.shown[head.split()[1].partition("?")[0]] = (certificate.subject.common_name, certificate.serial)
        body = b'{"kind": "APIResourceList", "groupVersion": "shown.example.org/v1", "resources": []}'
        kind = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        writer.write(kind + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()


LOGS, GROUP = "/containerLogs/shown/p/c", "/apis/shown.example.org/v1"


async def stand_in(client: Client, port: int) -> None:
    """A node and a pod on it whose log only that kubelet has, and a kind that another server serves."""
    place = {"namespace": "shown"}
    await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shown"}})
    await client.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", **place}})
    await put_node(client, "shown", "127.0.0.1")
    status = {"daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}
    await client.patch("v1", "Node", "shown", {"status": status}, subresource="status")
    spec = {"nodeName": "shown", "containers": [{"name": "c", "image": "i"}], "automountServiceAccountToken": False}
    await client.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", **place}, "spec": spec})
    outside = {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]}
    await client.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", **place}, "spec": outside})
    served = {
        "group": "shown.example.org",
        "version": "v1",
        "service": {"name": "s", "port": port, **place},
        "caBundle": None,
        "insecureSkipTLSVerify": True,
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
    }
    metadata = {"name": "v1.shown.example.org"}
    await client.apply(
        {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": metadata, "spec": served}
    )


def test_whom_the_api_server_asks_and_who_asks_etcd_see_renewed_certificates(
    apiserver: ApiServer, portal: Portal, tmp_path: Path
) -> None:
    """kubelets, aggregated API servers, etcd: connections that are made from then on, nothing is started again."""

    async def run() -> None:
        asked = Asked(apiserver, tmp_path)
        server = await asyncio.start_server(asked.answer, "127.0.0.1", ssl=asked.tls)
        async with server, Client(apiserver.admin()) as client:
            await stand_in(client, server.sockets[0].getsockname()[1])

            async def shown() -> dict[str, tuple[str, int]]:
                asked.shown.clear()
                for path in ("/api/v1/namespaces/shown/pods/p/log", GROUP):
                    with contextlib.suppress(KubernetesError):  # an aggregated server is found well after a moment
                        await client.text(path)
                etcd = pki.certificate(await asyncio.to_thread(apiserver.etcd_certificate))
                return {**asked.shown, "etcd": (etcd.subject.common_name, etcd.serial)}

            async def all_three() -> dict[str, tuple[str, int]]:
                found = await shown()
                return found if {LOGS, GROUP, "etcd"} <= set(found) else {}

            before = await until(all_three, 60)
            assert (before[LOGS][0], before[GROUP][0]) == ("apiserver-kubelet-client", "front-proxy-client")
            processes = apiserver.processes()
            await apiserver.renew()

            async def renewed() -> bool:
                now = await all_three()
                return all(who in now and now[who][1] != before[who][1] for who in (LOGS, GROUP, "etcd"))

            await until(renewed, 60)
            assert apiserver.processes() == processes
            await client.delete("apiregistration.k8s.io/v1", "APIService", "v1.shown.example.org")
            await client.delete("v1", "Namespace", "shown")

    portal.run(run(), 150)


def test_a_stranger_s_certificate_is_no_identity(apiserver: ApiServer, portal: Portal) -> None:
    stranger = certificates.issue(pki.new_ca(), "admin", organizations=("system:masters",), lifetime=3600)

    async def run() -> None:
        ca = apiserver.ca.crt.encode()
        access = Access("127.0.0.1", apiserver.port, ca, stranger.crt.encode(), stranger.key.encode())
        async with Client(access) as client:
            with pytest.raises(ApiError) as caught:
                await client.text("/api")
            assert caught.value.status == 401

    portal.run(run())


def test_a_control_plane_s_kubelet_may_do_what_its_node_may(apiserver: ApiServer, portal: Portal) -> None:
    async def run() -> None:
        async with Client(apiserver.access("system:node:cp-9", "system:nodes")) as kubelet:
            node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "cp-9"}}
            await kubelet.create(node)
            with pytest.raises(ApiError, match="is not allowed to"):
                await kubelet.create({**node, "metadata": {"name": "another"}})

    portal.run(run())


def test_the_audit_log_tells_who_did_what_but_no_secrets(apiserver: ApiServer, portal: Portal) -> None:
    async def run() -> None:
        async with Client(apiserver.access("auditor", "system:masters")) as client:
            await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "audited"}})
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "audited"}}
            await client.apply({**secret, "data": {"value": base64.b64encode(b"not in any log").decode()}})

    portal.run(run())
    mine = [entry for entry in apiserver.audit() if (entry["user"] or {}).get("username") == "auditor"]  # type: ignore[attr-defined]
    assert {(entry["objectRef"]["resource"], entry["verb"]) for entry in mine if "objectRef" in entry} >= {  # type: ignore[index]
        ("namespaces", "patch"),
        ("secrets", "patch"),
    }
    assert base64.b64encode(b"not in any log").decode() not in str(mine)

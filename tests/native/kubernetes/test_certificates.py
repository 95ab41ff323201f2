"""The certificates that a node makes, with the programs that they are for."""

from __future__ import annotations

import asyncio
import base64

import pytest

from dozen.machinery import certificates, pki
from dozen.machinery.kubeconfig import Access
from dozen.node.kubernetes.client import Client
from dozen.node.kubernetes.errors import ApiError
from dozen.testing.apiserver import ApiServer
from dozen.testing.portal import Portal


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

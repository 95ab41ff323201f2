"""etcd and kubeconfigs over the API: who may ask whom, and what is answered."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from dozen.machinery import pki
from dozen.machinery.config import generate, load
from dozen.machinery.kubeconfig import read_kubeconfig
from dozen.machinery.messages import message
from dozen.machinery.resources import secrets
from dozen.node.api import build_router, theme_paths
from dozen.node.api.kubeconfig import find_kubeconfig
from dozen.node.controllers.trust.roots import kubernetes_root
from dozen.rpc.status import Code, RpcError
from dozen.testing.calls import FakeCall
from dozen.testing.machine import FakeMachine

Ask = Callable[..., list[Any]]
SERVICE = "machine.MachineService"
BUNDLE = generate("prod", "https://10.0.0.1:6443")


class FakeClient:
    """This node's member as it answers; ``asked`` is what was asked of it to be done."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def list_members(self, *, local: bool = False) -> list[Any]:
        member = message("etcdserverpb.Member")
        return [
            member(ID=1, name="cp-1", peerURLs=["https://10.0.0.1:2380"], clientURLs=["https://10.0.0.1:2379"]),
            member(ID=2, name="cp-2", isLearner=True),
        ]

    async def status(self) -> Any:
        return message("etcdserverpb.StatusResponse")(
            header={"member_id": 1}, version="3.6.16", dbSize=4096, dbSizeInUse=1024, leader=1, raftTerm=7
        )

    async def list_alarms(self) -> list[Any]:
        return [message("etcdserverpb.AlarmMember")(memberID=1, alarm=1)]

    async def clear_alarms(self) -> list[Any]:
        return await self.list_alarms()

    async def defragment(self) -> None:
        self.asked.append("defragment")

    async def remove_member(self, id: int) -> None:
        self.asked.append(id)

    async def downgrade(self, action: str, version: str = "") -> str:
        self.asked.append((action, version))
        return "3.6.0"

    async def snapshot(self) -> AsyncIterator[bytes]:
        yield b"data"
        yield b"base"


class FakeMember:
    """What the machine has in etcd's place."""

    def __init__(self) -> None:
        self.local = FakeClient()
        self.asked: list[Any] = []
        self.received = b""

    async def bootstrap(self, *, recover: bool = False, skip_hash_check: bool = False) -> None:
        self.asked.append((recover, skip_hash_check))

    async def receive_snapshot(self, chunks: AsyncIterator[bytes]) -> int:
        self.received = b"".join([chunk async for chunk in chunks])
        return len(self.received)

    async def leave(self) -> None:
        self.asked.append("leave")

    async def hand_over(self) -> str:
        return "cp-2"


@pytest.fixture
def member(machine: FakeMachine) -> FakeMember:
    machine.config = load(BUNDLE.controlplane)
    machine.etcd = found = FakeMember()  # type: ignore[assignment]
    return found


def test_members(ask: Ask, member: FakeMember) -> None:
    (answer,) = ask(f"{SERVICE}/EtcdMemberList")[0].messages
    assert list(answer.legacy_members) == ["cp-1", "cp-2"]
    first, second = answer.members
    assert (first.id, first.hostname, list(first.client_urls)) == (1, "cp-1", ["https://10.0.0.1:2379"])
    assert second.is_learner


def test_status_and_alarms(ask: Ask, member: FakeMember) -> None:
    status = ask(f"{SERVICE}/EtcdStatus")[0].messages[0].member_status
    assert (status.member_id, status.protocol_version, status.db_size, status.raft_term) == (1, "3.6.16", 4096, 7)
    for method in ("EtcdAlarmList", "EtcdAlarmDisarm"):
        (alarm,) = ask(f"{SERVICE}/{method}")[0].messages[0].member_alarms
        assert (alarm.member_id, alarm.alarm) == (1, 1)


def test_upkeep(ask: Ask, member: FakeMember) -> None:
    assert len(ask(f"{SERVICE}/EtcdDefragment")[0].messages) == 1
    assert len(ask(f"{SERVICE}/EtcdRemoveMemberByID", member_id=2)[0].messages) == 1
    version = ask(f"{SERVICE}/EtcdDowngradeEnable", version="3.5")[0].messages[0].cluster_downgrade.cluster_version
    assert version == "3.6.0"
    assert member.local.asked == ["defragment", 2, ("ENABLE", "3.5")]
    assert ask(f"{SERVICE}/EtcdForfeitLeadership")[0].messages[0].member == "cp-2"
    assert len(ask(f"{SERVICE}/EtcdLeaveCluster")[0].messages) == 1
    assert member.asked == ["leave"]


@pytest.mark.parametrize(("id", "code"), [(9, Code.NOT_FOUND), (1, Code.INVALID_ARGUMENT)])
def test_members_that_cannot_be_removed(ask: Ask, member: FakeMember, id: int, code: Code) -> None:
    with pytest.raises(RpcError) as caught:
        ask(f"{SERVICE}/EtcdRemoveMemberByID", member_id=id)
    assert caught.value.code is code
    assert member.local.asked == []


def test_snapshots_go_out_and_come_in(ask: Ask, machine: FakeMachine, member: FakeMember) -> None:
    assert b"".join(part.bytes for part in ask(f"{SERVICE}/EtcdSnapshot")) == b"database"
    data = message("common.Data")
    call = FakeCall(f"/{SERVICE}/EtcdRecover", [data(bytes=b"data"), data(bytes=b"base")])
    asyncio.run(build_router(machine)(call))  # type: ignore[arg-type, arg-type]
    assert member.received == b"database"
    assert len(call.replies[0].messages) == 1


def test_bootstrap(ask: Ask, member: FakeMember) -> None:
    assert len(ask(f"{SERVICE}/Bootstrap")[0].messages) == 1
    ask(f"{SERVICE}/Bootstrap", recover_etcd=True, recover_skip_hash_check=True)
    assert member.asked == [(False, False), (True, True)]


@pytest.mark.parametrize("path", [*theme_paths("etcd"), *theme_paths("kubeconfig")])
def test_a_worker_has_none_of_it(machine: FakeMachine, path: str) -> None:
    machine.config = load(BUNDLE.worker)
    call = FakeCall(path, [b""])
    with pytest.raises(RpcError, match="only available on control plane nodes") as caught:
        asyncio.run(build_router(machine)(call))  # type: ignore[arg-type]
    assert caught.value.code is Code.UNIMPLEMENTED


def test_a_machine_without_configuration_says_what_to_do(ask: Ask, machine: FakeMachine) -> None:
    machine.config = SimpleNamespace(is_complete=False)
    with pytest.raises(RpcError, match="apply one first") as caught:
        ask(f"{SERVICE}/Bootstrap")
    assert caught.value.code is Code.FAILED_PRECONDITION


def give_kubernetes(machine: FakeMachine) -> None:
    """What a control plane has when its certificates are made."""
    root = kubernetes_root(machine.config)
    machine.store.put(secrets.KUBERNETES_ROOT, secrets.KUBERNETES, root)
    machine.store.put(secrets.KUBERNETES_CERTS, secrets.KUBERNETES_CERTS_ID, secrets.KubernetesCertsSpec())


def test_an_administrator_s_certificate_is_good_for_as_long_as_the_configuration_says(machine: FakeMachine) -> None:
    machine.config = load(
        BUNDLE.controlplane.replace("cluster:\n", "cluster:\n    adminKubeconfig: {certLifetime: 2h}\n")
    )
    give_kubernetes(machine)
    found = [pki.certificate(read_kubeconfig(find_kubeconfig(machine)).certificate.decode()) for _ in range(2)]
    assert {each.not_after - each.not_before - pki.BACKDATE for each in found} == {2 * 3600}
    assert found[0].serial != found[1].serial


def test_a_kubeconfig_is_one_file_in_an_archive(ask: Ask, machine: FakeMachine, member: FakeMember) -> None:
    with pytest.raises(RpcError, match="not made yet"):
        ask(f"{SERVICE}/Kubeconfig")
    give_kubernetes(machine)
    packed = b"".join(part.bytes for part in ask(f"{SERVICE}/Kubeconfig"))
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        (entry,) = archive.getmembers()
        content = archive.extractfile(entry)
        assert content is not None
        access = read_kubeconfig(content.read().decode())
    assert (access.host, access.port) == ("10.0.0.1", 6443)
    assert (entry.name, entry.mode) == ("kubeconfig", 0o600)

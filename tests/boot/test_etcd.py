"""Three members of etcd: one is lost, a snapshot is taken, and everything is made again from it.

The machines run nothing but etcd: their configuration names a kubelet image that nobody has, so no static pod starts.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest

from dozen.machinery import certificates
from dozen.machinery.config import secrets
from dozen.machinery.messages import message, method_types
from dozen.node.etcd.arguments import CLIENT_PORT
from dozen.node.etcd.client import EtcdClient
from dozen.provider import qmp
from dozen.provider.cluster import Clusters
from dozen.provider.machines import BootImage
from dozen.provider.network import Router
from dozen.provider.qemu import find_port
from dozen.rpc.status import RpcError
from dozen.rpc.tls import client_context
from dozen.testing.kubecluster import KubeCluster
from dozen.testing.live import MACHINE, LiveNode
from dozen.testing.portal import Portal

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

NO_KUBELET = "machine: {kubelet: {image: 'localhost/none:v1'}}"
NAMES = [f"etcd-controlplane-{number}" for number in (1, 2, 3)]
SMALL: dict[str, Any] = {"cpus": 1, "memory_mib": 1024, "disk_mib": 4096, "kubernetes": False}
CHUNK = 1 << 20
KEY = "/test/kept"
ValueT = TypeVar("ValueT")


@pytest.fixture(scope="module")
def trio(image: BootImage, portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeCluster]:
    """Three control planes, of which the first was told to begin."""
    environ = {**os.environ, "XDG_STATE_HOME": str(tmp_path_factory.mktemp("clusters"))}
    cluster = KubeCluster(Clusters(environ), "etcd", image.kernel.parent, portal)
    try:
        # The cluster's endpoint stays the first machine, where the others find etcd while there is no Kubernetes.
        cluster.create(**SMALL, patches=(NO_KUBELET,))
        # It is refused, with the reason, until there is a volume for etcd's data.
        cluster.first.until(lambda: cluster.first.call("Bootstrap", seconds=60), "etcd to be told to begin")
        cluster.create(**SMALL, control_planes=3, patches=(NO_KUBELET,))
        for node in cluster.nodes.values():
            node.until_healthy("etcd", seconds=300)
        yield cluster
    finally:
        cluster.destroy()


def members(node: LiveNode) -> dict[str, Any]:
    return {member.hostname: member for member in node.call("EtcdMemberList").messages[0].members}


def voters(node: LiveNode) -> set[str]:
    return {name for name, member in members(node).items() if not member.is_learner}


def stop(trio: KubeCluster, node: LiveNode) -> None:
    trio.portal.run(trio.clusters.provider.stop(node.machine.folder))


def test_all_three_vote_and_agree_on_a_leader(trio: KubeCluster) -> None:
    trio.first.until(lambda: voters(trio.first) == set(NAMES), "three voters", 300)
    leaders = {node.call("EtcdStatus").messages[0].member_status.leader for node in trio.nodes.values()}
    assert len(leaders) == 1
    assert leaders <= {member.id for member in members(trio.first).values()}


def test_a_second_bootstrap_is_refused(trio: KubeCluster) -> None:
    with pytest.raises(RpcError, match="etcd data directory is not empty"):
        trio.first.call("Bootstrap")


def test_without_one_member_the_others_go_on_and_can_drop_it(trio: KubeCluster) -> None:
    lost = trio.nodes.pop(NAMES[2])
    identity = members(trio.first)[NAMES[2]].id
    stop(trio, lost)
    lost.close()
    status = trio.first.until(lambda: trio.first.call("EtcdStatus").messages[0].member_status, "a status", 60)
    assert status.leader
    trio.first.until(lambda: trio.first.call("EtcdRemoveMemberByID", member_id=identity) or True, "its removal", 120)
    assert voters(trio.first) == set(NAMES[:2])


def ask_etcd(trio: KubeCluster, work: Callable[[EtcdClient], Awaitable[ValueT]]) -> ValueT:
    """What ``work`` gets from the first member's etcd, as its administrator. The machine API does not let anybody at
    the data, so this is a way in of the test's own: a port of the cluster's network and a certificate of etcd's CA."""
    folder = trio.clusters.folder / "etcd"
    router = Router(folder / "network")
    address, port = router.places()[NAMES[0]].address, find_port()
    rule = f"tcp:127.0.0.1:{port}-{address}:{CLIENT_PORT}"
    command: dict[str, Any] = {"command-line": f"hostfwd_add user {rule}"}
    said = qmp.execute(router.folder / "qmp.sock", "human-monitor-command", **command)
    assert not said, said
    authority = secrets.parse((folder / "secrets.yaml").read_text()).etcd
    pair = certificates.issue(authority, "test", lifetime=3600)
    tls = client_context(authority.crt.encode(), pair.crt.encode(), pair.key.encode())

    async def ask() -> ValueT:
        async with EtcdClient("127.0.0.1", tls, port) as client:
            return await work(client)

    return trio.portal.run(ask(), 60)


def test_everything_is_made_again_from_a_snapshot(trio: KubeCluster) -> None:
    first = trio.first
    assert ask_etcd(trio, lambda etcd: etcd.create(KEY, "written before", 0)) == (True, "written before")
    before = first.call("EtcdStatus").messages[0].member_status
    snapshot = b"".join(part.bytes for part in first.call("EtcdSnapshot", seconds=120))
    assert len(snapshot) > 1024
    for node in list(trio.nodes.values()):
        stop(trio, node)
        node.close()
    # As after the loss of all disks: blank machines with the same configuration.
    for name in NAMES:
        (trio.clusters.folder / "etcd" / "nodes" / name / "disk.raw").unlink()
    trio.nodes.clear()
    trio.create(**SMALL)
    first = trio.first
    first.until_healthy("containerd")
    recover(first, snapshot)
    first.call("Bootstrap", recover_etcd=True, seconds=120)
    first.until_healthy("etcd", seconds=300)
    first.until(lambda: voters(first) == set(NAMES), "three voters again", 400)
    after = first.call("EtcdStatus").messages[0].member_status
    assert after.raft_applied_index > 0
    assert after.db_size >= before.db_size / 4
    assert ask_etcd(trio, lambda etcd: etcd.get(KEY)) == "written before"
    # It is a cluster that goes on, not only one that can be read.
    assert ask_etcd(trio, lambda etcd: etcd.create(f"{KEY}-too", "written after", 0)) == (True, "written after")


def recover(node: LiveNode, snapshot: bytes) -> None:
    path, data = MACHINE + "EtcdRecover", message("common.Data")
    types = method_types(path)
    assert types.request is data
    node.converse(path, (data(bytes=snapshot[at : at + CHUNK]) for at in range(0, len(snapshot), CHUNK)), seconds=120)

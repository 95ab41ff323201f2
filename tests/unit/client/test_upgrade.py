"""An upgrade against a cluster that follows its configurations at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dozen.client import upgrade as module
from dozen.client.errors import ClientError
from dozen.client.kubernetes import KubernetesError
from dozen.client.upgrade import Upgrade
from dozen.machinery.config import load
from dozen.machinery.config.generating import generate
from dozen.machinery.kubernetes import upgrades
from dozen.machinery.kubernetes.upgrades import UpgradeError, Version

BUNDLE = generate("c", "https://10.0.0.1:6443")
NEW = Version(1, 37, 0)
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


class Cluster:
    """Two control planes and a worker; what a configuration says is what runs."""

    def __init__(self) -> None:
        self.texts = {"10.0.0.1": BUNDLE.controlplane, "10.0.0.2": BUNDLE.controlplane, "10.0.0.3": BUNDLE.worker}
        self.applied: list[tuple[str, str]] = []
        self.metrics = ""
        self.failures = 0

    # -- As Kubernetes.

    def request(self, method: str, path: str) -> bytes:
        return self.metrics.encode()

    def get(self, path: str) -> Any:
        if self.failures:
            self.failures -= 1
            raise KubernetesError(503, "", "is being restarted")
        name = path.rpartition("/")[2]
        if path == "/version":
            return {"gitVersion": "v1.36.3"}
        if path == "/api/v1/nodes":
            return {"items": [self.node(at) for at in (1, 2, 3)]}
        if path.startswith("/api/v1/nodes/"):
            return self.node(int(name[1:]))
        if name == "kube-proxy":
            image = self.image("10.0.0.1", "kube-proxy")
            spec = {"template": {"spec": {"containers": [{"image": image}]}}}
            status = {
                "desiredNumberScheduled": 3,
                "updatedNumberScheduled": 3,
                "numberReady": 3,
                "observedGeneration": 1,
            }
            return {"metadata": {"generation": 1}, "spec": spec, "status": status}
        program, _, node = name.rpartition("-")
        image = self.image(f"10.0.0.{node[1:]}", program)
        return {"spec": {"containers": [{"image": image}]}, "status": READY}

    def node(self, at: int) -> dict[str, Any]:
        address = f"10.0.0.{at}"
        labels = {module.CONTROL_PLANE_LABEL: ""} if at < 3 else {}
        version = self.image(address, "kubelet").rpartition(":")[2]
        status = {"addresses": [{"type": "InternalIP", "address": address}], "nodeInfo": {"kubeletVersion": version}}
        return {"metadata": {"name": f"n{at}", "labels": labels}, "status": {**status, **READY}}

    def image(self, address: str, program: str) -> str:
        return upgrades.image_of(load(self.texts[address]), program)

    # -- As a connection to nodes.

    def connect(self, address: str) -> Any:
        cluster = self

        class Node:
            async def apply_configuration(self, text: str, mode: str) -> None:
                before, after = load(cluster.texts[address]), load(text)
                programs = (*upgrades.CONTROL_PLANE, upgrades.PROXY, upgrades.KUBELET)
                changed = [p for p in programs if upgrades.image_of(before, p) != upgrades.image_of(after, p)]
                cluster.texts[address] = text
                cluster.applied += [(address, program) for program in changed]

        return Node()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    found = Cluster()

    async def read(self: Upgrade, member: module.Member) -> tuple[Any, str]:
        text = found.texts[member.address]
        return load(text), text

    monkeypatch.setattr(Upgrade, "_read", read)
    monkeypatch.setattr(module, "PERIOD", 0.001)
    return found


def upgrade(cluster: Cluster, new: Version = NEW, **options: Any) -> list[str]:
    lines: list[str] = []
    asyncio.run(Upgrade(cluster.connect, cluster, lines.append, **options).run(new))  # type: ignore[arg-type]
    return lines


ORDER = [
    *((f"10.0.0.{at}", program) for program in upgrades.CONTROL_PLANE for at in (1, 2)),
    *((f"10.0.0.{at}", "kube-proxy") for at in (1, 2)),
    *((f"10.0.0.{at}", "kubelet") for at in (1, 2, 3)),
]


def test_programs_are_changed_in_their_order_node_after_node(cluster: Cluster) -> None:
    lines = upgrade(cluster)
    assert cluster.applied == ORDER
    assert lines[-1] == "done"


def test_a_second_run_finds_everything_done(cluster: Cluster) -> None:
    upgrade(cluster)
    cluster.applied.clear()
    upgrade(cluster, new=Version(1, 37, 0), kubelets=False)
    assert cluster.applied == []


def test_a_dry_run_changes_nothing(cluster: Cluster) -> None:
    lines = upgrade(cluster, dry_run=True)
    assert cluster.applied == []
    assert "n1: kube-apiserver would become registry.k8s.io/kube-apiserver:v1.37.0" in lines


def test_kubelets_can_be_left_for_later(cluster: Cluster) -> None:
    upgrade(cluster, kubelets=False)
    assert cluster.applied == ORDER[:-3]


def test_what_the_new_version_has_not_is_looked_for_first(cluster: Cluster) -> None:
    cluster.metrics = (
        'apiserver_requested_deprecated_apis{group="g",removed_release="1.37",resource="things",version="v1"} 1'
    )
    with pytest.raises(ClientError, match=r"clients still use things of g/v1, which v1\.37\.0 does not have"):
        upgrade(cluster)
    assert cluster.applied == []
    upgrade(cluster, ignore_removed=True)
    assert cluster.applied == ORDER


def test_there_is_no_way_back(cluster: Cluster) -> None:
    with pytest.raises(UpgradeError, match="cannot go back"):
        upgrade(cluster, Version(1, 36, 0))


def test_an_api_that_is_away_while_it_is_changed_is_waited_for(cluster: Cluster) -> None:
    asked = cluster.connect

    def connect(address: str) -> Any:
        node = asked(address)
        apply = node.apply_configuration

        async def and_restart(text: str, mode: str) -> None:
            await apply(text, mode)
            cluster.failures = 2

        node.apply_configuration = and_restart
        return node

    cluster.connect = connect  # type: ignore[method-assign]
    lines = upgrade(cluster)
    assert cluster.applied == ORDER
    assert any("the Kubernetes API: is being restarted" in line for line in lines)

"""The checks of a cluster's health against a cluster that the test describes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from dozen.machinery import yaml
from dozen.machinery.health import checks, run
from dozen.machinery.health.checks import CHECKS, MIB, Check, Skipped
from dozen.machinery.health.view import Node, Unmet
from dozen.machinery.messages import message

READY = {"conditions": [{"type": "Ready", "status": "True"}]}


def service(id: str, state: str = "Running", healthy: bool = True, said: str = "") -> dict[str, Any]:
    return {
        "id": id,
        "state": state,
        "health": {"healthy": healthy, "last_message": said},
        "events": {"events": [{"msg": "waiting for etcd"}]},
    }


class Cluster:
    """Two control planes and a worker, all well until a test says otherwise."""

    def __init__(self) -> None:
        self.members = [Node("10.0.0.1", True, True), Node("10.0.0.2", True), Node("10.0.0.3", False)]
        self.services = {node.address: [service("etcd"), service("kubelet")] for node in self.members}
        self.etcd = {"10.0.0.1": [1, 2], "10.0.0.2": [1, 2]}
        self.learners: set[int] = set()
        self.silent: set[str] = set()
        self.without_kubelet: set[str] = set()
        self.memory = {"10.0.0.1": 2000, "10.0.0.2": 2000, "10.0.0.3": 1000}
        self.resources: dict[tuple[str, str], list[tuple[str, Any]]] = {}
        for node in self.members:
            self.resources[node.address, "MachineStatuses"] = [("machine", {"stage": "running"})]
            image, disk = {"size": 9000 * MIB, "readonly": True}, {"size": 8000 * MIB}
            self.resources[node.address, "Disks"] = [("vda", image), ("vdb", disk)]
        self.objects: dict[str, list[dict[str, Any]]] = {
            "Node": [self.node(f"n{at}", f"10.0.0.{at}") for at in (1, 2, 3)],
            "Pod": [
                {"metadata": {"name": f"{program}-n{at}"}, "status": {"phase": "Running", **READY}}
                for program in checks.CONTROL_PLANE_PODS
                for at in (1, 2)
            ],
            "DaemonSet": [
                {"metadata": {"name": "kube-proxy"}, "status": {"numberReady": 3, "desiredNumberScheduled": 3}}
            ],
            "Deployment": [{"metadata": {"name": "coredns"}, "spec": {"replicas": 2}, "status": {"readyReplicas": 2}}],
        }

    def node(self, name: str, address: str) -> dict[str, Any]:
        addresses = [{"type": "InternalIP", "address": address}]
        return {"metadata": {"name": name}, "spec": {}, "status": {"addresses": addresses, **READY}}

    async def nodes(self) -> list[Node]:
        return self.members

    async def control_planes(self) -> list[Node]:
        return [node for node in self.members if node.control_plane]

    async def ask(self, node: Node, method: str, **fields: Any) -> Any:
        if node.address in self.silent:
            raise Unmet(f"{node.address}: no connection")
        if method.endswith("ServiceList"):
            return message("machine.ServiceListResponse")(messages=[{"services": self.services[node.address]}])
        if method.endswith("EtcdMemberList"):
            members = [
                {
                    "id": id,
                    "hostname": f"n{id}",
                    "peer_urls": [f"https://10.0.0.{id}:2380"],
                    "is_learner": id in self.learners,
                }
                for id in self.etcd[node.address]
            ]
            return message("machine.EtcdMemberListResponse")(messages=[{"members": members}])
        if method.endswith("Memory"):
            return message("machine.MemoryResponse")(
                messages=[{"meminfo": {"memtotal": self.memory[node.address] << 10}}]
            )
        return message("machine.VersionResponse")()

    async def runs_kubelet(self, node: Node) -> bool:
        return node.address not in self.without_kubelet

    async def listen(self, node: Node, method: str, **fields: Any) -> AsyncIterator[Any]:
        found = self.resources.get((node.address, fields["type"].partition(".")[0]), [])
        resources = [{"metadata": {"id": id}, "spec": {"yaml_spec": yaml.dump(spec)}} for id, spec in found]
        if method.endswith("Watch"):
            resources = [each for each in resources if each["metadata"]["id"] == fields["id"]]
            yield message("cosi.resource.WatchResponse")()
            yield message("cosi.resource.WatchResponse")(event=[{"resource": each} for each in resources or [{}]])
            return
        for each in resources:
            yield message("cosi.resource.ListResponse")(resource=each)

    async def list(self, api_version: str, kind: str, namespace: str = "") -> list[dict[str, Any]]:
        return self.objects[kind]

    async def find(self, api_version: str, kind: str, name: str, namespace: str = "") -> dict[str, Any] | None:
        return next((item for item in self.objects[kind] if item["metadata"]["name"] == name), None)


def outcome(check: Check, cluster: Cluster) -> str:
    try:
        asyncio.run(check.ask(cluster))
    except Unmet as error:
        return str(error)
    except Skipped as reason:
        return f"skip: {reason}"
    return "OK"


def named(name: str) -> Check:
    return next(check for check in CHECKS if name in check.name)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_cluster_that_is_well_passes(check: Check) -> None:
    assert outcome(check, Cluster()) == "OK"


def etcd_waits(cluster: Cluster) -> None:
    cluster.services["10.0.0.2"][0] = service("etcd", "Waiting")


def etcd_is_ill(cluster: Cluster) -> None:
    cluster.services["10.0.0.2"][0] = service("etcd", healthy=False, said="no leader")


def no_kubelet(cluster: Cluster) -> None:
    cluster.services["10.0.0.3"] = []


def no_kubelet_wanted(cluster: Cluster) -> None:
    no_kubelet(cluster)
    cluster.without_kubelet = {"10.0.0.3"}


def silence(cluster: Cluster) -> None:
    cluster.silent = {"10.0.0.2", "10.0.0.3"}


def split(cluster: Cluster) -> None:
    cluster.etcd["10.0.0.2"] = [2, 3]


def apart(cluster: Cluster) -> None:
    cluster.etcd["10.0.0.2"] = [3]


def learner(cluster: Cluster) -> None:
    cluster.learners = {2}


def lonely(cluster: Cluster) -> None:
    cluster.etcd = {"10.0.0.1": [1], "10.0.0.2": [1]}


def diagnosed(cluster: Cluster) -> None:
    cluster.resources["10.0.0.3", "Diagnostics"] = [("disk", {"message": "the disk is full"})]


def booting(cluster: Cluster) -> None:
    cluster.resources["10.0.0.3", "MachineStatuses"] = [("machine", {"stage": "booting"})]


def no_status(cluster: Cluster) -> None:
    cluster.resources["10.0.0.3", "MachineStatuses"] = []


def small(cluster: Cluster) -> None:
    cluster.memory = dict.fromkeys(cluster.memory, 1000)


def small_disk(cluster: Cluster) -> None:
    cluster.resources["10.0.0.2", "Disks"][1] = ("vdb", {"size": 4000 * MIB})


def no_disk(cluster: Cluster) -> None:
    cluster.resources["10.0.0.2", "Disks"] = []


def unknown_node(cluster: Cluster) -> None:
    cluster.objects["Node"].pop()


def no_scheduler(cluster: Cluster) -> None:
    cluster.objects["Pod"] = [each for each in cluster.objects["Pod"] if "scheduler-n2" not in each["metadata"]["name"]]


def pending(cluster: Cluster) -> None:
    cluster.objects["Pod"][0]["status"] = {"phase": "Pending"}


def not_ready(cluster: Cluster) -> None:
    said = {"type": "Ready", "status": "False", "message": "no CNI configuration"}
    cluster.objects["Node"][2]["status"]["conditions"] = [said]


def proxy_is_late(cluster: Cluster) -> None:
    cluster.objects["DaemonSet"][0]["status"]["numberReady"] = 1


def no_proxy(cluster: Cluster) -> None:
    cluster.objects["DaemonSet"] = []


def dns_is_late(cluster: Cluster) -> None:
    cluster.objects["Deployment"][0]["status"] = {}


def no_dns(cluster: Cluster) -> None:
    cluster.objects["Deployment"] = []


def cordoned(cluster: Cluster) -> None:
    cluster.objects["Node"][1]["spec"]["unschedulable"] = True


@pytest.mark.parametrize(
    ("check", "harm", "said"),
    [
        ("apid", silence, "10.0.0.2: no connection; 10.0.0.3: no connection"),
        ("no diagnostics", diagnosed, "10.0.0.3: the disk is full"),
        ("etcd to be", etcd_waits, "10.0.0.2: etcd is waiting (waiting for etcd)"),
        ("etcd to be", etcd_is_ill, "10.0.0.2: etcd is not healthy: no leader"),
        ("etcd members", split, "10.0.0.1 and 10.0.0.2 see different members"),
        (
            "etcd members",
            apart,
            "10.0.0.1 and 10.0.0.2 have no member in common: each was told to bootstrap a cluster of its own, "
            "which is to be said to one node only; reset the other, and it joins",
        ),
        ("etcd members", learner, "still learning: n2"),
        ("etcd members", lonely, "1 members for 2 control plane nodes"),
        ("kubelet", no_kubelet, "10.0.0.3: there is no service kubelet"),
        ("kubelet", no_kubelet_wanted, "OK"),
        ("boot sequence", booting, "10.0.0.3 is booting"),
        ("boot sequence", no_status, "10.0.0.3 has no MachineStatuses machine"),
        (
            "memory",
            small,
            "10.0.0.1 has 1000 MiB of memory; 1800 are needed; 10.0.0.2 has 1000 MiB of memory; 1800 are needed",
        ),
        ("disk", small_disk, "the largest disk of 10.0.0.2 has 4000 MiB; 4096 are needed"),
        ("disk", no_disk, "the largest disk of 10.0.0.2 has 0 MiB; 4096 are needed"),
        ("nodes to report", unknown_node, "Kubernetes does not know 10.0.0.3"),
        ("static pods", no_scheduler, "kube-scheduler on n2 is not there yet"),
        ("static pods", pending, "kube-apiserver on n1 is pending"),
        ("report ready", not_ready, "n3 is not ready: no CNI configuration"),
        ("kube-proxy", proxy_is_late, "1 of 3 pods of kube-proxy are ready"),
        ("kube-proxy", no_proxy, "skip: there is no kube-proxy"),
        ("coredns", dns_is_late, "0 of 2 pods of CoreDNS are ready"),
        ("coredns", no_dns, "skip: there is no CoreDNS"),
        ("schedulable", cordoned, "taken out of scheduling: n2"),
    ],
)
def test_a_check_says_what_is_missing_and_where(check: str, harm: Callable[[Cluster], None], said: str) -> None:
    cluster = Cluster()
    harm(cluster)
    assert outcome(named(check), cluster) == said


async def collect(cluster: Cluster, timeout: float, *chosen: Check) -> list[str]:
    return [line async for line in run.run_checks(cluster, chosen, timeout)]


def test_each_reason_is_said_once_until_the_check_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    reasons = iter(["not yet", "not yet", "almost", None])

    async def ask(view: object) -> None:
        if (reason := next(reasons)) is not None:
            raise Unmet(reason)

    monkeypatch.setattr(run, "PERIOD", 0.001)
    lines = asyncio.run(collect(Cluster(), 5, Check("it", ask), named("kube-proxy")))
    assert lines == [
        'discovered nodes: ["10.0.0.1", "10.0.0.2", "10.0.0.3"]',
        "waiting for it: ...",
        "waiting for it: not yet",
        "waiting for it: almost",
        "waiting for it: OK",
        "waiting for kube-proxy to report ready: ...",
        "waiting for kube-proxy to report ready: OK",
    ]


def test_time_that_runs_out_ends_with_what_was_missing() -> None:
    async def hang(view: object) -> None:
        await asyncio.sleep(60)

    with pytest.raises(run.Unhealthy, match="waiting for it: no answer in time"):
        asyncio.run(collect(Cluster(), 0.05, Check("it", hang)))
    cluster = Cluster()
    no_kubelet(cluster)
    with pytest.raises(run.Unhealthy, match="there is no service kubelet"):
        asyncio.run(collect(cluster, 0.05, named("kubelet")))


def test_what_nodes_report_is_said_beside_what_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each report once, when it comes, whatever is waited for; nodes that do not answer hold nothing up."""
    cluster, rounds = Cluster(), iter(range(9))
    cluster.silent = {"10.0.0.2"}

    async def ask(view: object) -> None:
        at = next(rounds)
        if at == 1:
            diagnosed(cluster)
        if at == 3:
            cluster.resources["10.0.0.1", "Diagnostics"] = [("clock", {"message": "the clock is off"})]
        if at < 5:
            raise Unmet("not yet")

    monkeypatch.setattr(run, "PERIOD", 0.001)
    lines = asyncio.run(collect(cluster, 5, Check("it", ask), named("kube-proxy")))
    assert lines[1:5] == [
        "waiting for it: ...",
        "waiting for it: not yet",
        "waiting for it: 10.0.0.3 reports: the disk is full",
        "waiting for it: 10.0.0.1 reports: the clock is off",
    ]
    with pytest.raises(run.Unhealthy) as caught:
        asyncio.run(collect(cluster, 0, Check("it", never), named("kube-proxy")))
    assert str(caught.value) == (
        "waiting for it: never; 10.0.0.1 reports: the clock is off; 10.0.0.3 reports: the disk is full"
    )


async def never(view: object) -> None:
    raise Unmet("never")


def test_the_check_of_reports_does_not_say_them_twice() -> None:
    cluster = Cluster()
    diagnosed(cluster)
    with pytest.raises(run.Unhealthy) as caught:
        asyncio.run(collect(cluster, 0, named("no diagnostics")))
    assert str(caught.value) == "waiting for no diagnostics to be active: 10.0.0.3: the disk is full"

"""A cluster as this computer sees it: whom it asks, with what rights, and what failures mean for a check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dozen.client.health import ClusterView
from dozen.client.machine import Node as Machine
from dozen.machinery.config.generating import generate
from dozen.machinery.health.checks import CHECKS
from dozen.machinery.health.run import Unhealthy, run_checks
from dozen.machinery.health.view import Node, Unmet
from dozen.machinery.messages import message
from dozen.rpc.status import Code, RpcError
from dozen.testing.fakenode import FakeNode

BUNDLE = generate("c", "https://10.0.0.1:6443")
GET, LIST = "/cosi.resource.State/Get", "/cosi.resource.State/List"
MEMBERS = (
    "addresses: [10.0.0.1, fd00::1]\nmachineType: controlplane\n",
    "addresses: [10.0.0.2]\nmachineType: worker\n",
)
Ask = Callable[..., Any]


def members(*specs: str) -> list[Any]:
    return [message("cosi.resource.ListResponse")(resource={"spec": {"yaml_spec": spec}}) for spec in specs]


def configuration(text: str) -> Any:
    return message("cosi.resource.GetResponse")(resource={"spec": {"yaml_spec": text}})


def test_nodes_are_those_that_were_named(ask: Ask) -> None:
    found = ask(lambda node: ClusterView(node, ["a"], ["b"]).nodes())
    assert found == [Node("a", True), Node("b", False)]


def test_else_the_members_that_were_found_first(ask: Ask, fake: FakeNode) -> None:
    fake.replies[LIST] = members(*MEMBERS)

    async def work(node: Machine) -> list[Node]:
        view = ClusterView(node)
        first = await view.nodes()
        fake.replies[LIST] = members(MEMBERS[0])
        assert await view.nodes() == first
        return first

    assert ask(work) == [Node("10.0.0.1", True), Node("10.0.0.2", False)]
    assert len(fake.asked) == 1


@pytest.mark.parametrize("reply", [[], RpcError(Code.UNAVAILABLE, "no")], ids=["knows none", "fails"])
def test_else_the_asked_one(ask: Ask, fake: FakeNode, reply: Any) -> None:
    fake.replies[LIST] = reply
    assert ask(lambda node: ClusterView(node).nodes(), "n1") == [Node("n1", True)]


def test_every_node_is_asked_by_its_address_and_the_endpoint_without(ask: Ask, fake: FakeNode) -> None:
    fake.replies["Version"] = message("machine.VersionResponse")()

    async def work(node: Machine) -> None:
        view = ClusterView(node, ["10.0.0.2"])
        for each in (*await view.nodes(), *await ClusterView(node).nodes()):
            await view.ask(each, "machine.MachineService/Version")

    fake.replies[LIST] = []
    ask(work)
    versions = [call.metadata.get("node") for call in fake.asked if call.method == "Version"]
    assert versions == ["10.0.0.2", None]


def test_a_worker_that_was_named_a_control_plane_is_told(ask: Ask, fake: FakeNode) -> None:
    fake.replies[GET] = configuration(BUNDLE.worker)
    with pytest.raises(Unmet, match=r"^10\.0\.0\.2 is no control plane: its configuration is a worker's$"):
        ask(lambda node: ClusterView(node, ["10.0.0.2"]).control_planes())
    fake.replies[GET] = configuration(BUNDLE.controlplane)
    assert ask(lambda node: ClusterView(node, ["10.0.0.2"], ["b"]).control_planes()) == [Node("10.0.0.2", True)]


@pytest.mark.parametrize(
    ("reply", "runs"), [(configuration("image: x\n"), True), (RpcError(Code.NOT_FOUND, "none"), False)]
)
def test_a_node_without_a_kubelet_s_configuration_runs_none(ask: Ask, fake: FakeNode, reply: Any, runs: bool) -> None:
    fake.replies[GET] = reply
    assert ask(lambda node: ClusterView(node).runs_kubelet(Node("n", False))) is runs


def test_waiting_does_not_help_against_missing_rights(ask: Ask, fake: FakeNode) -> None:
    fake.replies[GET] = RpcError(Code.PERMISSION_DENIED, "not authorized")
    with pytest.raises(RpcError, match="not authorized"):
        ask(lambda node: ClusterView(node, ["a"]).control_planes())


def test_a_cluster_that_nobody_can_be_asked_about_is_waited_for(ask: Ask, fake: FakeNode) -> None:
    fake.replies["Kubeconfig"] = RpcError(Code.UNAVAILABLE, "not yet")
    with pytest.raises(Unmet, match="n1: not yet"):
        ask(lambda node: ClusterView(node).list("v1", "Node"), "n1")


@pytest.mark.parametrize("workers", [(), ("10.0.0.2",)], ids=["asked itself", "named beside"])
def test_a_worker_that_never_joined_tells_its_own_problems(ask: Ask, fake: FakeNode, workers: tuple[str, ...]) -> None:
    """The checks of etcd come first and do not hold; what the worker reports is said all the same."""
    said = {"Diagnostics.runtime.talos.dev": ["message: the cluster does not know this machine's cluster.token\n"]}
    fake.replies[LIST] = lambda request: members(*said.get(request.type, []))
    fake.replies[GET] = configuration(BUNDLE.worker)
    fake.replies["ServiceList"] = message("machine.ServiceListResponse")(messages=[{"services": []}])

    async def work(node: Machine) -> list[str]:
        lines: list[str] = []
        try:
            async for line in run_checks(ClusterView(node, (), workers), CHECKS[:3], 0):
                lines.append(line)
        except Unhealthy as error:
            return [*lines, str(error)]
        raise AssertionError(lines)

    *lines, failure = ask(work, "10.0.0.2")
    report = "10.0.0.2 reports: the cluster does not know this machine's cluster.token"
    assert [line for line in lines if report in line]
    assert failure.endswith(report)

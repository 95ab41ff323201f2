"""Which pods a drain moves, and when a node that goes down sends its pods away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dozen.node.kubernetes import drain as module
from dozen.node.kubernetes.drain import drain, is_movable
from dozen.node.kubernetes.errors import ApiError, NotFound
from dozen.node.kubernetes.leaving import others_take_pods
from dozen.node.kubernetes.pods import MIRROR, static_pods


def pod(name: str, **parts: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "n", **parts.pop("metadata", {})}
    return {"metadata": metadata, "status": {"phase": "Running", **parts}}


@pytest.mark.parametrize(
    ("item", "movable"),
    [
        (pod("a"), True),
        (pod("a", metadata={"ownerReferences": [{"kind": "ReplicaSet"}]}), True),
        (pod("a", metadata={"ownerReferences": [{"kind": "DaemonSet"}]}), False),
        (pod("a", metadata={"annotations": {MIRROR: "x"}}), False),
        (pod("a", phase="Succeeded"), False),
        (pod("a", phase="Failed"), False),
    ],
)
def test_pods_that_belong_to_the_node_stay(item: dict[str, Any], movable: bool) -> None:
    assert is_movable(item) is movable


class Cluster:
    """Pods that go when they are evicted, each after so many refusals."""

    def __init__(self, **refusals: int) -> None:
        self.refusals = refusals
        self.asked: list[str] = []

    async def list(self, api_version: str, kind: str, **selectors: str) -> list[dict[str, Any]]:
        return [pod(name) for name in self.refusals]

    async def evict(self, item: dict[str, Any]) -> None:
        name = item["metadata"]["name"]
        self.asked.append(name)
        if name not in self.refusals:
            raise NotFound(404, "NotFound", "gone")
        self.refusals[name] -= 1
        if self.refusals[name] >= 0:
            raise ApiError(429, "TooManyRequests", "the budget says no")
        del self.refusals[name]


def run_drain(cluster: Cluster, timeout: float) -> tuple[bool, list[str]]:
    said: list[str] = []
    return asyncio.run(drain(cluster, "node", timeout, said.append)), said  # type: ignore[arg-type]


def test_a_refused_eviction_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PERIOD", 0.001)
    cluster = Cluster(a=0, b=2)
    assert run_drain(cluster, 5) == (True, ["pod b may not be evicted yet: the budget says no"] * 2)
    assert cluster.asked == ["a", "b", "b", "b"]


def test_what_is_left_when_time_is_over_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PERIOD", 0.001)
    done, said = run_drain(Cluster(a=10**9), 0.05)
    assert not done
    assert said[-1] == "pods still on node node: a"


def node(name: str, ready: str = "True", closed: bool = False) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"unschedulable": True} if closed else {},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([node("a")], False),
        ([node("a"), node("b")], True),
        ([node("a"), node("b", "Unknown"), node("c", closed=True)], False),
    ],
)
def test_pods_are_sent_away_only_where_there_is_an_elsewhere(nodes: list[dict[str, Any]], expected: bool) -> None:
    assert others_take_pods(nodes, "a") is expected


def test_static_pods_are_known_by_their_mark() -> None:
    pods = {"n/a": pod("a"), "n/b": pod("b", metadata={"annotations": {MIRROR: "x"}})}
    found = static_pods(pods)
    assert set(found) == {"n/b"}
    assert found["n/b"].pod_status["phase"] == "Running"

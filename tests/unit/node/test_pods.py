"""Ending pods: who ends before whom, and how much time each gets."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dozen.machinery.messages import message
from dozen.node import pods
from dozen.node.containers import Containerd, method_path
from dozen.node.pods import CLUSTER_CRITICAL, NODE_CRITICAL, Budget, Pod, plan_waves, read_pods, stop_pods
from dozen.rpc.status import Code, RpcError
from dozen.testing.containerd import FakeContainerd

STOP, TAKE_DOWN = method_path("cri", "StopContainer"), method_path("cri", "StopPodSandbox")


def sandbox(name: str, namespace: str = "default", source: str = "api", state: str = "SANDBOX_READY") -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"id": f"s-{name}", "metadata": metadata, "state": state, "annotations": {pods.SOURCE: source}}


def container(pod: str, grace: str = "30", state: str = "CONTAINER_RUNNING", name: str = "main") -> dict[str, Any]:
    return {"id": f"c-{pod}-{name}", "pod_sandbox_id": f"s-{pod}", "state": state, "annotations": {pods.GRACE: grace}}


def read(
    sandboxes: list[dict[str, Any]], containers: list[dict[str, Any]], priorities: dict[str, int] | None = None
) -> list[Pod]:
    return read_pods(
        [message("runtime.v1.PodSandbox")(**each) for each in sandboxes],
        [message("runtime.v1.Container")(**each) for each in containers],
        priorities or {},
    )


def test_what_runs_is_found_with_its_grace_period() -> None:
    found = read(
        [sandbox("web"), sandbox("idle"), sandbox("gone", state="SANDBOX_NOTREADY"), sandbox("odd")],
        [
            container("web", "5"),
            container("web", "7", name="side"),
            container("gone", state="CONTAINER_EXITED"),
            container("odd", "soon"),
        ],
    )
    assert found == [
        Pod("s-web", "default/web", 0, False, 7.0, ("c-web-main", "c-web-side")),
        Pod("s-idle", "default/idle", 0, False, 0.0, ()),
        Pod("s-odd", "default/odd", 0, False, pods.DEFAULT_GRACE, ("c-odd-main",)),
    ]


@pytest.mark.parametrize(
    ("priorities", "expected"),
    [
        (
            {},
            [["default/db", "default/web"], ["kube-system/dns", "kube-system/proxy"], ["kube-system/kube-apiserver-a"]],
        ),
        (
            {
                "default/db": 1000,
                "default/web": -5,
                "kube-system/dns": CLUSTER_CRITICAL,
                "kube-system/proxy": NODE_CRITICAL,
                "kube-system/kube-apiserver-a": CLUSTER_CRITICAL,
            },
            [
                ["default/web"],
                ["default/db"],
                ["kube-system/dns"],
                ["kube-system/proxy"],
                ["kube-system/kube-apiserver-a"],
            ],
        ),
    ],
)
def test_the_order(priorities: dict[str, int], expected: list[list[str]]) -> None:
    system = "kube-system"
    sandboxes = [
        sandbox("kube-apiserver-a", system, "file"),
        sandbox("proxy", system),
        sandbox("web"),
        sandbox("dns", system),
        sandbox("db"),
    ]
    waves = plan_waves(read(sandboxes, [], priorities))
    assert [sorted(pod.name for pod in wave) for wave in waves] == expected


def test_each_wave_waits_for_the_one_before_and_gets_what_time_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeContainerd()
    fake.answer(
        method_path("cri", "ListPodSandbox"), {"items": [sandbox("late"), sandbox("api", "kube-system", "file")]}
    )
    listed = [container("late", "300"), container("api", "1"), container("late", "300", name="side")]
    fake.answer(method_path("cri", "ListContainers"), {"containers": listed})
    running = {"c-late-main", "c-late-side", "c-api-main"}

    async def stop(request: Any) -> Any:
        if request.container_id == "c-api-main":
            assert running == {"c-api-main"}
        await asyncio.sleep(0.01)
        running.discard(request.container_id)
        return {}

    fake.answer(STOP, stop)
    fake.answer(TAKE_DOWN, RpcError(Code.UNKNOWN, "no network"), {})
    asyncio.run(stop_pods(Containerd(fake), {}, Budget(ordinary=12.0, critical=0.0)))  # type: ignore[arg-type]
    assert not running
    given = {request.container_id: request.timeout for request in fake.requests(STOP)}
    assert given["c-api-main"] == 1
    assert 11 <= given["c-late-main"] <= 12
    assert [request.pod_sandbox_id for request in fake.requests(TAKE_DOWN)] == ["s-late", "s-api"]


def test_a_pod_that_never_ends_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pods, "PATIENCE", 0.02)
    monkeypatch.setattr(pods, "LEAST_GRACE", 0.01)
    fake = FakeContainerd()
    fake.answer(method_path("cri", "ListPodSandbox"), {"items": [sandbox("stuck"), sandbox("last", source="file")]})
    fake.answer(method_path("cri", "ListContainers"), {"containers": [container("stuck"), container("last")]})

    async def stop(request: Any) -> Any:
        if request.container_id == "c-stuck-main":
            await asyncio.Event().wait()
        return {}

    fake.answer(STOP, stop)
    asyncio.run(stop_pods(Containerd(fake), {}, Budget(0.0, 0.0)))  # type: ignore[arg-type]
    assert [request.pod_sandbox_id for request in fake.requests(TAKE_DOWN)] == ["s-last"]

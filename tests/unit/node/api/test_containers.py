"""Containers, Stats, images and ContainerRun over the API, in front of a containerd that runs nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from dozen.machinery.messages import message
from dozen.node import containers, debugrun, images, pulling
from dozen.node.api import build_router
from dozen.node.api.containers import find_network_namespace, name_container, read_metric
from dozen.node.containers import Containerd, method_path
from dozen.node.debugrun import Resize, Signal
from dozen.rpc.status import Code, RpcError
from dozen.testing.calls import FakeCall
from dozen.testing.containerd import FakeContainerd
from dozen.testing.machine import FakeMachine

Ask = Callable[..., list[Any]]
POD = {"io.kubernetes.pod.name": "web", "io.kubernetes.pod.namespace": "default", "io.kubernetes.pod.uid": "u-1"}


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeContainerd:
    fake = FakeContainerd()
    monkeypatch.setattr(containers, "_shared", Containerd(fake))  # type: ignore[arg-type]
    return fake


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, ("abc", "abc", "abc")),
        (POD, ("default/web", "web", "default/web")),
        ({**POD, "io.kubernetes.container.name": "nginx"}, ("default/web:nginx", "nginx", "default/web")),
    ],
)
def test_names(labels: dict[str, str], expected: tuple[str, str, str]) -> None:
    names = name_container("abc", labels)
    assert (names["id"], names["name"], names["pod_id"]) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"linux": {"namespaces": [{"type": "network", "path": "/run/netns/cni-1"}]}}, "cni-1"),
        ({"linux": {"namespaces": [{"type": "network"}, {"type": "mount", "path": "/x"}]}}, ""),
        ({"linux": {}}, ""),
        ([], ""),
    ],
)
def test_network_namespace(spec: Any, expected: str) -> None:
    assert find_network_namespace(json.dumps(spec).encode()) == expected
    assert find_network_namespace(b"{") == ""


def test_containers(ask: Ask, fake: FakeContainerd) -> None:
    labels = {**POD, "io.kubernetes.container.name": "nginx"}
    listed = [{"id": "z", "image": "i:1", "labels": labels}, {"id": "a", "image": "pause", "labels": POD}]
    fake.answer(method_path("containers", "List"), {"containers": listed})
    fake.answer(method_path("tasks", "List"), {"tasks": [{"id": "z", "pid": 42, "status": 2}]})
    found = ask("machine.MachineService/Containers", namespace="k8s.io", driver=1)[0].messages[0].containers
    assert [(one.id, one.internal_id, one.pid, one.status) for one in found] == [
        ("default/web", "a", 0, "STOPPED"),
        ("default/web:nginx", "z", 42, "RUNNING"),
    ]
    assert (found[1].namespace, found[1].uid, found[1].image, found[1].pod_id) == (
        "k8s.io",
        "u-1",
        "i:1",
        "default/web",
    )
    assert {metadata["containerd-namespace"] for metadata in fake.metadata} == {"k8s.io"}


def test_the_node_s_own_are_meant_when_nothing_is_said(ask: Ask, fake: FakeContainerd) -> None:
    assert len(ask("machine.MachineService/Containers")[0].messages) == 1
    assert {metadata["containerd-namespace"] for metadata in fake.metadata} == {"system"}


def metric(usage: int, inactive: int, microseconds: int) -> dict[str, Any]:
    metrics = message("io.containerd.cgroups.v2.Metrics")(
        memory={"usage": usage, "inactive_file": inactive}, cpu={"usage_usec": microseconds}
    )
    return {"type_url": "io.containerd.cgroups.v2.Metrics", "value": metrics.SerializeToString()}


def test_stats(ask: Ask, fake: FakeContainerd) -> None:
    fake.answer(method_path("containers", "List"), {"containers": [{"id": "a", "labels": POD}]})
    metrics = [{"id": "new", "data": metric(10, 20, 0)}, {"id": "a", "data": metric(1000, 300, 5)}]
    fake.answer(method_path("tasks", "Metrics"), {"metrics": metrics})
    stats = ask("machine.MachineService/Stats", namespace="k8s.io")[0].messages[0].stats
    assert [(stat.id, stat.memory_usage, stat.cpu_usage) for stat in stats] == [
        ("default/web", 700, 5000),
        ("new", 0, 0),
    ]


@pytest.mark.parametrize("id", ["default/web:nginx", "z"])
def test_restart(ask: Ask, fake: FakeContainerd, id: str) -> None:
    labels = {**POD, "io.kubernetes.container.name": "nginx"}
    fake.answer(method_path("containers", "List"), {"containers": [{"id": "z", "labels": labels}, {"id": "idle"}]})
    fake.answer(method_path("tasks", "List"), {"tasks": [{"id": "z", "pid": 42, "status": 2}]})
    assert len(ask("machine.MachineService/Restart", namespace="k8s.io", id=id)[0].messages) == 1
    (kill,) = fake.requests(method_path("tasks", "Kill"))
    assert (kill.container_id, kill.signal) == ("z", 15)
    with pytest.raises(RpcError, match="no container") as caught:
        ask("machine.MachineService/Restart", namespace="k8s.io", id="other")
    assert caught.value.code is Code.NOT_FOUND
    with pytest.raises(RpcError, match="nothing runs") as caught:
        ask("machine.MachineService/Restart", namespace="k8s.io", id="idle")
    assert caught.value.code is Code.FAILED_PRECONDITION
    with pytest.raises(RpcError, match="say which container"):
        ask("machine.MachineService/Restart")


def test_metrics_of_another_kind_count_for_nothing() -> None:
    assert read_metric("io.containerd.cgroups.v1.Metrics", b"\xff") == (0, 0)


@pytest.mark.parametrize("method", ["Containers", "Stats"])
def test_absent_containerd(ask: Ask, fake: FakeContainerd, method: str) -> None:
    for path in (method_path("containers", "List"), method_path("tasks", "List")):
        fake.answer(path, RpcError(Code.UNAVAILABLE, "cannot connect to unix:/run/containerd/containerd.sock"))
    with pytest.raises(RpcError, match="containerd does not answer") as error:
        ask(f"machine.MachineService/{method}")
    assert error.value.code is Code.UNAVAILABLE


def test_images(ask: Ask, fake: FakeContainerd) -> None:
    target = {"digest": "sha256:a", "size": 9}
    listed = [{"name": "b", "target": target, "labels": {"k": "v"}, "created_at": {"seconds": 5}}, {"name": "a"}]
    fake.answer(method_path("images", "List"), {"images": listed})
    first, second = ask("machine.ImageService/List", containerd={"namespace": 2})
    assert (first.name, second.name, second.digest, second.size) == ("a", "b", "sha256:a", 9)
    assert (second.created_at.seconds, dict(second.labels)) == (5, {"k": "v"})
    assert fake.metadata[0]["containerd-namespace"] == "k8s.io"


def test_older_clients_list_and_pull(ask: Ask, fake: FakeContainerd, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.answer(method_path("images", "List"), {"images": [{"name": "a", "target": {"digest": "sha256:a", "size": 9}}]})
    (image,) = ask("machine.MachineService/ImageList", namespace="NS_CRI")
    assert (image.name, image.digest, image.size) == ("a", "sha256:a", 9)
    assert fake.metadata[0]["containerd-namespace"] == "k8s.io"
    pulled: list[tuple[str, str]] = []

    async def pull_image(node: Containerd, name: str, report: Any) -> str:
        pulled.append((node.namespace, name))
        return name

    monkeypatch.setattr(pulling, "pull_image", pull_image)
    fake.answer(method_path("images", "Get"), {"image": {"name": "b:1", "target": {"digest": "sha256:b"}}})
    (reply,) = ask("machine.MachineService/ImagePull", namespace="NS_SYSTEM", reference="b:1")
    assert (len(reply.messages), pulled) == (1, [("system", "b:1")])
    with pytest.raises(RpcError, match="which image"):
        ask("machine.MachineService/ImagePull", namespace="NS_SYSTEM")


@pytest.mark.parametrize(
    ("method", "fields", "text"),
    [
        ("List", {}, "which namespace"),
        ("Remove", {"image_ref": "a"}, "which namespace"),
        ("Remove", {"containerd": {"namespace": 1}}, "which image"),
        ("Import", {"image_chunk": {"bytes": b"x"}}, "first request of an import"),
        ("Import", {}, "first request of an import"),
    ],
)
def test_images_that_are_not_said(ask: Ask, method: str, fields: dict[str, Any], text: str) -> None:
    with pytest.raises(RpcError, match=text) as error:
        ask(f"machine.ImageService/{method}", **fields)
    assert error.value.code is Code.INVALID_ARGUMENT


def test_remove(ask: Ask, fake: FakeContainerd) -> None:
    ask("machine.ImageService/Remove", containerd={"namespace": 1}, image_ref="a:1")
    assert [request.name for request in fake.requests(method_path("images", "Delete"))] == ["a:1"]


def call(path: str, *requests: dict[str, Any]) -> list[Any]:
    from dozen.machinery.messages import method_types

    made = FakeCall(path, [method_types(path).request(**fields) for fields in requests])

    async def answer() -> None:
        await build_router(FakeMachine())(made)  # type: ignore[arg-type]

    asyncio.run(answer())
    return made.replies


def test_import(monkeypatch: pytest.MonkeyPatch) -> None:
    async def import_archive(node: Containerd, chunks: AsyncIterator[bytes]) -> list[str]:
        return [b"".join([chunk async for chunk in chunks]).decode(), node.namespace]

    monkeypatch.setattr(images, "import_archive", import_archive)
    path = "/machine.ImageService/Import"
    target = {"containerd": {"namespace": 1}}
    (reply,) = call(path, target, {"image_chunk": {"bytes": b"na"}}, {"image_chunk": {"bytes": b"me"}})
    assert reply.name == "name"


class FakeRun:
    """Echoes what it hears."""

    made: list[tuple[str, str, Any]]

    def __init__(self, node: Containerd, image_name: str, wish: Any) -> None:
        type(self).made = [(node.namespace, image_name, wish)]

    async def run(self, inputs: AsyncIterator[Any], send: Callable[[bytes], Any]) -> int:
        async for item in inputs:
            await send(item if isinstance(item, bytes) else repr(item).encode())
        return 0


def test_container_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debugrun, "DebugRun", FakeRun)
    spec = {"containerd": {"namespace": 1}, "image_name": "i", "args": ["a"], "env": {"K": "V"}, "tty": True}
    replies = call(
        "/machine.DebugService/ContainerRun",
        {"spec": spec},
        {"stdin_data": b"in"},
        {"signal": 2},
        {"term_resize": {"width": 3, "height": 4}},
        {},
    )
    assert [reply.stdout_data for reply in replies[:-1]] == [
        b"in",
        repr(Signal(2)).encode(),
        repr(Resize(3, 4)).encode(),
    ]
    assert replies[-1].WhichOneof("resp") == "exit_code"
    ((namespace, name, wish),) = FakeRun.made
    assert (namespace, name, wish.args, wish.env, wish.terminal) == ("system", "i", ("a",), {"K": "V"}, True)


@pytest.mark.parametrize(("profile", "privileged"), [(0, True), (1, True), (2, False)])
def test_profiles(monkeypatch: pytest.MonkeyPatch, profile: int, privileged: bool) -> None:
    monkeypatch.setattr(debugrun, "DebugRun", FakeRun)
    call("/machine.DebugService/ContainerRun", {"spec": {"containerd": {"namespace": 1}, "profile": profile}})
    assert FakeRun.made[0][2].privileged is privileged


@pytest.mark.parametrize(
    ("requests", "text"),
    [
        ([{"stdin_data": b"x"}], "first request says what to run"),
        ([{"spec": {"containerd": {"namespace": 1}}}, {"spec": {}}], "only once"),
        ([{"spec": {}}], "which namespace"),
    ],
)
def test_container_run_refuses(monkeypatch: pytest.MonkeyPatch, requests: list[dict[str, Any]], text: str) -> None:
    monkeypatch.setattr(debugrun, "DebugRun", FakeRun)
    with pytest.raises(RpcError, match=text) as error:
        call("/machine.DebugService/ContainerRun", *requests)
    assert error.value.code is Code.INVALID_ARGUMENT

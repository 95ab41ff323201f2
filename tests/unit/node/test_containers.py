"""The client of containerd: metadata, what is tried again, and ending everything."""

import asyncio
from typing import Any

import pytest

from dozen.node import containers
from dozen.node.containers import Containerd, explain, method_path, stop_all, stop_task
from dozen.rpc.status import Code, RpcError
from dozen.testing.containerd import FakeContainerd

WAIT, KILL = method_path("tasks", "Wait"), method_path("tasks", "Kill")
AWAY = RpcError(Code.UNAVAILABLE, "connection lost")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "_RETRY_PAUSE", 0)


def make(fake: FakeContainerd, namespace: str = "system") -> Containerd:
    return Containerd(fake, namespace)  # type: ignore[arg-type]


def test_namespace_and_lease_travel_as_metadata() -> None:
    async def run() -> FakeContainerd:
        fake = FakeContainerd()
        node = make(fake, "k8s.io")
        async with node.leased() as held:
            await held.ask("images", "List")
        await node.ask("images", "List")
        return fake

    fake = asyncio.run(run())
    assert fake.methods == ["Leases/Create", "Images/List", "Leases/Delete", "Images/List"]
    lease = fake.asked[0][1]
    assert fake.metadata[1] == {"containerd-namespace": "k8s.io", "containerd-lease": lease.id}
    assert fake.metadata[3] == {"containerd-namespace": "k8s.io"}
    assert fake.asked[2][1].id == lease.id
    assert "containerd.io/gc.expire" in lease.labels


def test_lease_ends_when_its_user_fails() -> None:
    fake = FakeContainerd()

    async def run() -> None:
        async with make(fake).leased():
            raise RuntimeError

    with pytest.raises(RuntimeError):
        asyncio.run(run())
    assert fake.methods == ["Leases/Create", "Leases/Delete"]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([{"exit_status": 3}], 3),
        ([AWAY, AWAY, {"exit_status": 137}], 137),
        ([RpcError(Code.CANCELLED, "context canceled"), {"exit_status": 0}], 0),
        ([RpcError(Code.UNKNOWN, "ttrpc: closed: unknown"), {"exit_status": 0}], 0),
        ([AWAY, RpcError(Code.NOT_FOUND, "no such task")], Code.NOT_FOUND),
        ([RpcError(Code.UNKNOWN, "something else")], Code.UNKNOWN),
    ],
)
def test_waiting_survives_a_containerd_that_comes_back(answers: list[Any], expected: int | Code) -> None:
    fake = FakeContainerd()
    fake.answer(WAIT, *answers)
    if isinstance(expected, Code):
        with pytest.raises(RpcError) as error:
            asyncio.run(make(fake).wait("x"))
        assert error.value.code is expected
    else:
        assert asyncio.run(make(fake).wait("x")) == expected
    assert len(fake.asked) == len(answers)


@pytest.mark.parametrize(
    ("answers", "patience", "code"),
    [
        ([{}], 0, None),
        ([AWAY, {}], 60, None),
        ([RpcError(Code.NOT_FOUND, "gone")], 0, None),
        ([AWAY], 0, Code.UNAVAILABLE),
        ([RpcError(Code.FAILED_PRECONDITION, "running")], 60, Code.FAILED_PRECONDITION),
    ],
)
def test_undoing(answers: list[Any], patience: float, code: Code | None) -> None:
    fake = FakeContainerd()
    fake.answer(KILL, *answers)
    undoing = make(fake).persist("tasks", "Kill", patience=patience, container_id="x")
    if code is None:
        asyncio.run(undoing)
        return
    with pytest.raises(RpcError) as error:
        asyncio.run(undoing)
    assert error.value.code is code


@pytest.mark.parametrize(
    ("plugins", "expected"),
    [
        ([{"id": "native"}, {"id": "overlayfs"}], "overlayfs"),
        ([{"id": "native"}, {"id": "overlayfs", "init_err": {"code": 9, "message": "not supported"}}], "native"),
        ([{"id": "zfs"}], None),
    ],
)
def test_snapshotter_that_works(plugins: list[dict[str, Any]], expected: str | None) -> None:
    fake = FakeContainerd()
    fake.answer(method_path("introspection", "Plugins"), {"plugins": plugins})
    if expected is None:
        with pytest.raises(RpcError, match="no snapshotter"):
            asyncio.run(make(fake).choose_snapshotter())
    else:
        assert asyncio.run(make(fake).choose_snapshotter()) == expected


def test_absent_containerd_is_explained() -> None:
    told = explain(RpcError(Code.UNAVAILABLE, "cannot connect to unix:/x: No such file or directory"))
    assert told.code is Code.UNAVAILABLE
    assert told.message.startswith("containerd does not answer (cannot connect to unix:/x: No such file")
    other = RpcError(Code.NOT_FOUND, "x")
    assert explain(other) is other


def test_blobs_are_put_together() -> None:
    fake = FakeContainerd()
    fake.blobs["sha256:a"] = b"content"
    assert asyncio.run(make(fake).read_blob("sha256:a")) == b"content"
    with pytest.raises(RpcError, match="not found"):
        asyncio.run(make(fake).read_blob("sha256:b"))


def signals(fake: FakeContainerd) -> list[tuple[str, int, bool]]:
    return [(request.container_id, request.signal, request.all) for request in fake.requests(KILL)]


def test_a_task_that_ends_politely_is_not_killed() -> None:
    fake = FakeContainerd()
    asyncio.run(stop_task(make(fake), "x", 5))
    assert signals(fake) == [("x", 15, False)]


def test_a_task_that_does_not_listen_is_killed() -> None:
    fake = FakeContainerd()

    async def until_killed(request: Any) -> dict[str, Any]:
        await fake.until(lambda: len(signals(fake)) == 2)
        return {"exit_status": 137}

    fake.answer(WAIT, until_killed)
    asyncio.run(stop_task(make(fake), "x", 0.01))
    assert signals(fake) == [("x", 15, False), ("x", 9, True)]


def test_stopping_all_ends_what_runs_in_every_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeContainerd()
    monkeypatch.setattr(containers, "_shared", make(fake))
    fake.answer(method_path("namespaces", "List"), {"namespaces": [{"name": "system"}, {"name": "k8s.io"}]})
    running, stopped = {"id": "r", "status": 2}, {"id": "s", "status": 3}
    fake.answer(method_path("tasks", "List"), {"tasks": [running, stopped]}, {"tasks": []})
    asyncio.run(stop_all(1))
    assert signals(fake) == [("r", 15, False)]

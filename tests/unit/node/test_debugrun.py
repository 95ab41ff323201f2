"""A container and its caller: the order of what is asked, and that nothing is left whatever happens."""

import asyncio
import json
import os
import platform
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from dozen.node import containers, debugrun
from dozen.node.containers import Containerd, method_path
from dozen.node.debugrun import DebugRun, Resize, Signal
from dozen.node.ocispec import Wish
from dozen.rpc.status import Code, RpcError
from dozen.testing.containerd import FakeContainerd

CREATE, START, WAIT = (method_path("tasks", name) for name in ("Create", "Start", "Wait"))
REMOVAL = ["Tasks/Kill", "Tasks/Wait", "Tasks/Delete", "Containers/Delete", "Snapshots/Remove"]
PLAIN = Wish()
AWAY = RpcError(Code.UNAVAILABLE, "connection lost")


@pytest.fixture(autouse=True)
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(debugrun, "PIPES", str(tmp_path / "pipes"))
    monkeypatch.setattr(debugrun, "_DRAIN_SECONDS", 0.5)
    monkeypatch.setattr(containers, "_RETRY_PAUSE", 0)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    return tmp_path / "pipes"


class Shim:
    """What the fake runs: opens the pipes like a shim and ends when ``life`` does."""

    def __init__(self, fake: FakeContainerd, life: Callable[["Shim"], Any], status: int = 0) -> None:
        self.fake, self.life, self.status = fake, life, status
        self.ended = asyncio.Event()
        self.out = self.err = self.input = -1
        self.running: asyncio.Task[None] | None = None
        fake.answer(CREATE, self.create)
        fake.answer(START, self.start)
        fake.answer(WAIT, self.wait)
        fake.answer(method_path("tasks", "Kill"), self.kill)

    def create(self, request: Any) -> dict[str, Any]:
        self.input = os.open(request.stdin, os.O_RDONLY | os.O_NONBLOCK)
        self.out = os.open(request.stdout, os.O_WRONLY)
        if request.stderr:
            self.err = os.open(request.stderr, os.O_WRONLY)
        return {"pid": 7}

    def start(self, request: Any) -> dict[str, Any]:
        self.running = asyncio.ensure_future(self.live())
        return {"pid": 7}

    async def live(self) -> None:
        await self.life(self)
        self.end(self.status)

    def end(self, status: int) -> None:
        if self.ended.is_set():
            return
        for descriptor in (self.input, self.out, self.err):
            if descriptor >= 0:
                os.close(descriptor)
        self.status = status
        self.ended.set()

    async def wait(self, request: Any) -> dict[str, Any]:
        await self.ended.wait()
        return {"exit_status": self.status}

    def kill(self, request: Any) -> Any:
        if self.ended.is_set():
            return RpcError(Code.NOT_FOUND, "process already finished")
        if request.signal == 9 and self.running is not None:
            self.running.cancel()
            self.end(137)
        return {}


@pytest.fixture
def fake() -> FakeContainerd:
    fake = FakeContainerd()
    documents = {
        "sha256:m": {"config": {"digest": "sha256:c", "size": 1}, "layers": []},
        "sha256:c": {"config": {"Entrypoint": ["/prog"], "User": ""}, "rootfs": {"diff_ids": []}},
    }
    fake.blobs = {digest: json.dumps(document).encode() for digest, document in documents.items()}
    fake.answer(method_path("images", "Get"), {"image": {"name": "app", "target": {"digest": "sha256:m"}}})
    fake.answer(method_path("introspection", "Plugins"), {"plugins": [{"id": "overlayfs"}]})
    fake.answer(method_path("snapshots", "Prepare"), {"mounts": [{"type": "bind", "source": "/x"}]})
    return fake


async def nothing(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item


async def forever(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item
    await asyncio.Event().wait()


async def run(fake: FakeContainerd, inputs: AsyncIterator[Any], wish: Wish = PLAIN) -> tuple[int, bytes]:
    printed = bytearray()

    async def send(data: bytes) -> None:
        printed.extend(data)

    node = Containerd(fake)  # type: ignore[arg-type]
    status = await asyncio.wait_for(DebugRun(node, "app", wish).run(inputs, send), 10)
    return status, bytes(printed)


def test_a_life(fake: FakeContainerd, places: Path) -> None:
    async def life(shim: Shim) -> None:
        os.write(shim.out, b"out ")
        await asyncio.sleep(0.01)
        os.write(shim.err, b"err")

    async def main() -> tuple[int, bytes]:
        Shim(fake, life, 3)
        return await run(fake, nothing(), Wish(args=("/x",)))

    assert asyncio.run(main()) == (3, b"out err")
    assert fake.methods[-5:] == REMOVAL
    methods = fake.methods
    assert methods.index("Tasks/Wait") < methods.index("Tasks/Start")
    (container,) = (request.container for request in fake.requests(method_path("containers", "Create")))
    assert (container.runtime.name, container.snapshotter) == ("io.containerd.runc.v2", "overlayfs")
    assert container.snapshot_key == container.id
    spec = json.loads(container.spec.value)
    assert spec["process"]["args"] == ["/x"]
    assert spec["linux"]["cgroupsPath"] == f"/system/debug/{container.id}"
    (task,) = fake.requests(CREATE)
    assert task.rootfs[0].source == "/x"
    assert list(places.iterdir()) == []


def test_input_signals_and_sizes_arrive(fake: FakeContainerd) -> None:
    async def life(shim: Shim) -> None:
        while True:
            await asyncio.sleep(0)
            try:
                data = os.read(shim.input, 100)
            except BlockingIOError:
                continue
            if not data:
                return
            os.write(shim.out, data.upper())

    async def main() -> tuple[int, bytes]:
        Shim(fake, life)
        return await run(fake, nothing(b"a", Signal(10), Resize(80, 24), b"b"), Wish(terminal=True))

    assert asyncio.run(main()) == (0, b"AB")
    (resize,) = fake.requests(method_path("tasks", "ResizePty"))
    assert (resize.width, resize.height) == (80, 24)
    assert [request.signal for request in fake.requests(method_path("tasks", "Kill"))] == [10, 9]
    (closed,) = fake.requests(method_path("tasks", "CloseIO"))
    assert closed.stdin


def test_a_containerd_that_is_killed_does_not_end_the_container(fake: FakeContainerd) -> None:
    async def life(shim: Shim) -> None:
        os.write(shim.out, b"before ")
        await asyncio.sleep(0.02)
        os.write(shim.out, b"after")

    async def main() -> tuple[int, bytes]:
        shim = Shim(fake, life, 5)
        fake.answer(WAIT, AWAY, RpcError(Code.UNKNOWN, "ttrpc: closed"), shim.wait)
        fake.answer(method_path("tasks", "Delete"), AWAY, {})
        return await run(fake, forever())

    assert asyncio.run(main()) == (5, b"before after")
    assert fake.methods[-3:] == ["Tasks/Delete", "Containers/Delete", "Snapshots/Remove"]


def test_caller_that_leaves_ends_the_container(fake: FakeContainerd, places: Path) -> None:
    async def life(shim: Shim) -> None:
        await asyncio.Event().wait()

    async def main() -> Shim:
        shim = Shim(fake, life)
        running = asyncio.ensure_future(run(fake, forever()))
        await fake.until(lambda: bool(fake.requests(START)))
        running.cancel()
        await asyncio.wait({running})
        assert running.cancelled()
        assert list(places.iterdir()) == []
        return shim

    assert asyncio.run(main()).status == 137
    assert fake.methods[-5:] == REMOVAL


def test_caller_that_cannot_be_reached_ends_the_container(fake: FakeContainerd) -> None:
    async def life(shim: Shim) -> None:
        os.write(shim.out, b"x")
        await asyncio.Event().wait()

    async def main() -> Shim:
        shim = Shim(fake, life)

        async def send(data: bytes) -> None:
            raise RpcError(Code.CANCELLED, "the call is over")

        node = Containerd(fake)  # type: ignore[arg-type]
        with pytest.raises(RpcError, match="call is over"):
            await asyncio.wait_for(DebugRun(node, "app", Wish()).run(forever(), send), 10)
        return shim

    assert asyncio.run(main()).status == 137


@pytest.mark.parametrize(
    ("failing", "removed"),
    [
        (method_path("images", "Get"), []),
        (method_path("snapshots", "Prepare"), ["Snapshots/Remove"]),
        (method_path("containers", "Create"), ["Containers/Delete", "Snapshots/Remove"]),
        (CREATE, ["Tasks/Delete", "Containers/Delete", "Snapshots/Remove"]),
        (START, ["Tasks/Delete", "Containers/Delete", "Snapshots/Remove"]),
    ],
)
def test_what_was_made_is_removed_when_making_fails(
    fake: FakeContainerd, places: Path, failing: str, removed: list[str]
) -> None:
    async def life(shim: Shim) -> None:
        return None

    async def main() -> None:
        shim = Shim(fake, life)
        fake.answer(failing, RpcError(Code.INTERNAL, "broken"))
        shim.ended.set()
        await run(fake, nothing())

    with pytest.raises(RpcError, match="broken"):
        asyncio.run(main())
    undone = [name for name in fake.methods if name in ("Tasks/Delete", "Containers/Delete", "Snapshots/Remove")]
    assert undone == removed
    assert list(places.iterdir()) == []


def test_output_that_a_child_holds_open_does_not_hold_up_the_end(
    fake: FakeContainerd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debugrun, "_DRAIN_SECONDS", 0.01)
    held = []

    async def life(shim: Shim) -> None:
        held.append(os.dup(shim.out))
        os.write(shim.out, b"last")

    async def main() -> tuple[int, bytes]:
        Shim(fake, life)
        return await run(fake, nothing())

    assert asyncio.run(main()) == (0, b"last")
    os.close(held[0])


@pytest.mark.parametrize(("runtime", "mounted"), [("io.containerd.runc.v2", 0), ("io.containerd.runtime.v1.linux", 1)])
def test_runtime_is_chosen_by_a_variable(
    fake: FakeContainerd, monkeypatch: pytest.MonkeyPatch, runtime: str, mounted: int
) -> None:
    prepared = []
    monkeypatch.setattr(debugrun, "mount_named_hierarchy", lambda: prepared.append(True))

    async def life(shim: Shim) -> None:
        return None

    async def main() -> None:
        Shim(fake, life)
        await run(fake, nothing(), Wish(env={"DOZEN_RUNTIME": runtime, "A": "1"}))

    asyncio.run(main())
    (container,) = (request.container for request in fake.requests(method_path("containers", "Create")))
    assert container.runtime.name == runtime
    assert b"DOZEN_RUNTIME" not in container.spec.value
    assert len(prepared) == mounted


def test_unknown_runtime_is_refused(fake: FakeContainerd) -> None:
    node = Containerd(fake)  # type: ignore[arg-type]
    with pytest.raises(RpcError, match="runtimes are io") as error:
        DebugRun(node, "app", Wish(env={"DOZEN_RUNTIME": "x"}))
    assert error.value.code is Code.INVALID_ARGUMENT

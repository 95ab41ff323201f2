"""Services in containers: what containerd is asked, in which order, and what is left behind: nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dozen.node.containers import Containerd, method_path
from dozen.node.logs import LogBuffer
from dozen.node.ocispec import ImageConfig, build_program_spec
from dozen.node.process import ExitStatus
from dozen.node.services import container
from dozen.node.services.definition import ContainerProgram, Mount
from dozen.rpc.status import Code, RpcError
from dozen.testing.containerd import FakeContainerd

PROGRAM = ContainerProgram("example/etcd:v1", ("/bin/etcd", "--name=a"), uid=60, gid=60, cgroup="/podruntime/etcd")
GONE = RpcError(Code.NOT_FOUND, "no such task")


def build(program: ContainerProgram, **image: Any) -> dict[str, Any]:
    return build_program_spec(ImageConfig(("/entry",), ("point",), ("A=1", "B=2"), **image), program)


def test_a_plain_program_can_do_nothing_special() -> None:
    spec = build(msgspec.structs.replace(PROGRAM, env=(("B", "3"),), mounts=(Mount("/var/lib/etcd", "/var/lib/etcd"),)))
    process = spec["process"]
    assert process["args"] == ["/bin/etcd", "--name=a"]
    assert {"A=1", "B=3"} <= set(process["env"])
    assert process["user"] == {"uid": 60, "gid": 60}
    assert process["noNewPrivileges"]
    assert process["capabilities"]["bounding"] == []
    assert spec["root"]["readonly"]
    assert spec["linux"]["cgroupsPath"] == "/podruntime/etcd"
    assert "/proc/sys" in spec["linux"]["readonlyPaths"]
    assert [each["type"] for each in spec["linux"]["namespaces"]] == ["mount", "pid", "ipc"]
    assert spec["mounts"][-1] == {
        "destination": "/var/lib/etcd",
        "type": "bind",
        "source": "/var/lib/etcd",
        "options": ["rbind", "rw"],
    }


def test_a_privileged_one_sees_the_node() -> None:
    spec = build(ContainerProgram("i", privileged=True, host_pids=True, propagation="rshared", oom=-999))
    assert spec["process"]["args"] == ["/entry", "point"]
    assert len(spec["process"]["capabilities"]["bounding"]) == 41
    assert spec["process"]["oomScoreAdj"] == -999
    assert spec["linux"]["rootfsPropagation"] == "rshared"
    assert spec["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert [each["type"] for each in spec["linux"]["namespaces"]] == ["mount"]
    assert {each["destination"] for each in spec["mounts"]} == {"/proc", "/sys", "/dev"}


class Stage:
    """A containerd with one image of one layer that is unpacked."""

    def __init__(self) -> None:
        self.containerd = FakeContainerd()
        self.node = Containerd(self.containerd)  # type: ignore[arg-type]
        self.output = LogBuffer("etcd")
        config = {"rootfs": {"diff_ids": ["sha256:layer"]}, "config": {"Entrypoint": ["/bin/etcd"]}}
        manifest = {"config": {"digest": "sha256:config"}, "layers": [{"digest": "sha256:blob"}]}
        self.containerd.blobs = {
            "sha256:manifest": msgspec.json.encode(manifest),
            "sha256:config": msgspec.json.encode(config),
        }
        ask = self.containerd.answer
        plugin = {"type": "io.containerd.snapshotter.v1", "id": "overlayfs"}
        ask(method_path("introspection", "Plugins"), {"plugins": [plugin]})
        ask(
            method_path("images", "Get"),
            {"image": {"name": "example/etcd:v1", "target": {"digest": "sha256:manifest"}}},
        )
        ask(method_path("tasks", "Kill"), GONE)
        ask(method_path("tasks", "Create"), self._create)
        self.printing: list[int] = []

    def _create(self, request: Any) -> dict[str, Any]:
        """As a shim does: its ends of the pipes are open when this has been answered."""
        self.printing = [os.open(path, os.O_WRONLY) for path in (request.stdout, request.stderr)]
        return {"container_id": "etcd", "pid": 77}

    def print_and_close(self, text: bytes) -> None:
        os.write(self.printing[0], text)
        for descriptor in self.printing:
            os.close(descriptor)


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    monkeypatch.setattr(container, "PIPES", str(tmp_path / "pipes"))
    monkeypatch.setattr(container, "DRAIN_SECONDS", 0.1)
    monkeypatch.setattr(container, "read_bounding_set", lambda: -1)

    def run(scenario: Callable[[Stage], Any]) -> None:
        async def whole() -> None:
            async with asyncio.timeout(10):
                await scenario(Stage())

        asyncio.run(whole())

    return run


def test_started_read_and_ended(play: Callable[..., None], tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        ended: asyncio.Future[dict[str, int]] = asyncio.get_running_loop().create_future()

        async def wait(request: Any) -> dict[str, int]:
            return await ended

        stage.containerd.answer(method_path("tasks", "Wait"), wait)
        process = await container.start_container("etcd", PROGRAM, stage.output, stage.node)
        assert process.pid == 77
        assert process.running
        made = stage.containerd.requests(method_path("containers", "Create"))[0].container
        assert msgspec.json.decode(made.spec.value)["process"]["args"] == ["/bin/etcd", "--name=a"]
        assert "Tasks/Start" in stage.containerd.methods
        stage.print_and_close(b"said\nlast")
        ended.set_result({"exit_status": 137})
        assert await process.wait() == ExitStatus(None, 9)
        assert stage.output.tail(-1) == b"said\nlast\n"
        await process.stop(15, grace=1)
        assert stage.containerd.methods[-3:] == ["Tasks/Delete", "Containers/Delete", "Snapshots/Remove"]
        assert os.listdir(tmp_path / "pipes") == []

    play(scenario)


def test_a_start_that_fails_leaves_nothing(play: Callable[..., None], tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        stage.containerd.answer(method_path("tasks", "Create"), RpcError(Code.UNKNOWN, "runc: no such program"))
        with pytest.raises(RpcError, match="no such program"):
            await container.start_container("etcd", PROGRAM, stage.output, stage.node)
        assert stage.containerd.methods[-3:] == ["Tasks/Delete", "Containers/Delete", "Snapshots/Remove"]
        assert os.listdir(tmp_path / "pipes") == []

    play(scenario)

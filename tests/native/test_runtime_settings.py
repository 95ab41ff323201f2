"""The image's own containerd takes what a machine configuration changes of it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dozen.machinery import yaml
from dozen.machinery.config import load
from dozen.machinery.config.generating import generate
from dozen.machinery.messages import method_types
from dozen.node.services import containerd
from dozen.provider.machines import BootImage
from dozen.testing.nativeruntime import NativeRuntime
from native.privileges import needs_root

pytestmark = needs_root
STATUS = "/runtime.v1.RuntimeService/Status"
PART = '[plugins."io.containerd.grpc.v1.cri"]\nmax_container_log_line_size = 4096\n'


def test_containerd_takes_parts_and_a_base_specification(image: BootImage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert image.tree
    data = yaml.load(generate("runtime", "https://127.0.0.1:6443").worker)
    limits = [{"type": "RLIMIT_NOFILE", "hard": 4096, "soft": 2048}]
    data["machine"] |= {
        "baseRuntimeSpecOverrides": {"process": {"rlimits": limits}},
        "files": [{"path": "/etc/cri/conf.d/20-customization.part", "content": PART, "op": "create"}],
    }
    machine: Any = SimpleNamespace(config=load(yaml.dump(data)))
    with NativeRuntime(image.tree, containerd.CONFIG) as runtime:
        monkeypatch.setattr(containerd, "SOURCE", str(Path(__file__).parents[2] / "recipes/containerd/config.toml"))
        text, base = containerd.compose_config(machine), containerd.base_specification_of(machine.config)
        for path, content in ((containerd.CONFIG, text), (containerd.BASE_SPECIFICATION, base)):
            place = runtime.folder / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(content)
        runtime.start()

        async def ask() -> Any:
            node, types = runtime.connect(), method_types(STATUS)
            answer = await node.channel.unary(STATUS, types.request(verbose=True), types.response)
            await node.channel.close()
            return json.loads(answer.info["config"])

        told = asyncio.run(ask())
        assert told["maxContainerLogSize"] == 4096
        runc = told["containerd"]["runtimes"]["runc"]
        assert runc["baseRuntimeSpec"] == containerd.BASE_SPECIFICATION
        assert runc["options"] == {"BinaryName": "/bin/runc", "SystemdCgroup": False}
        assert told["registry"]["configPath"] == "/system/etc/containerd/registries"

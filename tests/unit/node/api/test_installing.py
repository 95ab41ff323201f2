"""Installing and upgrading are refused, after what was asked for has been checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dozen.machinery.resources import block
from dozen.rpc.status import Code, RpcError
from dozen.testing.machine import FakeMachine

Ask = Callable[..., list[Any]]
SYSTEM = {"namespace": "NS_SYSTEM"}
SOURCE = {"image_name": "example.com/installer:v1"}
RIGHT: dict[str, dict[str, Any]] = {
    "machine.LifecycleService/Install": {
        "containerd": SYSTEM,
        "source": SOURCE,
        "destination": {"disk": "/dev/vdb"},
    },
    "machine.LifecycleService/Upgrade": {"containerd": SYSTEM, "source": SOURCE},
    "machine.MachineService/Upgrade": {"image": "example.com/installer:v1"},
    "machine.MachineService/Rollback": {},
}


@pytest.mark.parametrize("method", RIGHT)
def test_what_is_right_is_told_what_is_missing(ask: Ask, machine: FakeMachine, method: str) -> None:
    machine.store.put(block.DISK, "vdb", block.DiskSpec(dev_path="/dev/vdb"), owner="test")
    with pytest.raises(RpcError, match="is not served: this system cannot be installed") as caught:
        ask(method, **RIGHT[method])
    assert caught.value.code is Code.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("method", "fields", "words", "code"),
    [
        ("LifecycleService/Install", {"source": SOURCE}, "which namespace", Code.INVALID_ARGUMENT),
        ("LifecycleService/Install", {"containerd": SYSTEM}, "which image", Code.INVALID_ARGUMENT),
        ("LifecycleService/Install", {"containerd": SYSTEM, "source": SOURCE}, "which disk", Code.INVALID_ARGUMENT),
        (
            "LifecycleService/Install",
            {"containerd": SYSTEM, "source": SOURCE, "destination": {"disk": "/dev/vdz"}},
            "no disk",
            Code.NOT_FOUND,
        ),
        ("LifecycleService/Upgrade", {"containerd": SYSTEM}, "which image", Code.INVALID_ARGUMENT),
        ("MachineService/Upgrade", {}, "which image", Code.INVALID_ARGUMENT),
    ],
)
def test_what_is_wrong_is_told_so(ask: Ask, method: str, fields: dict[str, Any], words: str, code: Code) -> None:
    with pytest.raises(RpcError, match=words) as caught:
        ask(f"machine.{method}", **fields)
    assert caught.value.code is code

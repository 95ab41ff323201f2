"""What is killed comes back, and what does not depend on it goes on."""

from __future__ import annotations

import pytest

from dozen.testing.live import LiveNode
from dozen.testing.toolbox import Toolbox


@pytest.mark.parametrize("name", ["udevd", "apid", "containerd"])
def test_a_killed_service_comes_back(node: LiveNode, toolbox: Toolbox, name: str) -> None:
    node.until_healthy(name)
    before = node.process(name)
    victim = toolbox.start(f"kill -9 {before.pid}")
    after = node.until(
        lambda: (found := node.process(name)).pid != before.pid and found, f"another process of {name}", 60
    )
    assert after.pid != before.pid
    node.until_healthy(name)
    victim.cancel()


@pytest.mark.parametrize("runtime", ["io.containerd.runc.v2", "io.containerd.runtime.v1.linux"])
def test_a_container_goes_on_while_containerd_is_killed(node: LiveNode, toolbox: Toolbox, runtime: str) -> None:
    """Both shims: the one of today, and /bin/containerd-shim, the first kind."""
    running = toolbox.start("exec sleep 987", env={"DOZEN_RUNTIME": runtime})
    try:
        sleeper = node.until(lambda: find_command(node, "sleep 987"), "the container", 60)
        containerd = node.process("containerd").pid
        # It kills out of a container of its own: nothing of the machine outside of containers can.
        killer = toolbox.start(f"kill -9 {containerd}")
        node.until(lambda: node.process("containerd").pid != containerd, "another containerd", 60)
        node.until_healthy("containerd")
        assert find_command(node, "sleep 987") == sleeper
        killer.cancel()
    finally:
        running.cancel()
    node.until(lambda: find_command(node, "sleep 987") is None, "the container's end", 60)


def find_command(node: LiveNode, args: str) -> int | None:
    return next((process.pid for process in node.processes() if process.args == args), None)

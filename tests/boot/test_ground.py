"""What a machine stands on, read back from its kernel: mounts, control groups, parameters, how services are confined.

The tables are the code's own; here it is asked whether the kernel has what they say.
"""

from __future__ import annotations

import pytest

from dozen.linux import sys as linux
from dozen.linux.cgroups import CONTROLLERS
from dozen.machinery.resources.kernel import KERNEL_PARAM_STATUS
from dozen.machinery.resources.runtime import SERVICE_PID
from dozen.node.controllers.kernel.hardening import DEFAULTS
from dozen.node.controllers.kernel.parameters import SYSCTL
from dozen.node.services.catalogue import CATALOGUE, DASHBOARD_TTY
from dozen.node.tasks.early import PARENTS, PSEUDO_MOUNTS
from dozen.testing.live import LiveNode

FLAGS = {linux.MS_NOSUID: "nosuid", linux.MS_NODEV: "nodev", linux.MS_NOEXEC: "noexec"}
CONFINED = ("apid", "udevd", "containerd", "dashboard")


def status_of(node: LiveNode, pid: int) -> dict[str, list[str]]:
    """/proc/PID/status, the words of each field."""
    lines = node.read(f"/proc/{pid}/status").decode().splitlines()
    return {name: words.split() for name, _, words in (line.partition(":") for line in lines)}


def pid_of(node: LiveNode, service: str) -> int:
    node.until_healthy(service)
    return int(node.resources(SERVICE_PID.name, SERVICE_PID.namespace)[service]["pid"])


def test_file_systems_of_the_kernel_are_mounted_as_the_table_says(node: LiveNode) -> None:
    lines = [line.split() for line in node.read("/proc/1/mounts").decode().splitlines()]
    mounts = {target: (fstype, set(options.split(","))) for _, target, fstype, options, *_ in lines}
    for wanted in PSEUDO_MOUNTS:
        fstype, options = mounts[wanted.target]
        assert fstype == wanted.fstype, wanted.target
        assert {word for flag, word in FLAGS.items() if wanted.flags & flag} <= options, wanted.target
    assert {"nsdelegate", "memory_recursiveprot"} <= mounts["/sys/fs/cgroup"][1]


def test_groups_below_the_root_have_every_controller(node: LiveNode) -> None:
    assert node.read("/proc/1/cgroup").decode().strip() == "0::/init"
    for parent in PARENTS:
        handed_down = node.read(f"/sys/fs/cgroup/{parent}/cgroup.subtree_control").decode().split()
        assert set(CONTROLLERS) <= set(handed_down), parent


def test_parameters_of_the_kernel_are_what_the_table_says(node: LiveNode) -> None:
    names = {SYSCTL + each.name for each in DEFAULTS}

    def ask() -> dict[str, dict[str, object]] | None:
        statuses = node.resources(KERNEL_PARAM_STATUS.name, KERNEL_PARAM_STATUS.namespace)
        return statuses if names <= set(statuses) else None

    statuses = node.until(ask, "a status of each parameter")
    there = [each for each in DEFAULTS if not statuses[SYSCTL + each.name].get("unsupported")]
    # What belongs to a module may still be missing; what protects the kernel is part of it.
    assert all(each.name.startswith("net.") for each in DEFAULTS if each not in there)
    found = {each.name: node.read("/proc/sys/" + each.name.replace(".", "/")).decode().split() for each in there}
    assert found == {each.name: each.value.split() for each in there}


@pytest.mark.parametrize("service", CONFINED)
def test_a_service_is_confined_as_its_row_of_the_catalogue_says(node: LiveNode, service: str) -> None:
    row = next(each.confinement for each in CATALOGUE if each.id == service)
    pid = pid_of(node, service)
    status = status_of(node, pid)
    assert node.read(f"/proc/{pid}/cgroup").decode().strip() == f"0::/{row.cgroup}"
    assert node.read(f"/proc/{pid}/oom_score_adj").decode().strip() == str(row.oom)
    assert status["Uid"] == [str(row.uid)] * 4
    assert status["Gid"] == [str(row.gid)] * 4
    assert status["NoNewPrivs"] == [str(int(row.no_new_privs))]
    assert row.caps in ("none", "all")
    everything = status_of(node, 1)["CapBnd"]
    assert status["CapBnd"] == (["0" * 16] if row.caps == "none" else everything)
    assert status["CapEff"] == status["CapBnd"]


def test_the_dashboard_is_on_its_console(node: LiveNode) -> None:
    pid = pid_of(node, "dashboard")
    assert node.services()["dashboard"].state == "Running"
    node.until(
        lambda: DASHBOARD_TTY in {entry.link for entry in node.call("List", root=f"/proc/{pid}/fd")},
        f"{DASHBOARD_TTY} opened by the dashboard",
    )

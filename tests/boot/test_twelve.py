"""Each of the twelve binaries is used for what it is there for.

containerd, the shims and runc: test_healing. init: every test. mkfs.xfs and xfs_repair: test_ephemeral. Here: modprobe,
called by the kernel; lvm and dmsetup with a volume; udevd with a rule of the configuration; the packet filter.
"""

from __future__ import annotations

import pytest

from dozen.testing.live import LiveNode
from dozen.testing.toolbox import Toolbox


def modules(node: LiveNode) -> set[str]:
    return {line.split()[0] for line in node.read("/proc/modules").decode().splitlines()}


def test_modprobe_is_called_by_the_kernel(node: LiveNode, toolbox: Toolbox) -> None:
    """Making a link of a kind that nobody has used yet makes the kernel run modprobe."""
    assert "dummy" not in modules(node)
    toolbox.check("ip link add dummy7 type dummy && ip link del dummy7")
    assert "dummy" in modules(node)


def test_udevd_applies_a_rule_of_the_configuration_and_names_disks(node: LiveNode) -> None:
    node.until_healthy("udevd")
    names = {entry.relative_name: entry.link for entry in node.call("List", root="/dev") if entry.link}
    assert names["dozen-test-disk"].rpartition("/")[2] == "vdb"
    by_id = {entry.relative_name: entry.link for entry in node.call("List", root="/dev/disk/by-id") if entry.link}
    assert by_id["virtio-dozen-root"].rpartition("/")[2] == "vda"
    assert by_id["virtio-dozen-data"].rpartition("/")[2] == "vdb"


HOST = "chroot /host"
SCRATCH = "/dev/disk/by-id/virtio-scratch"


def test_lvm_and_dmsetup_make_list_and_remove_a_volume(node: LiveNode, toolbox: Toolbox) -> None:
    node.until(lambda: SCRATCH.rpartition("/")[2] in node.names("/dev/disk/by-id"), "the second disk")
    try:
        toolbox.check(
            f"{HOST} /sbin/lvm pvcreate {SCRATCH} && {HOST} /sbin/lvm vgcreate box {SCRATCH} &&"
            f"{HOST} /sbin/lvm lvcreate -y -L 16M -n one box"
        )
        assert "one" in toolbox.check(f"{HOST} /sbin/lvm lvs --noheadings -o lv_name box")
        assert "box-one" in toolbox.check(f"{HOST} /sbin/dmsetup ls")
        # A volume is a disk, and udevd made its names: what is written through one is read through the other.
        written = "echo dozen | dd of=/host/dev/box/one conv=sync 2>/dev/null && head -c 5 /host/dev/mapper/box-one"
        assert "dozen" in toolbox.check(written)
    finally:
        outcome = toolbox.run(
            f"{HOST} /sbin/lvm lvremove -y box/one; {HOST} /sbin/lvm vgremove -y box;"
            f"{HOST} /sbin/lvm pvremove -y {SCRATCH}"
        )
    assert "box-one" not in toolbox.check(f"{HOST} /sbin/dmsetup ls"), outcome.output


def test_dmsetup_makes_a_device_by_itself(toolbox: Toolbox) -> None:
    made = toolbox.check(
        f"{HOST} /sbin/dmsetup create naught --table '0 8 zero' && {HOST} /sbin/dmsetup info -c --noheadings -o name"
        f"&& {HOST} /sbin/dmsetup remove naught"
    )
    assert "naught" in made
    assert "naught" not in toolbox.check(f"{HOST} /sbin/dmsetup ls")


@pytest.mark.parametrize(("program", "ping"), [("iptables", "ping -4 127.0.0.1"), ("ip6tables", "ping -6 ::1")])
def test_the_packet_filter_filters_a_packet(toolbox: Toolbox, program: str, ping: str) -> None:
    proto = "icmp" if program == "iptables" else "ipv6-icmp"
    rule = f"INPUT -i lo -p {proto} -m comment --comment test -j DROP"
    assert toolbox.run(f"{ping} -c 1 -W 2").code == 0
    try:
        toolbox.check(f"{HOST} /sbin/{program} -w -I {rule}")
        assert toolbox.run(f"{ping} -c 1 -W 1").code != 0
        counted = toolbox.check(f"{HOST} /sbin/{program} -w -L INPUT -v -x -n")
        line = next(line for line in counted.splitlines() if "DROP" in line)
        assert int(line.split()[0]) >= 1
        assert "-A INPUT" in toolbox.check(f"{HOST} /sbin/{program}-save -t filter")
    finally:
        toolbox.check(f"{HOST} /sbin/{program} -w -D {rule}")
    assert toolbox.run(f"{ping} -c 1 -W 2").code == 0

"""The small ones: parameters, control groups, names' files, device events and rules, PCI and links, the clock."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.linux import clock, linkdetails, pci, resolvconf, sysctl, udev, uevent
from dozen.linux.cgroups import Hierarchy, Usage, parse_counters
from dozen.linux.clock import Discipline
from dozen.linux.linkdetails import LinkDetails, Speed
from dozen.linux.uevent import Event, MalformedEvent


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("proc.sys.net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"),
        ("proc.sys.net/ipv4/conf/eth0.100/rp_filter", "/proc/sys/net/ipv4/conf/eth0.100/rp_filter"),
        ("proc.sys.net.ipv4.conf.eth0/100.rp_filter", "/proc/sys/net/ipv4/conf/eth0.100/rp_filter"),
        ("sys.block.vda.queue.scheduler", "/sys/block/vda/queue/scheduler"),
        ("sys.kernel/mm/x.y", "/sys/kernel/mm/x.y"),
        ("sys.bus/pci/devices/0000:00:01.0/enable", "/sys/bus/pci/devices/0000:00:01.0/enable"),
    ],
)
def test_names_of_parameters(name: str, path: str) -> None:
    assert sysctl.find_path(name) == path


@pytest.mark.parametrize(
    "name", ["net.ipv4.ip_forward", "proc.sys.", "sys.../etc/passwd", "proc.sys.a/../../etc", "sys./"]
)
def test_what_is_no_parameter_is_refused(name: str) -> None:
    with pytest.raises(sysctl.UnknownParameter):
        sysctl.find_path(name)


@given(st.text(st.sampled_from("ab./"), max_size=12))
def test_no_name_leads_out_of_the_tree(name: str) -> None:
    try:
        path = sysctl.find_path("proc.sys." + name)
    except sysctl.UnknownParameter:
        return
    assert os.path.normpath(path) == path
    assert path.startswith("/proc/sys/")


def make_hierarchy(root: Path) -> Hierarchy:
    (root / "cgroup.controllers").write_text("cpu memory pids\n")
    (root / "cgroup.subtree_control").write_text("cpu\n")
    return Hierarchy(str(root))


def test_a_group_gets_the_controllers_that_there_are(tmp_path: Path) -> None:
    hierarchy = make_hierarchy(tmp_path)
    hierarchy.create("system/containerd", ("cpu", "memory", "io"))
    assert (tmp_path / "system/containerd").is_dir()
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory"
    assert hierarchy.available()


def test_a_groups_usage(tmp_path: Path) -> None:
    hierarchy = make_hierarchy(tmp_path)
    hierarchy.create("a")
    (tmp_path / "a/memory.current").write_text("4096\n")
    (tmp_path / "a/memory.peak").write_text("8192\n")
    (tmp_path / "a/cpu.stat").write_text("usage_usec 300\nuser_usec 200\nsystem_usec 100\nnr_periods x\n")
    (tmp_path / "a/pids.current").write_text("3\n")
    (tmp_path / "a/cgroup.procs").write_text("1\n22\n")
    (tmp_path / "a/cgroup.events").write_text("populated 1\nfrozen 0\n")
    assert hierarchy.usage("a") == Usage(4096, 8192, 300, 200, 100, 3)
    assert hierarchy.usage("gone") == Usage()
    assert hierarchy.processes("a") == [1, 22]
    assert hierarchy.populated("a")
    assert not hierarchy.populated("gone")
    assert parse_counters("a 1\nb\nc -3\n") == {"a": 1}


def test_a_group_goes_with_those_below_it(tmp_path: Path) -> None:
    hierarchy = make_hierarchy(tmp_path)
    (tmp_path / "a/b/c").mkdir(parents=True)
    hierarchy.remove("a")
    hierarchy.remove("a")
    assert not (tmp_path / "a").exists()
    hierarchy.kill("a")


def test_limits(tmp_path: Path) -> None:
    hierarchy = make_hierarchy(tmp_path)
    (tmp_path / "a").mkdir()
    for file in ("memory.max", "pids.max", "cpu.weight", "cgroup.procs"):
        (tmp_path / "a" / file).touch()
    hierarchy.limit("a", memory=1 << 20, cpu_weight=50)
    hierarchy.add("a", 42)
    read = {file.name: file.read_text() for file in (tmp_path / "a").iterdir()}
    assert read == {"memory.max": "1048576", "pids.max": "max", "cpu.weight": "50", "cgroup.procs": "42"}


def test_resolv_conf_keeps_what_the_c_library_reads() -> None:
    text = resolvconf.render_resolv_conf(["10.0.2.3", "1.1.1.1", "8.8.8.8", "9.9.9.9"], ["a.example", "b.example"])
    assert text == "nameserver 10.0.2.3\nnameserver 1.1.1.1\nnameserver 8.8.8.8\nsearch a.example b.example\n"
    assert resolvconf.render_resolv_conf([]) == ""


def test_hosts() -> None:
    text = resolvconf.render_hosts("node7", "example.org", "10.0.2.15", [("10.9.9.9", ["registry", "mirror"])])
    assert text.splitlines()[:3] == [
        "127.0.0.1 localhost",
        "10.0.2.15 node7.example.org node7",
        "::1 localhost ip6-localhost ip6-loopback",
    ]
    assert text.endswith("10.9.9.9 registry mirror\n")
    assert "127.0.1.1 node7\n" in resolvconf.render_hosts("node7")


KERNEL_EVENT = b"add@/devices/virtual/net/lo\0ACTION=add\0DEVPATH=/devices/virtual/net/lo\0SUBSYSTEM=net\0SEQNUM=7\0"


def test_an_event_of_the_kernel() -> None:
    event = uevent.parse_event(KERNEL_EVENT)
    assert (event.action, event.path, event.subsystem) == ("add", "/devices/virtual/net/lo", "net")
    assert event.properties["SEQNUM"] == "7"


def test_an_event_of_udevd() -> None:
    texts = b"ACTION=change\0DEVPATH=/devices/vda\0SUBSYSTEM=block\0DEVLINKS=/dev/disk/by-id/a=b\0"
    head = uevent.UDEV_HEAD.pack(uevent.UDEV_PREFIX, 40, 40, len(texts)).ljust(40, b"\0")
    assert uevent.parse_event(head + texts) == Event(
        "change",
        "/devices/vda",
        "block",
        {
            "ACTION": "change",
            "DEVPATH": "/devices/vda",
            "SUBSYSTEM": "block",
            "DEVLINKS": "/dev/disk/by-id/a=b",
        },
    )


@given(st.one_of(st.binary(max_size=100), st.binary(max_size=60).map(lambda rest: uevent.UDEV_PREFIX + rest)))
def test_any_event_is_read_or_refused(data: bytes) -> None:
    try:
        uevent.parse_event(data)
    except MalformedEvent:
        return


def test_each_device_is_announced_once(tmp_path: Path) -> None:
    devices = tmp_path / "devices"
    for name in ("pci0", "pci0/eth0", "vda"):
        (devices / name).mkdir(parents=True, exist_ok=True)
        (devices / name / "uevent").touch()
    (devices / "gone").mkdir()
    for link, target in {
        "bus/pci/devices/pci0": "pci0",
        "bus/pci/devices/gone": "gone",
        "class/net/eth0": "pci0/eth0",
        "class/block/vda": "vda",
        "class/other/vda": "vda",
    }.items():
        (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / link).symlink_to(devices / target)
    assert udev.announce_devices(str(tmp_path)) == 3
    assert {path.parent.name for path in devices.rglob("uevent") if path.read_text() == "add"} == {
        "pci0",
        "eth0",
        "vda",
    }


def test_rules_are_lines() -> None:
    assert udev.render_rules(['KERNEL=="a", MODE="0600"', 'KERNEL=="b"\n']) == 'KERNEL=="a", MODE="0600"\nKERNEL=="b"\n'


def test_a_virtio_link_is_known_by_its_pci_device(tmp_path: Path) -> None:
    device = tmp_path / "devices/pci0000:00/0000:00:02.0/virtio1"
    (device / "net/eth0").mkdir(parents=True)
    for name, text in {"vendor": "0x1af4\n", "device": "0x1000\n"}.items():
        (device.parent / name).write_text(text)
        (device / name).write_text("0x0001\n")
    (tmp_path / "drivers/virtio_net").mkdir(parents=True)
    (device / "driver").symlink_to(tmp_path / "drivers/virtio_net")
    (tmp_path / "net/eth0").mkdir(parents=True)
    (tmp_path / "net/eth0/device").symlink_to(device)
    (tmp_path / "net/eth0/speed").write_text("1000\n")
    (tmp_path / "net/eth0/duplex").write_text("full\n")
    details = linkdetails.read_details("eth0", str(tmp_path / "net"))
    assert details == LinkDetails("0000:00:02.0", "virtio_net", "0x1af4", "0x1000")
    assert details.pci_id == "1AF4:1000"
    assert linkdetails.read_speed("eth0", str(tmp_path / "net")) == Speed(1000, "Full")


@pytest.mark.parametrize("speed", ["-1", "4294967295", ""])
def test_a_link_without_a_speed(tmp_path: Path, speed: str) -> None:
    (tmp_path / "lo").mkdir()
    (tmp_path / "lo/speed").write_text(speed)
    assert linkdetails.read_speed("lo", str(tmp_path)) == Speed(0, "Unknown")
    assert linkdetails.read_details("lo", str(tmp_path)) == LinkDetails()


def test_pci_devices(tmp_path: Path) -> None:
    device = tmp_path / "0000:00:1f.2"
    device.mkdir()
    for name, text in {"class": "0x010601\n", "vendor": "0x8086\n", "device": "0x2922\n"}.items():
        (device / name).write_text(text)
    (tmp_path / "0000:00:00.0").mkdir()
    empty, disk = pci.list_devices(str(tmp_path))
    assert (disk.class_name, disk.subclass_name) == ("Mass storage controller", "SATA controller")
    assert (disk.class_id, disk.subclass_id, disk.vendor_id, disk.product_id) == ("0x01", "0x06", "0x8086", "0x2922")
    assert (empty.address, empty.driver, empty.vendor_id) == ("0000:00:00.0", "", "")
    assert pci.list_devices("/nonexistent") == []


def test_the_state_of_the_clock() -> None:
    values = {
        "state": 0,
        "offset": 1500,
        "freq": 65536 * 10,
        "maxerror": 20,
        "esterror": 5,
        "status": 0x1,
        "constant": 7,
    }
    assert clock.describe_discipline(values) == Discipline(
        offset=1_500_000,
        frequency_ratio=1.00001,
        max_error=20_000,
        estimated_error=5_000,
        status="STA_PLL",
        constant=7,
        synchronized=True,
        state="OK",
    )
    unsynchronized = clock.describe_discipline({**values, "state": 5, "status": 0x2040})
    assert unsynchronized.status == "STA_UNSYNC | STA_NANO"
    assert (unsynchronized.synchronized, unsynchronized.state, unsynchronized.offset) == (False, "ERROR", 1500)


def test_a_large_error_cannot_be_slewed() -> None:
    with pytest.raises(ValueError, match="stepped"):
        clock.slew(0.6)

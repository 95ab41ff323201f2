"""The kernel's tables, from files as it writes them (tests/cases/proc)."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.linux import procfs

CASES = Path(__file__).parents[2] / "cases" / "proc"


def text(name: str) -> str:
    return (CASES / name).read_text()


def test_memory_names_lose_case_and_punctuation() -> None:
    memory = procfs.parse_memory(text("meminfo"))
    assert memory["memtotal"] == 2030156
    assert memory["activeanon"] == 10240
    assert memory["inactivefile"] == 20480
    assert memory["committedas"] == 300000
    assert (memory["hugepagestotal"], memory["hugepagesrsvd"], memory["hugepagesize"]) == (7, 2, 2048)
    assert memory["directmap4k"] == 28672
    assert "somethingnew" not in memory


def test_load() -> None:
    assert procfs.parse_load("0.50 1.25 2.00 3/200 4711\n") == (0.5, 1.25, 2.0)


def test_system_stat() -> None:
    stat = procfs.parse_system_stat(text("stat"))
    assert stat.boot_time == 1714557600
    assert stat.cpu_total == (2.0, 0.1, 1.0, 40.0, 0.5, 0.01, 0.02, 0.03, 0.04, 0.05)
    assert [cpu.user for cpu in stat.cpu] == [1.5, 0.5]
    assert (stat.irq_total, stat.irq) == (1000, (30, 0, 5, 0))
    assert (stat.context_switches, stat.process_created) == (123456, 4321)
    assert (stat.process_running, stat.process_blocked) == (2, 1)
    assert (stat.soft_irq_total, stat.soft_irq.hi, stat.soft_irq.rcu) == (555, 1, 10)


def test_system_stat_of_a_kernel_that_says_less() -> None:
    stat = procfs.parse_system_stat("cpu 100 0\n")
    assert stat.cpu_total.user == 1.0
    assert (stat.cpu, stat.irq, stat.boot_time) == ((), (), 0)


def test_processors() -> None:
    first, second = procfs.parse_cpu_info(text("cpuinfo"))
    assert first["model_name"] == "Example CPU: the @ one"
    assert first["cpu_mhz"] == 2500.5
    assert (first["siblings"], first["cpu_id_level"], first["apic_id"]) == (2, 13, "0")
    assert first["flags"] == ["fpu", "vme", "de"]
    assert first["power_management"] == ""
    assert second == {"processor": 1}


def test_frequencies_follow_the_processors_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "devices" / "system" / "cpu"
    for number in (0, 2, 10):
        (folder / f"cpu{number}" / "cpufreq").mkdir(parents=True)
    (folder / "cpufreq").mkdir()
    (folder / "cpu10" / "cpufreq" / "scaling_cur_freq").write_text("1200000\n")
    (folder / "cpu10" / "cpufreq" / "cpuinfo_max_freq").write_text("<unknown>\n")
    (folder / "cpu10" / "cpufreq" / "scaling_governor").write_text("performance\n")
    assert procfs.read_cpu_frequencies(tmp_path) == [(0, 0, 0, ""), (0, 0, 0, ""), (1200000, 0, 0, "performance")]


def test_disks_with_and_without_discards() -> None:
    disks = {disk.name: disk for disk in procfs.parse_disk_stats(text("diskstats"))}
    assert list(disks) == ["vda", "vda1", "loop0", "sda"]
    assert (disks["vda"].read_completed, disks["vda"].io_time_weighted_ms, disks["vda"].discard_time_ms) == (
        100,
        500,
        10,
    )
    assert (disks["sda"].io_time_weighted_ms, disks["sda"].discard_completed) == (11, 0)


def test_sums_count_a_disk_once() -> None:
    total = procfs.sum_disks(procfs.parse_disk_stats(text("diskstats")), ["vda", "sda", "gone"])
    assert (total.name, total.read_completed, total.io_time_weighted_ms, total.discard_time_ms) == ("", 101, 511, 10)
    assert procfs.sum_disks([], ["vda"]) == procfs.DiskCounters("")


def test_whole_disks_are_not_built_on_others(tmp_path: Path) -> None:
    (tmp_path / "block").mkdir()
    for name, place in (("vda", "pci0000:00/virtio0/block"), ("loop0", "virtual/block"), ("dm-0", "virtual/block")):
        target = tmp_path / "devices" / place / name
        target.mkdir(parents=True)
        (tmp_path / "block" / name).symlink_to(target)
    assert procfs.read_whole_disks(tmp_path) == ["vda"]
    assert procfs.read_whole_disks(tmp_path / "nowhere") == []


def test_interfaces() -> None:
    lo, vlan = procfs.parse_interfaces(text("netdev"))
    assert (lo.name, lo.rx_bytes, lo.tx_bytes) == ("lo", 100, 100)
    assert (vlan.name, vlan.rx_bytes, vlan.rx_multicast, vlan.tx_bytes, vlan.tx_compressed) == (
        "eth0.10",
        9007199254740993,
        8,
        9,
        16,
    )
    total = procfs.sum_interfaces([lo, vlan])
    assert (total.rx_bytes, total.tx_packets) == (9007199254741093, 11)


def test_mounts_are_unescaped() -> None:
    mounts = procfs.parse_mounts(text("mounts"))
    assert [mount.target for mount in mounts] == ["/", "/run/a b\\c", "/proc", "/var"]
    assert mounts[3] == ("/dev/vdb1", "/var", "xfs", "rw")


def test_mount_that_cannot_be_asked_has_no_size(tmp_path: Path) -> None:
    (tmp_path / "mounts").write_text(f"there {tmp_path} tmpfs rw 0 0\ngone {tmp_path}/gone tmpfs rw 0 0\n")
    there, gone = procfs.read_mount_spaces(tmp_path)
    assert there.size >= there.available > 0
    assert gone == procfs.MountSpace("gone", f"{tmp_path}/gone")


def test_named_turns_nested_tuples_into_dictionaries() -> None:
    stat = procfs.parse_system_stat(text("stat"))
    values = procfs.named(stat)
    assert values["soft_irq"] == stat.soft_irq._asdict()
    assert values["boot_time"] == 1714557600


@pytest.mark.parametrize(
    "parse",
    [procfs.parse_memory, procfs.parse_cpu_info, procfs.parse_mounts],
)
@given(st.text())
def test_text_of_another_world_is_survived(parse: object, data: str) -> None:
    assert callable(parse)
    parse(data)

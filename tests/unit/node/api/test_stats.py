"""Version and the kernel's numbers, from this machine's own /proc; what the numbers mean is tested with the parsers."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from dozen.machinery.messages import message
from dozen.rpc.status import Code, RpcError
from dozen.testing.machine import FakeMachine

Ask = Callable[..., list[Any]]


def one(replies: list[Any]) -> Any:
    """The one message of the one reply: several commands of clients look at ``messages[0]``."""
    (reply,) = replies
    (answer,) = reply.messages
    return answer


def test_version(ask: Ask) -> None:
    version = one(ask("machine.MachineService/Version"))
    assert (version.version.tag, version.version.os, version.version.arch) == ("v1.2.3", "linux", "amd64")
    assert (version.platform.name, version.platform.mode) == ("metal", "metal")
    assert version.features.rbac
    assert not version.HasField("metadata")


def test_unconfigured_machine_has_no_roles_to_ask_for(ask: Ask, machine: FakeMachine) -> None:
    machine.config = None
    assert not one(ask("machine.MachineService/Version")).HasField("features")


def test_hostname(ask: Ask) -> None:
    assert one(ask("machine.MachineService/Hostname")).hostname == os.uname().nodename


def test_memory(ask: Ask) -> None:
    memory = one(ask("machine.MachineService/Memory")).meminfo
    assert memory.memtotal > memory.memavailable > 0


def test_load(ask: Ask) -> None:
    assert one(ask("machine.MachineService/LoadAvg")).load15 >= 0


def test_system_stat(ask: Ask) -> None:
    stat = one(ask("machine.MachineService/SystemStat"))
    assert stat.boot_time > 1_500_000_000
    assert len(stat.cpu) == os.sysconf("SC_NPROCESSORS_ONLN")
    assert stat.cpu_total.user > 0
    assert stat.soft_irq_total >= stat.soft_irq.timer


def test_processors(ask: Ask) -> None:
    assert [cpu.processor for cpu in one(ask("machine.MachineService/CPUInfo")).cpu_info][:1] == [0]
    assert one(ask("machine.MachineService/CPUFreqStats")).cpu_freq_stats


def test_disks_and_interfaces(ask: Ask) -> None:
    assert one(ask("machine.MachineService/DiskStats")).HasField("total")
    stats = one(ask("machine.MachineService/NetworkDeviceStats"))
    assert stats.total.rx_bytes == sum(device.rx_bytes for device in stats.devices)
    assert "lo" in [device.name for device in stats.devices]


def test_mounts(ask: Ask) -> None:
    assert "/proc" in [mount.mounted_on for mount in one(ask("machine.MachineService/Mounts")).stats]


def test_processes(ask: Ask) -> None:
    processes = {process.pid: process for process in one(ask("machine.MachineService/Processes")).processes}
    own = processes[os.getpid()]
    assert own.ppid == os.getppid()
    assert own.resident_memory > 1_000_000
    assert own.executable


def test_statfs(ask: Ask) -> None:
    (space,) = ask("machine.StorageService/Statfs", path="/")
    assert space.size == space.used + os.statvfs("/").f_bfree * os.statvfs("/").f_frsize or space.size > space.used
    with pytest.raises(RpcError) as error:
        ask("machine.StorageService/Statfs", path="/nowhere")
    assert error.value.code is Code.NOT_FOUND


def test_every_field_of_the_message_has_a_line_of_the_kernel() -> None:
    """The names are derived, so that a misspelt one would stay 0 unseen."""
    from dozen.linux.procfs import parse_memory

    names = """
        MemTotal MemFree MemAvailable Buffers Cached SwapCached Active Inactive Active(anon) Inactive(anon) Active(file)
        Inactive(file) Unevictable Mlocked SwapTotal SwapFree Dirty Writeback AnonPages Mapped Shmem Slab SReclaimable
        SUnreclaim KernelStack PageTables NFS_Unstable Bounce WritebackTmp CommitLimit Committed_AS VmallocTotal
        VmallocUsed VmallocChunk HardwareCorrupted AnonHugePages ShmemHugePages ShmemPmdMapped CmaTotal CmaFree
        HugePages_Total HugePages_Free HugePages_Rsvd HugePages_Surp Hugepagesize DirectMap4k DirectMap2M DirectMap1G
    """
    values = parse_memory("".join(f"{name}: 1 kB\n" for name in names.split()))
    assert set(values) == set(message("machine.MemInfo").DESCRIPTOR.fields_by_name)

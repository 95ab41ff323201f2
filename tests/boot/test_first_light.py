"""A machine boots and answers: what it is, what is in it, what runs, and that it comes back."""

from __future__ import annotations

from dozen.testing.live import LiveNode

BIN = {"containerd", "containerd-shim", "containerd-shim-runc-v2", "runc"}
INIT = {"init", "dashboard", "poweroff", "shutdown", "wrapperd"}
FILTER = {"xtables-legacy-multi"} | {
    family + suffix
    for family in ("iptables", "ip6tables")
    for suffix in ("", "-legacy", "-legacy-restore", "-legacy-save", "-restore", "-save")
}
SBIN = {"modprobe", "lvm", "dmsetup", "udevd", "mkfs.xfs", "xfs_repair"} | INIT | FILTER

MEMORY_MIB = 150
INIT_RSS_MIB = 40


def test_it_is_a_machine_of_its_own(node: LiveNode) -> None:
    version = node.version()
    assert version.platform.mode == "metal"
    assert version.version.os == "linux"
    assert version.version.arch == "amd64"


def test_twelve_binaries_under_their_names_and_nothing_else(node: LiveNode) -> None:
    assert set(node.names("/bin")) == BIN
    assert set(node.names("/sbin")) == SBIN
    names = [entry for folder in ("/bin", "/sbin") for entry in node.call("List", root=folder)]
    files = [entry for entry in names if not entry.is_dir and not entry.link]
    # Hard links are one file: the twelve are counted without the other names of init.
    assert len({entry.relative_name for entry in files} - (INIT - {"init"})) == 12


def test_every_service_becomes_healthy(node: LiveNode) -> None:
    services = node.until_healthy("machined", "apid", "udevd", "containerd")
    assert {"machined", "apid", "udevd", "containerd", "dashboard"} <= set(services)


def test_it_got_an_address_a_route_and_a_name(node: LiveNode) -> None:
    addresses = node.until(lambda: b"10.0.2.15" in node.read("/proc/net/fib_trie") and "here", "an address by DHCP")
    assert addresses == "here"
    assert node.call("Hostname").messages[0].hostname
    routes = node.read("/proc/net/route").decode().splitlines()[1:]
    assert any(line.split()[1] == "00000000" for line in routes), routes


def test_resources_say_what_the_machine_s_own_files_say(node: LiveNode) -> None:
    node.until_healthy("udevd")
    boots = node.until(lambda: node.resources("BootIDs.runtime.talos.dev", "runtime"), "facts of the boot")
    assert boots["boot-id"]["bootID"] == node.boot_id()
    line = node.resources("KernelCmdlines.runtime.talos.dev", "runtime")["cmdline"]["cmdline"]
    assert line == node.read("/proc/cmdline").decode().strip()
    cores = node.resources("CPUCores.hardware.talos.dev", "hardware").values()
    threads = node.read("/proc/cpuinfo").count(b"processor\t:")
    assert sorted(number for core in cores for number in core["logicalCPUs"]) == list(range(threads))
    loaded = {text.split()[0] for text in node.read("/proc/modules").decode().splitlines()}
    told = lambda: set(node.resources("LoadedKernelModules.runtime.talos.dev", "runtime")) == loaded  # noqa: E731
    node.until(told, "the modules that are loaded")
    ethernet = node.resources("EthernetStatuses.net.talos.dev", "network")
    assert any(feature["name"] == "rx-gro" for link in ethernet.values() for feature in link["features"])
    assert node.until(lambda: node.resources("DevicesStatuses.runtime.talos.dev", "runtime"), "devices")


def test_the_kernel_s_log_can_be_read(node: LiveNode) -> None:
    assert "Linux version 6." in node.dmesg()


def test_logs_of_services_can_be_read(node: LiveNode) -> None:
    node.until_healthy("containerd")
    assert "containerd successfully booted" in node.logs("containerd")


def test_an_idle_node_is_small(node: LiveNode) -> None:
    node.until_healthy("containerd")
    memory = node.call("Memory").messages[0].meminfo
    used = (memory.memtotal - memory.memfree - memory.buffers - memory.cached - memory.sreclaimable) / 1024
    assert used < 1.5 * MEMORY_MIB, f"{used:.0f} MiB used"
    init = next(process for process in node.processes() if process.pid == 1)
    assert init.resident_memory < 1.5 * INIT_RSS_MIB * 2**20, f"PID 1 has {init.resident_memory / 2**20:.0f} MiB"


def test_the_root_is_read_only_and_var_is_xfs(node: LiveNode) -> None:
    node.until_healthy("containerd")
    mounts = {line.split()[1]: line.split()[2:4] for line in node.read("/proc/1/mounts").decode().splitlines()}
    assert mounts["/"][0] == "erofs"
    assert "ro" in mounts["/"][1].split(",")
    assert mounts["/var"][0] == "xfs"
    assert {"nosuid", "nodev"} <= set(mounts["/var"][1].split(","))


def test_a_reboot_is_another_boot_with_everything_back(node: LiveNode) -> None:
    before = node.boot_id()
    node.until_healthy("containerd")
    node.reboot()
    assert node.boot_id() != before
    node.until_healthy("machined", "apid", "udevd", "containerd", seconds=120)

"""Resources that describe the machine say what the machine's own files say: on this kernel, and on a node."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path

import pytest

from dozen.cli.resource_reference import EMPTY, absences
from dozen.machinery import yaml
from dozen.machinery.config.generating import Bundle
from dozen.machinery.messages import message, method_types
from dozen.machinery.resources import all_kinds, hardware, kernel, runtime
from dozen.node.controllers.hardware import DeviceWatcher, facts
from dozen.rpc.status import Code, RpcError
from dozen.testing.controllers import Bench
from dozen.testing.live import MACHINE, LiveNode


def test_cores_and_modules_are_this_kernel_s() -> None:
    async def run() -> None:
        async with Bench(watchers=[DeviceWatcher()]) as bench:
            await bench.settle()
            cores = bench.store.list(hardware.CPU_CORE)
            threads = sorted(number for core in cores for number in core.spec.logical_cpus)
            assert threads == sorted(map(int, re.findall(r"^processor\s*: (\d+)", read("/proc/cpuinfo"), re.MULTILINE)))
            # A kernel without modules has no such file.
            modules = read("/proc/modules") if Path("/proc/modules").exists() else ""
            loaded = {line.split()[0] for line in modules.splitlines()}
            assert {each.id for each in bench.store.list(kernel.KERNEL_MODULE_STATUS)} == loaded
            assert {each.id for each in bench.store.list(kernel.LOADED_KERNEL_MODULE)} == loaded

    asyncio.run(run())


def test_the_boot_is_this_kernel_s() -> None:
    async def run() -> None:
        async with Bench(watchers=[facts.BootWatcher("v1")]) as bench:
            await bench.settle()
            boot_id = bench.store.get(runtime.BOOT_ID, "boot-id").spec.boot_id
            assert boot_id == read("/proc/sys/kernel/random/boot_id")
            assert bench.store.get(kernel.KERNEL_CMDLINE, "cmdline").spec.cmdline == read("/proc/cmdline")

    asyncio.run(run())


def test_a_node_says_what_it_is_busy_with(native: LiveNode) -> None:
    native.until(lambda: native.resources("CPUStats.perf.talos.dev", "perf"), "figures")
    processors = native.resources("CPUStats.perf.talos.dev", "perf")["latest"]
    assert len(processors["cpu"]) == os.cpu_count()
    memory = native.resources("MemoryStats.perf.talos.dev", "perf")["latest"]
    assert memory["total"] == native.call("Memory").messages[0].meminfo.memtotal
    swaps = native.resources("SwapStatuses.block.talos.dev", "runtime")
    assert len(swaps) == len(read("/proc/swaps").splitlines()) - 1


def test_a_node_says_what_it_is(native: LiveNode) -> None:
    native.until(lambda: native.resources("Versions.runtime.talos.dev", "runtime"), "a version")
    version = native.resources("Versions.runtime.talos.dev", "runtime")["version"]
    assert version == {"name": "Dozen Linux", "version": native.version().version.tag}
    platform = native.resources("PlatformMetadatas.talos.dev", "runtime")["platformmetadata"]
    assert platform["platform"] == native.version().platform.name == "container"
    security = native.resources("SecurityStates.talos.dev", "runtime")["securitystate"]
    enforcing = {"": "disabled", "0": "permissive", "1": "enforcing"}
    enforce = Path("/sys/fs/selinux/enforce")
    assert security["selinuxState"] == enforcing[read(str(enforce)) if enforce.exists() else ""]
    ready = native.until(lambda: native.resources("DevicesStatuses.runtime.talos.dev", "runtime"), "devices")
    assert ready == {"devices": {"ready": True}}


def test_services_have_the_processes_that_run(native: LiveNode) -> None:
    native.until_healthy("machined", "apid")
    found = native.resources("ServicePIDs.runtime.talos.dev", "runtime")
    running = {process.pid for process in native.processes()}
    assert found["machined"]["pid"] == 1
    assert {"machined", "apid"} <= set(found)
    assert all(each["pid"] in running for each in found.values())
    assert all(each["mountNamespace"].startswith("mnt:[") for each in found.values())


def test_rules_of_a_node_s_network(native: LiveNode) -> None:
    found = native.until(lambda: native.resources("RoutingRuleStatuses.net.talos.dev", "network"), "rules")
    assert {id: found[id]["table"] for id in ("inet4/00000", "inet4/32766", "inet4/32767")} == {
        "inet4/00000": "local",
        "inet4/32766": "main",
        "inet4/32767": "default",
    }


def test_packages_of_the_image(native: LiveNode) -> None:
    found = native.until(lambda: native.resources("SBOMItems.talos.dev", "runtime"), "packages")
    files = json.loads(native.read("/usr/share/dozen/manifest.json"))["files"]
    assert {name: item["version"] for name, item in found.items()} == {
        file["package"]: file.get("version", "") for file in files if file.get("package")
    }


def test_what_happens_to_a_node_is_told_as_events(native: LiveNode, bundle: Bundle) -> None:
    wanted = {"SequenceEvent", "PhaseEvent", "TaskEvent", "ServiceStateEvent", "MachineStatusEvent", "AddressEvent"}
    types = method_types(f"{MACHINE}Events")
    data = yaml.load(bundle.controlplane)
    data["machine"]["network"] = {"hostname": "told"}

    async def collect() -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        asked = types.request(tail_events=-1)
        async for event in native.channel.server_stream(f"{MACHINE}Events", asked, types.response, timeout=20):
            name = event.data.type_url.removeprefix("talos/runtime/machine.")
            if name == "AddressEvent" and b"told" not in event.data.value:
                continue  # of a name that the node had before
            found[name] = event.data.value
            if wanted <= set(found):
                break
        return found

    native.call("ApplyConfiguration", data=yaml.dump(data).encode(), mode=1)
    try:
        told = native.portal.run(collect(), 25)
    finally:
        native.call("ApplyConfiguration", data=bundle.controlplane.encode(), mode=1)
    assert message("machine.AddressEvent").FromString(told["AddressEvent"]).hostname == "told"


def test_types_that_are_known_and_empty(native: LiveNode) -> None:
    namespaces = {kind.name: kind.namespace for kind in all_kinds()}
    assert {name: native.resources(name, namespaces[name]) for name in EMPTY} == {name: {} for name in EMPTY}


def test_types_that_a_node_does_not_know_are_refused(native: LiveNode) -> None:
    for name, (namespace, *_) in absences().items():
        with pytest.raises(RpcError, match="is not supported") as caught:
            native.resources(name, namespace)
        assert caught.value.code == Code.PERMISSION_DENIED, name


def read(path: str) -> str:
    return Path(path).read_text().strip()

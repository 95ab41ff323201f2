"""What is settled at the start, and what the machine is busy with, as resources."""

from __future__ import annotations

import asyncio

import pytest

from dozen.linux.bootfacts import Security
from dozen.linux.procfs import parse_cpu_info, parse_memory, parse_system_stat
from dozen.linux.rules import Rule
from dozen.linux.swaps import Swap
from dozen.machinery.plan import Put
from dozen.machinery.resources import perf, runtime, settings
from dozen.machinery.resources.block import SwapStatusSpec
from dozen.machinery.resources.hardware import CPUCoreSpec
from dozen.machinery.resources.kernel import KernelModuleStatusSpec, LoadedKernelModuleSpec
from dozen.machinery.resources.routing import RoutingRuleStatusSpec
from dozen.node.controllers.hardware import describe_cores, describe_loaded, facts
from dozen.node.controllers.network.rules import describe_rules
from dozen.testing.controllers import Bench, PlainView


def test_processor_times() -> None:
    spec = facts.describe_processors(
        parse_system_stat("cpu 100 0 50 300\ncpu0 100 0 50 300\nintr 9 4 5\nctxt 7\nprocesses 3\nprocs_running 2\n")
    )
    assert spec.cpu == (perf.CPUTimes(user=1.0, system=0.5, idle=3.0),)
    assert (spec.cpu_total.user, spec.irq_total, spec.context_switches, spec.process_created) == (1.0, 9, 7, 3)


def test_memory_in_the_kernel_s_units() -> None:
    text = (
        "MemTotal: 1000 kB\nMemFree: 400 kB\nMemAvailable: 700 kB\nActive(anon): 5 kB\nSReclaimable: 6 kB\n"
        "SUnreclaim: 7 kB\nCommitted_AS: 8 kB\nHugePages_Total: 2\nHugepagesize: 2048 kB\nDirectMap4k: 9 kB\n"
        "ShmemPmdMapped: 3 kB\nNFS_Unstable: 4 kB\nWritebackTmp: 1 kB\n"
    )
    spec = facts.describe_memory(parse_memory(text))
    assert spec == perf.MemoryStatSpec(
        total=1000,
        used=600,
        available=700,
        active_anon=5,
        slab_reclaimable=6,
        slab_unreclaimable=7,
        committed_as=8,
        huge_pages_total=2,
        huge_page_size=2048,
        direct_map_4k=9,
        shmem_pmd_mapped=3,
        nfs_unstable=4,
        writeback_tmp=1,
    )


def test_swap_space_by_path() -> None:
    found = facts.describe_swaps([Swap("/dev/vda2", "partition", 42_000_000, 0, -2)])
    assert found == {
        "/dev/vda2": SwapStatusSpec(
            device="/dev/vda2", type="partition", size=42_000_000, size_human="42 MB", used_human="0 B", priority=-2
        )
    }


@pytest.mark.parametrize(("fips", "state"), [(True, "enabled"), (False, "disabled")])
def test_protection(fips: bool, state: str) -> None:
    spec = facts.describe_security(Security(True, "permissive", fips, True))
    assert spec == runtime.SecurityStateSpec(
        secure_boot=True, selinux_state="permissive", fips_state=state, module_signature_enforced=True
    )


def test_the_platform_and_the_name_it_gave() -> None:
    plan = facts.PlatformMetadataController("metal").plan
    spec = runtime.PlatformMetadataSpec(platform="metal")
    assert list(plan(PlainView())) == [Put(runtime.PLATFORM_METADATA, "platformmetadata", spec)]
    told = settings.NetworkSettings(fallback_hostname="n1")
    spec = runtime.PlatformMetadataSpec(platform="metal", hostname="n1")
    view = PlainView((settings.PLATFORM_NETWORK, settings.NETWORK, told))
    assert list(plan(view)) == [Put(runtime.PLATFORM_METADATA, "platformmetadata", spec)]


def test_a_container_tells_no_boot_of_its_own() -> None:
    async def run(managed: bool) -> tuple[str, int]:
        async with Bench(watchers=[facts.BootWatcher("v9", managed)]) as bench:
            await bench.settle()
            return bench.store.get(runtime.VERSION, "version").spec.version, len(bench.store.list(runtime.BOOT_ID))

    assert asyncio.run(run(managed=True)) == ("v9", 1)
    assert asyncio.run(run(managed=False)) == ("v9", 0)


def test_threads_of_a_core_are_one() -> None:
    block = "processor: {}\nphysical id: 0\ncore id: {}\nsiblings: 4\ncpu cores: 2\nmodel name: M\nflags: fpu vme\n"
    text = "\n".join(block.format(number, number % 2) for number in range(4))
    cores = describe_cores(parse_cpu_info(text))
    assert {id: core.logical_cpus for id, core in cores.items()} == {"0-0": (0, 2), "0-1": (1, 3)}
    assert cores["0-1"] == CPUCoreSpec(
        socket="0",
        core_id="1",
        logical_cpus=(1, 3),
        model_name="M",
        cores_per_socket=2,
        threads_per_socket=4,
        flags=("fpu", "vme"),
    )


def test_processors_without_numbers_of_cores_are_cores() -> None:
    assert list(describe_cores(parse_cpu_info("processor: 0\n\nprocessor: 1\n"))) == ["0", "1"]


def test_a_module_in_the_older_form() -> None:
    module = KernelModuleStatusSpec(size=9, reference_count=2, dependencies=("a",), state="live", address="0x1")
    assert describe_loaded(module) == LoadedKernelModuleSpec(
        size=9, reference_count=2, dependencies=("a",), state="Live", address="0x1"
    )


def test_rules_by_family_and_priority() -> None:
    rules = [Rule(2, 0, 255, 1), Rule(2, 32766, 254, 1), Rule(10, 5, 1234, 7, source="fd00::/64", mark=3)]
    found = describe_rules(rules)
    assert {id: (spec.table, spec.action) for id, spec in found.items()} == {
        "inet4/00000": ("local", "unicast"),
        "inet4/32766": ("main", "unicast"),
        "inet6/00005": ("1234", "unreachable"),
    }
    assert found["inet6/00005"] == RoutingRuleStatusSpec(
        family="inet6", src="fd00::/64", table="1234", priority=5, action="unreachable", fw_mark=3
    )

"""What processors and memory are busy with; at most half a minute old (`dozen.node.controllers.hardware.facts`)."""

from __future__ import annotations

from dozen.machinery.resource import Kind
from dozen.machinery.resources.spec import Spec

LATEST = "latest"


class CPUTimes(Spec):
    """Seconds that a processor spent in each mode since boot."""

    user: float = 0.0
    nice: float = 0.0
    system: float = 0.0
    idle: float = 0.0
    iowait: float = 0.0
    irq: float = 0.0
    soft_irq: float = 0.0
    steal: float = 0.0
    guest: float = 0.0
    guest_nice: float = 0.0

    WIRE = """
        1 user double, 2 nice double, 3 system double, 4 idle double, 5 iowait double, 6 irq double,
        7 softIrq double, 8 steal double, 9 guest double, 10 guestNice double
    """


class CPUStatSpec(Spec):
    """/proc/stat; id ``latest``."""

    cpu: tuple[CPUTimes, ...] = ()
    cpu_total: CPUTimes = CPUTimes()
    irq_total: int = 0
    context_switches: int = 0
    process_created: int = 0
    process_running: int = 0
    process_blocked: int = 0
    soft_irq_total: int = 0

    WIRE = """
        1 cpu [CPUTimes], 2 cpuTotal CPUTimes, 3 irqTotal uint64, 4 contextSwitches uint64,
        5 processCreated uint64, 6 processRunning uint64, 7 processBlocked uint64, 8 softIrqTotal uint64
    """


CPU_STAT = Kind(
    "CPUStats.perf.talos.dev",
    "perf",
    CPUStatSpec,
    "CPUStat",
    aliases=("cpustat", "cpus"),
    fleeting=True,
    columns=(("User", "{.cpuTotal.user}"), ("System", "{.cpuTotal.system}")),
)


class MemoryStatSpec(Spec):
    """/proc/meminfo in its own units, KiB and numbers of pages; id ``latest``."""

    total: int = 0
    used: int = 0
    available: int = 0
    buffers: int = 0
    cached: int = 0
    swap_cached: int = 0
    active: int = 0
    inactive: int = 0
    active_anon: int = 0
    inactive_anon: int = 0
    active_file: int = 0
    inactive_file: int = 0
    unevictable: int = 0
    mlocked: int = 0
    swap_total: int = 0
    swap_free: int = 0
    dirty: int = 0
    writeback: int = 0
    anon_pages: int = 0
    mapped: int = 0
    shmem: int = 0
    slab: int = 0
    slab_reclaimable: int = 0
    slab_unreclaimable: int = 0
    kernel_stack: int = 0
    page_tables: int = 0
    nfs_unstable: int = 0
    bounce: int = 0
    writeback_tmp: int = 0
    commit_limit: int = 0
    committed_as: int = 0
    vmalloc_total: int = 0
    vmalloc_used: int = 0
    vmalloc_chunk: int = 0
    hardware_corrupted: int = 0
    anon_huge_pages: int = 0
    shmem_huge_pages: int = 0
    shmem_pmd_mapped: int = 0
    cma_total: int = 0
    cma_free: int = 0
    huge_pages_total: int = 0
    huge_pages_free: int = 0
    huge_pages_rsvd: int = 0
    huge_pages_surp: int = 0
    huge_page_size: int = 0
    direct_map_4k: int = 0
    direct_map_2m: int = 0
    direct_map_1g: int = 0

    WIRE = """
        1 total uint64, 2 used uint64, 3 available uint64, 4 buffers uint64, 5 cached uint64, 6 swapCached uint64, 7
        active uint64, 8 inactive uint64, 9 activeAnon uint64, 10 inactiveAnon uint64, 11 activeFile uint64, 12
        inactiveFile uint64, 13 unevictable uint64, 14 mlocked uint64, 15 swapTotal uint64, 16 swapFree uint64, 17
        dirty uint64, 18 writeback uint64, 19 anonPages uint64, 20 mapped uint64, 21 shmem uint64, 22 slab uint64,
        23 sreclaimable uint64, 24 sunreclaim uint64, 25 kernelStack uint64, 26 pageTables uint64, 27 nfsunstable
        uint64, 28 bounce uint64, 29 writeBacktmp uint64, 30 commitLimit uint64, 31 commitTedas uint64, 32
        vmallocTotal uint64, 33 vmallocUsed uint64, 34 vmallocChunk uint64, 35 hardwareCorrupted uint64, 36
        anonHugePages uint64, 37 shmemHugePages uint64, 38 shmemPmdMapped uint64, 39 cmaTotal uint64, 40 cmaFree
        uint64, 41 hugePagesTotal uint64, 42 hugePagesFree uint64, 43 hugePagesRsvd uint64, 44 hugePagesSurp uint64,
        45 hugepagesize uint64, 46 directMap4k uint64, 47 directMap2m uint64, 48 directMap1g uint64
    """


MEMORY_STAT = Kind(
    "MemoryStats.perf.talos.dev",
    "perf",
    MemoryStatSpec,
    "MemoryStat",
    aliases=("memorystat", "ms"),
    fleeting=True,
    columns=(("Used", "{.used}"), ("Total", "{.total}")),
)

"""What the kernel tells in /proc about processes (proc(5))."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dozen.linux.procfs import PROC, TICKS_PER_SECOND, read_word


class ProcessStat(NamedTuple):
    """A process. Times in seconds, sizes in bytes; ``args`` and ``executable`` are empty for the kernel's own."""

    pid: int
    ppid: int
    state: str
    threads: int
    cpu_time: float
    virtual_memory: int
    resident_memory: int
    command: str
    executable: str = ""
    args: str = ""
    label: str = ""


def parse_process_stat(text: str, page_size: int) -> ProcessStat:
    """/proc/PID/stat. The name stands in parentheses and may itself hold parentheses and spaces. Raises ValueError."""
    head, _, tail = text.rpartition(")")
    pid, _, command = head.partition(" (")
    words = tail.split()
    if not pid.isdigit() or len(words) < 22:
        raise ValueError(f"not a line of /proc/PID/stat: {text[:80]!r}")
    return ProcessStat(
        pid=int(pid),
        ppid=int(words[1]),
        state=words[0],
        threads=int(words[17]),
        cpu_time=(int(words[11]) + int(words[12])) / TICKS_PER_SECOND,
        virtual_memory=int(words[20]),
        resident_memory=int(words[21]) * page_size,
        command=command,
    )


def read_bounding_set(proc: Path = PROC) -> int:
    """Capabilities that this process and its children can ever hold, a bit for each number of capabilities(7)."""
    for line in (proc / "self" / "status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            return int(line.split()[1], 16)
    return 0


def read_processes(proc: Path = PROC) -> list[ProcessStat]:
    """Every process that is there from beginning to end; those that vanish meanwhile are left out."""
    return list(_walk_processes(proc, os.sysconf("SC_PAGE_SIZE")))


def _walk_processes(proc: Path, page_size: int) -> Iterator[ProcessStat]:
    for name in sorted((name for name in os.listdir(proc) if name.isdigit()), key=int):
        folder = proc / name
        try:
            process = parse_process_stat((folder / "stat").read_text(errors="replace"), page_size)
            arguments = (folder / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        executable = ""
        with contextlib.suppress(OSError):
            executable = os.readlink(folder / "exe")
        yield process._replace(
            executable=executable,
            args=arguments.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace"),
            label=read_word(folder / "attr" / "current").rstrip("\0"),
        )

"""Run by test_reaper in a process of its own, for the reaper takes every child there is: prints what became of each."""

# ruff: noqa: T201, ASYNC221, ASYNC222, ASYNC230, ASYNC251, SIM115 -- it answers by printing, and its loop may wait
from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import time

from dozen.node.process import Process, Reaper

PR_SET_CHILD_SUBREAPER = 36
SHELL = "/bin/sh"


def shell(reaper: Reaper, text: str, output: int | None = None) -> Process:
    return reaper.spawn([SHELL, "-c", text], stdout=output)


async def until_gone(pid: int) -> bool:
    """Whether the process, zombie or not, is gone within half a minute."""
    deadline = time.monotonic() + 30
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    return not os.path.exists(f"/proc/{pid}")


async def main() -> None:
    reaper = Reaper()
    # A child that ended before there was anybody to be told.
    early = os.posix_spawn(SHELL, [SHELL, "-c", "exit 5"], {})
    os.waitid(os.P_PID, early, os.WEXITED | os.WNOWAIT)
    reaper.install(asyncio.get_running_loop())
    print("early", await until_gone(early))

    print("own", await shell(reaper, "exit 3").wait())
    killed = shell(reaper, "exec sleep 60")
    killed.send_signal(signal.SIGKILL)
    print("killed", await killed.wait())
    stubborn = shell(reaper, "trap '' TERM; echo; while :; do sleep 1; done", (pipe := os.pipe())[1])
    os.read(pipe[0], 1)
    print("stubborn", await stubborn.stop(grace=0.1))

    foreign = os.posix_spawn(SHELL, [SHELL, "-c", "exit 4"], {})
    print("foreign", await until_gone(foreign))

    reader, writer = os.pipe()
    parent = shell(reaper, "sleep 2 & echo $!", writer)
    os.close(writer)
    print("parent", await parent.wait())
    orphan = int(os.read(reader, 64))
    print("orphan", open(f"/proc/{orphan}/stat").read().split()[3] == str(os.getpid()), await until_gone(orphan))

    # All end while the loop is busy: their signals are one by then.
    crowd = [shell(reaper, f"exit {number}") for number in range(20)]
    time.sleep(0.5)
    statuses = await asyncio.wait_for(asyncio.gather(*(each.wait() for each in crowd)), 10)
    print("crowd", [status.code for status in statuses] == list(range(20)))


ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
asyncio.run(main())

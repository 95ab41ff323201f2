"""The life of the machine, from the first line of Python to ``reboot(2)``.

``/sbin/init`` embeds the interpreter, imports this module and calls `main` with the name that it was started under:

* ``init`` as PID 1 is *machined*. It lays the ground (`sequences.INITIALIZE`), brings the node up (`sequences.BOOT`)
  and then waits for somebody to ask for the end. The end is a sequence too, and after it the kernel takes over.
* ``apid``, ``trustd``, ``dashboard``, ``poweroff`` and ``shutdown`` are programs of their own that talk to machined's
  sockets.

Whatever happens on the way, a PID 1 must not return: every path through `live_and_end` ends in `finish`, which reboots,
powers off or, when the machine is a container, exits. A machine whose disks do not answer ends as well: each phase of
an end has a bound (`tasks.stopping`), and should one of them be stuck all the same, with the loop or without, a thread
that depends on nothing hands the machine back to the kernel after `ENDING_BOUND`.
"""

from __future__ import annotations

import os
import sys

from dozen.node.lazily import import_lazily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dozen.node.ahead import Started

# How long an unexpected end stays on the console before the machine starts again, seconds.
READING_TIME = 10.0
# Seconds from the request for a reboot or shutdown to the end, at most. The bounds of the phases add up to about 450.
ENDING_BOUND = 600.0


def main(name: str, argv: list[str]) -> int:
    """Be the program called ``name``; the result is the exit code."""
    import_lazily()
    if name in ("init", "machined"):
        return be_machined()
    if name == "apid":
        import asyncio

        from dozen.node import apid

        return asyncio.run(apid.run())
    if name == "trustd":
        import asyncio

        from dozen.node import trustd

        return asyncio.run(trustd.run())
    if name == "dashboard":
        import asyncio

        from dozen.node import dashboard

        return asyncio.run(dashboard.run())
    if name in ("poweroff", "shutdown"):
        import asyncio

        from dozen.node import poweroff

        return asyncio.run(poweroff.run(name, argv))
    sys.stderr.write(f"{name}: not a name of this program; it is init, apid, trustd, dashboard, poweroff or shutdown\n")
    return 2


def be_machined() -> int:
    """Be PID 1 until the machine ends."""
    if os.getpid() != 1:
        sys.stderr.write("init: runs as PID 1 only; to end the machine, call poweroff or shutdown\n")
        return 2
    os.chdir("/")
    os.umask(0o022)
    from dozen.node.ahead import start_apid

    ahead = {} if container_mode() else start_apid()
    try:
        import asyncio

        # Not asyncio.run: before it returned it would wait 300 s for threads of the loop that a disk holds.
        loop = asyncio.new_event_loop()
        try:
            kind = loop.run_until_complete(live_and_end(ahead))
        finally:
            loop.close()
    except Exception:  # noqa: BLE001 -- the one broad except: PID 1 says why it failed, and the machine starts again
        import traceback

        kind = "reboot"
        say_last_words(traceback.format_exc())
        from dozen.node.tasks import stopping

        stopping.start_apart(os.sync).wait(stopping.SYNC_BOUND)
    return finish(kind)


async def live_and_end(ahead: dict[str, Started]) -> str:
    """Bring the machine up, wait for the request to end it, and end it; returns ``reboot`` or ``shutdown``.

    ``ahead``: services that were started already (`dozen.node.ahead`).
    """
    import asyncio
    import signal

    from dozen.node.ending import Ending
    from dozen.node.machine import Machine
    from dozen.node.process import Reaper
    from dozen.node.sequences import BOOT, ENDINGS, INITIALIZE, run_sequence

    loop = asyncio.get_running_loop()
    reaper = Reaper()
    reaper.install(loop)
    machine = Machine("container" if container_mode() else "metal", reaper)
    machine.ahead = ahead
    # Ctrl-Alt-Del and a container's maker say SIGINT and SIGTERM; both mean a clean end.
    loop.add_signal_handler(signal.SIGINT, machine.request_ending, Ending("reboot"))
    loop.add_signal_handler(signal.SIGTERM, machine.request_ending, Ending("shutdown"))

    await run_sequence(machine, INITIALIZE)
    boot = asyncio.create_task(run_sequence(machine, BOOT), name="boot")
    machine.keep(boot)

    ending = await machine.ending()
    machine.log.info("ending=%s actor=%s", ending.kind, ending.actor_id or "-")
    boot.cancel()
    kind = "reboot" if ending.boots_again else "shutdown"
    # A reset wipes disks, which takes as long as it takes.
    if machine.mode != "container" and ending.kind != "reset":
        arm_last_resort(kind)
    await run_sequence(machine, ENDINGS[ending.kind], ending.actor_id)
    return kind


def container_mode() -> bool:
    """Whether this PID 1 was started in namespaces of somebody's machine: whoever did so left a command line."""
    return os.path.exists("/run/dozen/cmdline")


def finish(kind: str) -> int:
    """Hand the machine back to the kernel. Returns only where that is not ours to do: in a container."""
    if container_mode():
        import logging

        logging.shutdown()
        return 0
    hand_back(kind)
    return 1


def hand_back(kind: str) -> None:
    """Have the kernel end the machine at once: what is to be kept has been written out before."""
    from dozen.linux import sys as linux

    linux.reboot(linux.RB_AUTOBOOT if kind == "reboot" else linux.RB_POWER_OFF)


def arm_last_resort(kind: str) -> None:
    """End the machine after `ENDING_BOUND`, whatever the rest of the program is stuck in by then."""
    import threading

    timer = threading.Timer(ENDING_BOUND, hand_back, (kind,))
    timer.daemon = True
    timer.start()


def say_last_words(text: str) -> None:
    """Put what went wrong where somebody can see it, and leave it there for a while."""
    import time

    for path in ("/dev/kmsg", "/dev/console"):
        try:
            with open(path, "w") as stream:
                for line in ("machined failed, the machine starts again:", *text.splitlines()):
                    stream.write(f"[dozen] {line}\n")
                    stream.flush()
        except OSError:
            continue
    time.sleep(READING_TIME)

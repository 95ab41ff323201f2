"""Starts apid before anything else, so that its interpreter comes up on one processor while PID 1's does on another.

Most of a start of Python is importing, and machined needs twice as many modules as apid. So apid is not started when
its service is, but as the first thing that PID 1 does, with nothing imported yet that can be avoided. It has no cgroup
then, for there are none; `dozen.node.services.supervisor` takes it over and puts it into its own.
"""

from __future__ import annotations

import os

WRAPPER = "/sbin/wrapperd"
# As `Confinement.wrap` has it for the row of the catalogue (a test compares), which is not imported yet.
APID = (WRAPPER, "--caps", "none", "--env", "PATH=/bin:/sbin", "--oom", "-998", "--uid", "50", "--gid", "50",
        "--no-new-privs", "--argv0", "apid", "--", "/sbin/init")  # fmt: skip
# SIGPIPE, SIGINT, SIGTERM, SIGHUP: by number, since the module signal is a large one.
SIGNALS = (13, 2, 15, 1)

Started = tuple[int, int]
"""A pid, and the read end of the pipe that its output goes to."""


def start_apid() -> dict[str, Started]:
    """Service id → what was started; nothing when that failed: the service will say why."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
        (os.POSIX_SPAWN_DUP2, writer, 1),
        (os.POSIX_SPAWN_DUP2, writer, 2),
    ]
    try:
        pid = os.posix_spawn(
            WRAPPER, APID, {"PATH": "/bin:/sbin"}, file_actions=actions, setsid=True, setsigmask=(), setsigdef=SIGNALS
        )
    except OSError:
        os.close(reader)
        return {}
    finally:
        os.close(writer)
    return {"apid": (pid, reader)}

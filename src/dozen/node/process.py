"""Starting programs and learning how they ended: the one place on the node that does either.

PID 1 inherits every orphan of the machine, so somebody must call ``wait`` for children nobody asked about. Two
callers would steal each other's exit statuses, so there is one: the `Reaper`. It runs on SIGCHLD, hands each status
to whoever started that child and drops the rest. Every child is started through ``/sbin/wrapperd``, which in C,
before any Python, puts itself into a cgroup, sets the OOM score, drops capabilities and privileges and then becomes
the program. How a child is confined is data (`Confinement`).
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence

import msgspec

WRAPPER = "/sbin/wrapperd"
PATH = "/bin:/sbin"


class ExitStatus(msgspec.Struct, frozen=True):
    """How a child ended: an exit ``code`` (0–255) or the ``signal`` that killed it, the other one being None."""

    code: int | None
    signal: int | None

    @classmethod
    def from_wait(cls, status: int) -> ExitStatus:
        if os.WIFSIGNALED(status):
            return cls(None, os.WTERMSIG(status))
        return cls(os.WEXITSTATUS(status), None)

    def __str__(self) -> str:
        if self.signal is None:
            return f"exit code {self.code}"
        try:
            return f"killed by {signal.Signals(self.signal).name}"
        except ValueError:
            return f"killed by signal {self.signal}"


class Confinement(msgspec.Struct, frozen=True):
    """What a child may do, as wrapperd's arguments say it.

    ``cgroup`` is relative to /sys/fs/cgroup and is created when missing; a leading ``?`` lets the child run without one
    where cgroups cannot be written. ``caps`` is ``all``, ``none`` or a comma-separated list. ``oom`` is
    /proc/PID/oom_score_adj, −1000 (never killed) to
    1000; None leaves it as it is.
    """

    cgroup: str = ""
    uid: int = 0
    gid: int = 0
    oom: int | None = 0
    caps: str = "all"
    no_new_privs: bool = False
    env: tuple[tuple[str, str], ...] = ()
    argv0: str = ""

    def wrap(self, argv: Sequence[str]) -> list[str]:
        """The command line that starts ``argv`` confined this way."""
        words = [WRAPPER, "--caps", self.caps, "--env", f"PATH={PATH}"]
        if self.oom is not None:
            words += ["--oom", str(self.oom)]
        if self.cgroup:
            words += ["--cgroup", self.cgroup]
        if self.uid or self.gid:
            words += ["--uid", str(self.uid), "--gid", str(self.gid)]
        if self.no_new_privs:
            words.append("--no-new-privs")
        if self.argv0:
            words += ["--argv0", self.argv0]
        for name, value in self.env:
            words += ["--env", f"{name}={value}"]
        return [*words, "--", *argv]


class Process:
    """A child that was started: its pid, a pidfd that outlives reuse of the pid, and how it ended."""

    def __init__(self, pid: int, pidfd: int, ended: asyncio.Future[ExitStatus]) -> None:
        self.pid = pid
        self._pidfd = pidfd
        self._ended = ended
        ended.add_done_callback(lambda _: os.close(pidfd))

    @property
    def running(self) -> bool:
        return not self._ended.done()

    async def wait(self) -> ExitStatus:
        """Until the child ended; may be awaited by several and cancelled freely."""
        return await asyncio.shield(self._ended)

    def send_signal(self, number: int) -> None:
        """Signal the child; nothing happens when it has ended."""
        if self.running:
            signal.pidfd_send_signal(self._pidfd, number)

    async def stop(self, number: int = signal.SIGTERM, *, grace: float = 10.0) -> ExitStatus:
        """Ask the child to end, and kill it when it has not within ``grace`` seconds."""
        self.send_signal(number)
        try:
            return await asyncio.wait_for(self.wait(), grace)
        except TimeoutError:
            self.send_signal(signal.SIGKILL)
            return await self.wait()


class Reaper:
    """The only caller of ``wait*`` in the process."""

    def __init__(self) -> None:
        self._children: dict[int, asyncio.Future[ExitStatus]] = {}

    def install(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.add_signal_handler(signal.SIGCHLD, self.reap)
        # Children of stage 1 that ended before this program began: their signal is gone.
        self.reap()

    def reap(self) -> None:
        """Collect every child that has ended, ours and orphans alike. SIGCHLDs coalesce, hence the loop."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            ended = self._children.pop(pid, None)
            if ended is not None and not ended.done():
                ended.set_result(ExitStatus.from_wait(status))

    def spawn(
        self,
        argv: Sequence[str],
        confinement: Confinement | None = None,
        *,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Process:
        """Start a program in a session of its own; file descriptors not given are /dev/null.

        The future is registered before control returns to the loop, so a child that ends at once is not missed.
        Raises OSError when the program cannot be started.
        """
        words = list(argv) if confinement is None else confinement.wrap(argv)
        actions: list[tuple[int, int, int] | tuple[int, int, str, int, int]] = []
        for number, descriptor in enumerate((stdin, stdout, stderr)):
            if descriptor is None:
                actions.append((os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0))
            else:
                actions.append((os.POSIX_SPAWN_DUP2, descriptor, number))
        pid = os.posix_spawn(
            words[0],
            words,
            dict(env or {"PATH": PATH}),
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP),
        )
        return self.adopt(pid)

    def adopt(self, pid: int) -> Process:
        """Look after a child that was started in another way. Raises OSError when there is none."""
        pidfd = os.pidfd_open(pid)
        ended: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()
        self._children[pid] = ended
        return Process(pid, pidfd, ended)

    async def run(
        self, argv: Sequence[str], timeout: float, confinement: Confinement | None = None
    ) -> tuple[int, bytes]:
        """Run a program to its end and return its exit code (128 + n after signal n) and all that it printed.

        Raises TimeoutError when it takes longer than ``timeout`` seconds; it has been killed then.
        """
        reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            process = self.spawn(argv, confinement or Confinement(), stdout=writer, stderr=writer)
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        output = asyncio.ensure_future(asyncio.to_thread(_read_all, reader))
        try:
            status = await asyncio.wait_for(process.wait(), timeout)
        except TimeoutError:
            process.send_signal(signal.SIGKILL)
            await process.wait()
            raise
        finally:
            printed = await output
        return (status.code if status.code is not None else 128 + (status.signal or 0)), printed


def _read_all(descriptor: int) -> bytes:
    with open(descriptor, "rb") as stream:
        return stream.read()


def find_mount_namespace(pid: int) -> str:
    """Which mounts a process sees, ``mnt:[4026531840]`` (namespaces(7)); empty when it is gone."""
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt")
    except OSError:
        return ""

"""The native lane: the image's root file system in namespaces of this computer's own kernel, in a second.

A node started this way is in mode ``container``: it has its own processes, mounts, host name, IPC and network (a
loopback and nothing else), a read-only root, and empty places where it writes. It is given none of the host's cgroups,
devices or interfaces; what needs those is for tests that boot a machine. Root is needed to make the namespaces.

The mounts are data (`MOUNTS`) and become one short shell script, run by ``unshare``; its last word is the node's init.
The API is reached through `dozen.provider.relay`, which also ends the node when whoever started it is gone.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from dozen.compose.namespaces import in_namespaces
from dozen.provider.machines import Machine, MachineSpec, ProviderError, Report, reported
from dozen.provider.qemu import API_PORT, wait_gone, write_private

START_SECONDS = 10.0
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}

# (arguments of mount, place inside the node's root), in order.
MOUNTS: tuple[tuple[str, str], ...] = (
    ("-t proc -o nosuid,nodev,noexec proc", "proc"),
    ("-t sysfs -o ro,nosuid,nodev,noexec sysfs", "sys"),
    ("-t tmpfs -o nosuid,mode=755 tmpfs", "dev"),
    ("-t tmpfs -o nosuid,nodev,mode=755 tmpfs", "run"),
    ("-t tmpfs -o nosuid,nodev,mode=755 tmpfs", "system"),
    ("-t tmpfs -o nosuid,nodev,mode=1777 tmpfs", "tmp"),
)


def start_script(tree: Path, folder: Path) -> str:
    """The shell script that builds the node's view of the world and becomes its init."""
    root = folder / "root"
    here = shlex.quote(str(root))
    lines = [
        "set -eu",
        f"mount --bind {shlex.quote(str(tree))} {here}",
        f"mount -o remount,bind,ro,nodev {here}",
        *(f"mount {what} {here}/{where}" for what, where in MOUNTS),
        f"mount --bind {shlex.quote(str(folder / 'var'))} {here}/var",
        f"cd {here}",
        *(f": >dev/{name}; mount --bind /dev/{name} dev/{name}" for name in DEVICES),
        "mkdir dev/pts dev/shm run/dozen",
        "mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts",
        "mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs dev/shm",
        *(f"ln -s {target} dev/{name}" for name, target in LINKS.items()),
        f"cp {shlex.quote(str(folder / 'cmdline'))} run/dozen/cmdline",
        f"[ ! -e {shlex.quote(str(folder / 'config.yaml'))} ] || install -m 600 "
        f"{shlex.quote(str(folder / 'config.yaml'))} run/dozen/config.yaml",
        'exec env -i "$(command -v chroot)" . /sbin/init',
    ]
    return "\n".join(lines)


NAMESPACES = ("--pid", "--net", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child")


class Container:
    """The provider. ``tree`` is the unpacked root file system. A machine lives no longer than this process."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self._alive: dict[Path, int] = {}

    async def create(self, spec: MachineSpec, folder: Path, report: Report) -> Machine:
        """Starts the node. Raises ProviderError when it cannot, with what it printed."""
        if os.getuid() != 0:
            raise ProviderError("starting a node in namespaces needs root", "run this as root or with sudo")
        if not (self.tree / "sbin/init").exists():
            raise ProviderError(f"{self.tree} holds no root file system: sbin/init is missing", "compose the image")
        if self._pid(folder):
            raise ProviderError(f"machine {spec.name} runs already", "stop it first")
        with reported("namespaces", report) as step:
            prepare(spec, folder)
            pid = await asyncio.to_thread(self._start, folder)
            port = self._relay(folder, pid)
            step.result(f"process {pid}, API on 127.0.0.1:{port}")
        return Machine(spec.name, folder, f"127.0.0.1:{port}", spec.image.identity, pid)

    def show(self, folder: Path) -> Machine | None:
        pid = self._pid(folder)
        if not (folder / "port").exists():
            return None
        port = (folder / "port").read_text()
        return Machine((folder / "name").read_text(), folder, f"127.0.0.1:{port}", "", pid)

    async def stop(self, folder: Path) -> None:
        """Ends the node's init, and with it everything in its process namespace."""
        await asyncio.to_thread(self._stop, folder)

    async def destroy(self, folder: Path) -> None:
        await self.stop(folder)
        await asyncio.to_thread(shutil.rmtree, folder, True)

    async def reset(self, folder: Path) -> None:
        """There is no machine to reset: the kernel is this computer's own."""
        raise ProviderError("a node in namespaces cannot be reset", "start it anew")

    def _start(self, folder: Path) -> int:
        with (folder / "console.log").open("ab") as console:
            unshare = subprocess.Popen(
                [*in_namespaces(*NAMESPACES), "sh", "-c", start_script(self.tree, folder)],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        pid = wait_for_init(unshare, folder)
        (folder / "init").write_text(f"{pid} {start_time(pid)}")
        return pid

    def _relay(self, folder: Path, pid: int) -> int:
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        alive, self._alive[folder] = os.pipe()
        enter = ["nsenter", f"--net=/proc/{pid}/ns/net", "--", sys.executable, "-m", "dozen.provider.relay"]
        subprocess.Popen(
            [*enter, *(str(number) for number in (listener.fileno(), alive, pid, API_PORT))],
            stdin=subprocess.DEVNULL,
            pass_fds=(listener.fileno(), alive),
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            start_new_session=True,
        )
        os.close(alive)
        port = int(listener.getsockname()[1])
        listener.close()
        (folder / "port").write_text(str(port))
        return port

    def _stop(self, folder: Path) -> None:
        if pid := self._pid(folder):
            pidfd = os.pidfd_open(pid)
            try:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                wait_gone(pidfd, START_SECONDS)
            finally:
                os.close(pidfd)
        if (alive := self._alive.pop(folder, None)) is not None:
            os.close(alive)

    @staticmethod
    def _pid(folder: Path) -> int | None:
        """The init's pid while it lives; a pid that was given to another program since has another start time."""
        try:
            pid, started = (folder / "init").read_text().split()
            return int(pid) if start_time(int(pid)) == started else None
        except (OSError, ValueError):
            return None


def prepare(spec: MachineSpec, folder: Path) -> None:
    for part in ("root", "var"):
        (folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "name").write_text(spec.name)
    (folder / "cmdline").write_text(" ".join(("dozen.mode=container", *spec.arguments)) + "\n")
    if spec.config is not None:
        write_private(folder / "config.yaml", spec.config.encode())


def start_time(pid: int) -> str:
    """Clock ticks between the computer's start and the process's, field 22 of proc_pid_stat(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def wait_for_init(unshare: subprocess.Popen[bytes], folder: Path) -> int:
    """The pid (as this computer counts) of the init, once the script has become it."""
    children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children")
    deadline = time.monotonic() + START_SECONDS
    while unshare.poll() is None and time.monotonic() < deadline:
        try:
            pid = int(children.read_text().split()[0])
            if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"/sbin/init\0"):
                return pid
        except (OSError, IndexError):
            pass
        time.sleep(0.005)
    unshare.kill()
    said = (folder / "console.log").read_text(errors="replace")[-2000:].strip()
    raise ProviderError("the node's namespaces could not be made", detail=said)

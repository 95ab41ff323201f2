"""The image's containerd on this computer: in mount and process namespaces of its own, on the image's root.

It reads what a node's would read (`etc` is the node's /system/etc), and keeps its store in memory; the store is begun
from a disk of prepared images as a node's is, if one is given. Nothing outside of its folder changes; it shares the
network, so that it reaches servers on the loopback. Needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from dozen.compose.namespaces import in_namespaces
from dozen.node.containers import SYSTEM_NAMESPACE, Containerd
from dozen.rpc.client import Channel

START_SECONDS = 60.0
SCRIPT = """
set -eu
mount --bind "$1" "$2/root"
mount -t proc proc "$2/root/proc"
mount --rbind /dev "$2/root/dev"
mount -t tmpfs tmpfs "$2/root/var"
mount -t tmpfs tmpfs "$2/root/tmp"
mount -t tmpfs tmpfs "$2/root/opt"
mount --bind "$2/run" "$2/root/run"
mount --bind "$2/system" "$2/root/system"
mkdir -p "$2/root/var/lib/containerd" "$2/root/run/containerd"
if [ -n "$4" ]; then
    mkdir -p "$2/root/system/imagecache/disk"
    mount -t erofs -o ro,loop "$4" "$2/root/system/imagecache/disk"
    "$5" -c "$6" "$2/root"
fi
exec env -i PATH=/bin:/sbin HOME=/ "$(command -v chroot)" "$2/root" /bin/containerd --config "$3"
"""
# Links in the store name the disk as the node sees it.
SEED = """
import os, sys
from pathlib import Path
from dozen.linux.containerstore import seed
from dozen.node.tasks.containers import CACHE, STORE
os.chroot(sys.argv[1])
assert seed(Path(CACHE), Path(STORE))
"""
# The paths in a mount's options are those of the root that containerd has.
RUN = """
import ctypes, os, sys
root, kind, source, options, *argv = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
os.chroot(root)
os.makedirs("/tmp/mounted", exist_ok=True)
if libc.mount(source.encode(), b"/tmp/mounted", kind.encode(), 0, options.encode()):
    raise OSError(ctypes.get_errno(), options)
os.chroot("/tmp/mounted")
os.chdir("/")
os.execve(argv[0], argv, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
"""


class NativeRuntime:
    """``configuration`` is containerd's, as the node sees it; write what it names to ``etc`` before ``start``. ``disk``
    is an image cache.
    """

    def __init__(self, tree: Path, configuration: str, disk: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="dozen-runtime-"))
        for name in ("root", "run", "system/etc"):
            (self.folder / name).mkdir(parents=True)
        self.etc = self.folder / "system/etc"
        self._tree, self._configuration, self._disk = tree, configuration, disk
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    @property
    def socket(self) -> Path:
        return self.folder / "run/containerd/containerd.sock"

    def connect(self, namespace: str = SYSTEM_NAMESPACE) -> Containerd:
        return Containerd(Channel(f"unix:{self.socket}"), namespace)

    def start(self) -> None:
        """Until it listens. Raises TimeoutError with what it logged."""
        command = (*in_namespaces("--pid", "--fork", "--kill-child"), "sh", "-c", SCRIPT, "sh")
        places = (str(self._tree), str(self.folder), self._configuration)
        seeding = (str(self._disk or ""), sys.executable, SEED)
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen([*command, *places, *seeding], stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while "containerd successfully booted" not in self.log:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"containerd did not start:\n{self.log[-4000:]}")
            time.sleep(0.1)

    def run(self, mount: Any, *argv: str) -> str:
        """What a program prints that runs on a mount of containerd's, beside it. Raises CalledProcessError."""
        assert self._process
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        # The waiting unshare has kept the root and the folder that we have: in a chroot not those of the namespace.
        enter = (
            *f"nsenter --target={self._process.pid} --mount --root --wd --pid=/proc/{children[0]}/ns/pid".split(),
            *in_namespaces(),
            sys.executable,
            "-c",
            RUN,
        )
        told = (str(self.folder / "root"), mount.type, mount.source, ",".join(mount.options))
        return subprocess.run(
            [*enter, *told, *argv], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ).stdout

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self.socket.exists():
            os.unlink(self.socket)

    def __enter__(self) -> NativeRuntime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

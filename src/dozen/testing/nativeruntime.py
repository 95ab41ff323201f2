"""The image's containerd on this computer: in mount and process namespaces of its own, on the image's root.

It reads what a node's would read (`etc` is the node's /system/etc), and keeps its store in memory. Nothing outside of
its folder changes; it shares the network, so that it reaches servers on the loopback. Needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from dozen.node.containers import SYSTEM_NAMESPACE, Containerd
from dozen.rpc.client import Channel

START_SECONDS = 60.0
SCRIPT = """
set -eu
mount --make-rprivate /
mount --bind "$1" "$2/root"
mount -t proc proc "$2/root/proc"
mount --rbind /dev "$2/root/dev"
mount -t tmpfs tmpfs "$2/root/var"
mount -t tmpfs tmpfs "$2/root/tmp"
mount -t tmpfs tmpfs "$2/root/opt"
mount --bind "$2/run" "$2/root/run"
mount --bind "$2/system" "$2/root/system"
mkdir -p "$2/root/var/lib/containerd" "$2/root/run/containerd"
exec env -i PATH=/bin:/sbin HOME=/ "$(command -v chroot)" "$2/root" /bin/containerd --config "$3"
"""


class NativeRuntime:
    """``configuration`` is containerd's, as the node sees it; write what it names to ``etc`` before ``start``."""

    def __init__(self, tree: Path, configuration: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="dozen-runtime-"))
        for name in ("root", "run", "system/etc"):
            (self.folder / name).mkdir(parents=True)
        self.etc = self.folder / "system/etc"
        self._tree, self._configuration = tree, configuration
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
        command = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", SCRIPT, "sh")
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, str(self._tree), str(self.folder), self._configuration], stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        while "containerd successfully booted" not in self.log:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"containerd did not start:\n{self.log[-4000:]}")
            time.sleep(0.1)

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

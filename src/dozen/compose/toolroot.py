"""The tools that build an image: a small Debian of its own in the cache, the same on every build machine.

Compilers, file-system makers and the Python that compiles are part of an image's inputs: with whatever the build
machine happens to have, two machines would never make the same bits. So they come from the same lock as the image,
unpacked (never installed) into one directory, and are run with that as their root: by chroot for root, in a user
namespace for anyone else. Each run sees its own /tmp and the directories that are bound in, and nothing else of the
build machine.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dozen.compose.cache import cache_dir, fresh_directory, stage_key
from dozen.compose.console import Console
from dozen.compose.debfile import extract_all
from dozen.compose.downloads import download_path
from dozen.compose.errors import ToolError
from dozen.compose.lock import Lock
from dozen.compose.namespaces import in_namespaces
from dozen.compose.packages import obtain, project_lock

LAYOUT = "1"
MERGED = ("bin", "sbin", "lib", "lib64")
PACKAGES = (
    "binutils",
    "busybox-static",  # not to build with: the boot tests put it into a container on the node
    "coreutils",
    "erofs-utils",
    "gcc-14",
    "kmod",
    "libc6-dev",
    "libpython3.13-dev",
    "python3.13-minimal",
    "qemu-system-x86",  # not to build with either: every computer is to try images under the same emulator
    "squashfs-tools",
    "zstd",
)
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin", "HOME": "/tmp", "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}

# Mounts made here vanish with the mount namespace. Inside a chroot the root is no mount point, so the namespace cannot
# be made private; there they are taken down by hand, lest they appear outside.
ENTER = """
set -e
# Where chroot(8) is, which a user's own path does not name.
PATH=$PATH:/usr/sbin:/sbin
root=$1; shift
trap 'for point in $points; do umount -l "$point" 2>/dev/null || true; done' EXIT
points=
add() { points="$2 $points"; mount $3 "$1" "$2"; }
add tmpfs "$root/tmp" "-t tmpfs"
add /dev "$root/dev" "--rbind"
while [ "$1" != -- ]; do
  mkdir -p "$root$2"
  add "$1" "$root$2" "--bind"
  shift 2
done
shift
cd /
chroot "$root" "$@"
"""


# Who is not root needs a user namespace to change the root directory in.
NO_NAMESPACES = (
    "this computer lets only root make namespaces, which the build's tools run in: run this as root, or allow user "
    "namespaces (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0; "
    "inside a chroot nothing allows them)"
)


@dataclass(frozen=True, slots=True)
class ToolRoot:
    """A root directory with tools. ``key`` names its content: a result made with it may be cached under it."""

    path: Path
    key: str
    environment: Mapping[str, str] = field(default_factory=lambda: dict(ENVIRONMENT))

    def run(
        self,
        argv: Sequence[str],
        binds: Mapping[Path, str] | None = None,
        *,
        input: bytes | None = None,
        environment: Mapping[str, str] | None = None,
        cwd: str = "/",
    ) -> bytes:
        """Run a program with this as its root and return what it printed.

        ``binds``: host directory → where it appears inside (below /tmp: that is fresh for each run). ``environment`` is
        added to the fixed one; nothing of the caller's is passed on. Raises ToolError, with the program's last words.
        """
        command = [*in_namespaces(), "/bin/sh", "-c", ENTER, "toolroot", str(self.path)]
        for host, inside in (binds or {}).items():
            command += [str(Path(host).resolve()), inside]
        inner = ["/usr/bin/env", "-C", cwd, *argv] if cwd != "/" else list(argv)
        env = {**self.environment, **(environment or {})}
        settings = [f"{key}={value}" for key, value in sorted(env.items())]
        command += ["--", "/usr/bin/env", "-i", *settings, *inner]
        done = subprocess.run(command, input=input, capture_output=True, check=False)
        if done.stderr.startswith(b"unshare: unshare failed"):
            raise ToolError(NO_NAMESPACES, done.stderr.decode(errors="replace").strip())
        if done.returncode != 0:
            said = (done.stderr + done.stdout).decode(errors="replace").strip()[-3000:]
            name = shlex.join(argv) if len(argv) < 40 else argv[0]
            raise ToolError(f"`{name}` failed in the toolroot {self.path} ({done.returncode})", said)
        return done.stdout


def ensure(lock: Lock | None = None, console: Console | None = None) -> ToolRoot:
    """The toolroot that the lock describes, downloaded and unpacked if it is not there yet."""
    console = console or Console()
    pins = obtain(lock or project_lock(), "toolroot", console).toolroot
    key = stage_key("toolroot", LAYOUT, *(pin.sha256 for pin in pins))
    path = cache_dir() / "toolroot" / key[:32]
    if not path.is_dir():
        console.say(f"unpacking {len(pins)} packages into the toolroot")
        with fresh_directory(path) as root:
            for name in MERGED:
                (root / "usr" / name).mkdir(parents=True)
                (root / name).symlink_to(f"usr/{name}")
            for name in ("tmp", "dev", "proc"):
                (root / name).mkdir()
            for pin in pins:
                extract_all(download_path(pin.sha256), root)
    return ToolRoot(path, key)

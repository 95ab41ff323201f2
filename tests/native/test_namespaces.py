"""Commands in namespaces of their own, asked for from a plain chroot, as build machines often are."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from dozen.compose.namespaces import in_namespaces
from native.privileges import needs_root

OUTSIDE = """
set -eu
mkdir -p "$1/usr" "$1/proc" "$1/mnt"
for name in bin sbin lib lib64; do ln -s "usr/$name" "$1/$name"; done
nsenter --mount=/proc/self/ns/mnt mount --make-rshared /
mount --bind /usr "$1/usr"
mount --rbind /proc "$1/proc"
chroot "$1" sh -c "$2"
if grep -q "$1/mnt" /proc/self/mountinfo; then echo "a mount got out"; fi
"""


@needs_root
def test_nothing_gets_out_of_a_chroot_where_all_is_shared(tmp_path: Path) -> None:
    root = tmp_path / "root"
    mount = ("sh", "-c", "mount --bind /usr /mnt && grep -o ' /mnt ' /proc/self/mountinfo")
    inside = shlex.join([*in_namespaces("--pid", "--fork"), *mount])
    command = [*in_namespaces(), "sh", "-c", OUTSIDE, "sh", str(root), inside]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["/mnt"]

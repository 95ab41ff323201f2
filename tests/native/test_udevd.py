"""The image's own udevd, in namespaces: it reads its rules again when we tell it to."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from dozen.compose.namespaces import in_namespaces
from dozen.linux import udev
from dozen.provider.machines import BootImage
from native.privileges import needs_root

# What udevd needs of the machine, and nothing through which it could change this one: /sys is read-only, /dev is empty.
PREPARE = """
set -e
for name in run dev tmp; do mount -t tmpfs tmpfs "$1/$name"; done
mount -t proc proc "$1/proc"
mount -t sysfs -o ro sysfs "$1/sys"
mount --bind "$2" "$1/run"
mknod "$1/dev/null" c 1 3
exec chroot "$1" /sbin/udevd --debug
"""


@needs_root
def test_rules_are_read_again_when_told(image: BootImage, tmp_path: Path) -> None:
    assert image.tree
    (tmp_path / "udev/rules.d").mkdir(parents=True)
    log, control = tmp_path / "log", str(tmp_path / "udev/control")
    enter = in_namespaces("--net")  # not --pid: udevd listens only to processes that it can see
    command = [*enter, "sh", "-c", PREPARE, "sh", str(image.tree), str(tmp_path)]
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as udevd:
        try:
            wait_for(lambda: "Reading rules file: /usr/lib/udev/rules.d" in log.read_text(), log)
            assert "99-machine.rules" not in log.read_text()
            (tmp_path / "udev/rules.d" / Path(udev.RULES).name).write_text(
                udev.render_rules(['KERNEL=="x", MODE="0600"'])
            )
            wait_for(lambda: try_reload(control), log)
            wait_for(lambda: f"Reading rules file: {udev.RULES}" in log.read_text(), log)
        finally:
            udevd.terminate()
    with pytest.raises(OSError):
        udev.reload_rules(control)


def try_reload(control: str) -> bool:
    """Whether udevd listened."""
    try:
        udev.reload_rules(control)
    except OSError:
        return False
    return True


def wait_for(check: object, log: Path, seconds: float = 10.0) -> None:
    assert callable(check)
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)

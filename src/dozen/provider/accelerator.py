"""Decides what runs the guest's instructions: KVM where it really works, the emulator (TCG) elsewhere.

That /dev/kvm exists says little. On some rented machines it opens, takes a guest and then never runs it, or the first
ioctl hangs the caller. So a child boots the image's own kernel with nothing else until it reports that it has no root
file system, within a few seconds; only the child ever touches /dev/kvm. A child that cannot even be killed is left
behind. The verdict holds until the computer is booted again, so it is kept in the cache under the boot's id.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

DEVICE = Path("/dev/kvm")
SETTING = "DOZEN_ACCELERATOR"
SECONDS = 5.0
"""Under working KVM the kernel needs about one second to the end of its own start."""

REACHED = b"Kernel panic - not syncing: VFS"


@dataclass(frozen=True, slots=True)
class Accelerator:
    """``name`` is kvm or tcg; ``reason`` says why in words for a person, ``detail`` what the probe said last."""

    name: str
    reason: str
    detail: str = ""

    @property
    def arguments(self) -> list[str]:
        """QEMU's arguments. ``max`` brings rdrand; without it Python waits 1.5 s for the guest's first random bytes."""
        if self.name == "kvm":
            return ["-accel", "kvm", "-cpu", "host"]
        return ["-accel", "tcg,thread=multi", "-cpu", "max"]


def choose(qemu: Sequence[str], kernel: Path, cache: Path, setting: str | None = None) -> Accelerator:
    """What to use on this computer. ``qemu`` is how its command line begins; ``setting`` (kvm or tcg) is
    believed without a probe."""
    if setting in ("kvm", "tcg"):
        return Accelerator(setting, f"{SETTING} says so")
    if not DEVICE.exists():
        return Accelerator("tcg", f"there is no {DEVICE}")
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return Accelerator("tcg", f"{DEVICE} may not be opened by this user (the group kvm may)")
    key = f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {' '.join(qemu)} {os.getuid()}"
    kept = read_verdict(cache / "kvm.json", key)
    if kept:
        return kept
    verdict = probe(probe_command(qemu, kernel), SECONDS)
    keep_verdict(cache / "kvm.json", key, verdict)
    return verdict


def read_verdict(path: Path, key: str) -> Accelerator | None:
    """The verdict kept for this boot, or None; a damaged file is as good as none."""
    try:
        kept = json.loads(path.read_text())
        return Accelerator(kept["name"], kept["reason"], kept["detail"]) if kept["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep_verdict(path: Path, key: str, verdict: Accelerator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps({"key": key, **asdict(verdict)}))
    part.replace(path)


def probe_command(qemu: Sequence[str], kernel: Path) -> list[str]:
    """A guest with a kernel, a serial port and nothing else."""
    machine = ["-machine", "q35", "-accel", "kvm", "-cpu", "host", "-smp", "1", "-m", "256"]
    quiet = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"]
    return [*qemu, *machine, *quiet, "-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"]


def probe(command: list[str], seconds: float) -> Accelerator:
    """Runs ``command`` until it prints `REACHED` (KVM works), ends, or ``seconds`` have passed."""
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return Accelerator("tcg", f"the probe of KVM could not be started: {error}")
    start = time.monotonic()
    printed = _read_until(child, seconds)
    took = time.monotonic() - start
    _put_down(child)
    if REACHED in printed:
        return Accelerator("kvm", f"a kernel was booted with it in {took:.1f} s")
    last = printed.decode(errors="replace").strip().rpartition("\n")[2]
    ended = f"hung for {seconds:.0f} s" if took >= seconds else "ended early"
    return Accelerator("tcg", f"{DEVICE} is there, but a kernel booted with it {ended}", last)


def _read_until(child: subprocess.Popen[bytes], seconds: float) -> bytes:
    assert child.stdout is not None
    printed, deadline = b"", time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while REACHED not in printed and (left := deadline - time.monotonic()) > 0:
            if not selector.select(left):
                break
            chunk = os.read(child.stdout.fileno(), 65536)
            if not chunk:
                break
            printed += chunk
    return printed


def _put_down(child: subprocess.Popen[bytes]) -> None:
    """Ends the child; one that hangs inside the kernel cannot be waited for, and is not."""
    assert child.stdout is not None
    child.kill()
    child.stdout.close()
    try:
        child.wait(1)
    except subprocess.TimeoutExpired:
        # Popen would complain at its end that the process still runs, which is what is meant.
        child.returncode = -9

"""Builds the system that ours is compared with: Debian 13, as little of it as can do the same job.

It is debootstrap's smallest variant plus systemd, the container runtime, and the counterparts of our twelve binaries;
no SSH server, no editor, nothing to log in with beyond what these bring. It gets its address by DHCP like our node.
Two small units of ours write marks to the serial console: when containerd has answered, and how much memory is used
after a while. The result is kept in the cache, since making it takes a minute or two, and made anew when its
definition changes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from dozen.compose.mirrors import find_mirrors

SUITE = "trixie"
PACKAGES = (
    *("systemd", "systemd-sysv", "udev", "dbus", "kmod", "iproute2", "iptables", "nftables"),
    *("containerd", "runc", "lvm2", "dmsetup", "xfsprogs", "e2fsprogs", "ca-certificates", "linux-image-cloud-amd64"),
)
IDLE_SECONDS = 30
DISK_MIB = 2048

# As the shells of a fresh Debian have it; /bin and /sbin lead to /usr/bin and /usr/sbin there.
PATH = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin")

NETWORK = """
    [Match]
    Type=ether
    [Network]
    DHCP=ipv4
"""
# Type=notify makes systemd wait until containerd says that it serves, so the unit starts no later than that.
UNIT = """
    [Unit]
    Description=Tell the benchmark when containerd answers and what memory is used
    After=containerd.service
    Requires=containerd.service
    [Service]
    Type=exec
    ExecStart=/usr/local/libexec/bench
    [Install]
    WantedBy=multi-user.target
"""
# The console is opened for each line, because the login prompt hangs up whoever has it open.
SCRIPT = f"""
    #!/bin/sh
    say() {{ echo "BENCH $*" >/dev/ttyS0; }}
    say ready
    until ctr version >/dev/null 2>&1; do sleep 0.1; done
    say answers
    sleep {IDLE_SECONDS}
    while read -r name value unit; do say memory $name $value; done </proc/meminfo
    say done
"""
# Stage 1 of ours says when it starts; this is its counterpart, the first thing that the root file system runs.
EARLY = """
    [Unit]
    Description=Tell the benchmark that systemd runs units
    DefaultDependencies=no
    Before=sysinit.target
    [Service]
    Type=oneshot
    ExecStart=/bin/echo "BENCH systemd"
    StandardOutput=tty
    TTYPath=/dev/ttyS0
    [Install]
    WantedBy=sysinit.target
"""


@dataclass(frozen=True, slots=True)
class DebianSystem:
    """The built system and what was counted in it. ``names`` are files in the folders of PATH, each folder once;
    ``listed`` counts as the reference figures were counted, with /bin and /sbin listed beside /usr's."""

    disk: str
    kernel: str
    initramfs: str
    release: str
    packages: int
    names: int
    listed: int
    size_mib: int


def build(cache: Path, kernel: str, say: Callable[[str], None]) -> DebianSystem:
    """The system, built now or found in the cache. Needs root, debootstrap and e2fsprogs.

    ``kernel`` is the version of ours: with another one the system is made anew, so that it gets the newest as well.
    """
    parts = (SUITE, PACKAGES, NETWORK, UNIT, SCRIPT, EARLY, DISK_MIB, kernel)
    key = hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
    folder = cache / "bench" / f"debian-{key}"
    described = folder / "system.json"
    if described.exists():
        return DebianSystem(**json.loads(described.read_text()))
    if os.getuid() != 0:
        raise PermissionError("building the Debian system needs root (debootstrap)")
    shutil.rmtree(folder, ignore_errors=True)
    root = folder / "root"
    root.mkdir(parents=True)
    say(f"debootstrap of {SUITE} with {len(PACKAGES)} packages named, as small as it gets")
    mirror = find_mirrors(os.environ).debian
    run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(root), mirror)
    shutil.rmtree(root / "var/cache/apt/archives")
    configure(root)
    say("writing its disk")
    system = describe(folder, root)
    run("mkfs.ext4", "-q", "-F", "-L", "debian", "-d", str(root), system.disk, f"{DISK_MIB}M")
    described.write_text(json.dumps(asdict(system), indent=2))
    write_baseline(cache, system)
    return system


def configure(root: Path) -> None:
    """What an installer would have set, and our units."""
    write(root / "etc/hostname", "debian")
    write(root / "etc/fstab", "/dev/vda / ext4 rw 0 1")
    write(root / "etc/systemd/network/10-dhcp.network", NETWORK)
    write(root / "etc/systemd/system/bench.service", UNIT)
    write(root / "etc/systemd/system/bench-early.service", EARLY)
    write(root / "usr/local/libexec/bench", SCRIPT)
    (root / "usr/local/libexec/bench").chmod(0o755)
    run("chroot", str(root), "systemctl", "enable", "systemd-networkd", "containerd", "bench", "bench-early")


def describe(folder: Path, root: Path) -> DebianSystem:
    status = (root / "var/lib/dpkg/status").read_text()
    boot = root / "boot"
    return DebianSystem(
        disk=str(folder / "disk.raw"),
        kernel=str(next(boot.glob("vmlinuz-*"))),
        initramfs=str(next(boot.glob("initrd.img-*"))),
        release=(root / "etc/debian_version").read_text().strip(),
        packages=status.count("\nStatus: install ok installed\n"),
        names=count_names({(root / part).resolve() for part in PATH}),
        listed=count_names([root / part for part in PATH]),
        size_mib=round(sum(path.lstat().st_blocks for path in root.rglob("*")) * 512 / 2**20),
    )


def count_names(folders: Iterable[Path]) -> int:
    return sum(1 for folder in folders for _ in folder.iterdir())


def write_baseline(cache: Path, system: DebianSystem) -> None:
    """What `dozenctl image compare` shows beside our own count."""
    facts = {"release": system.release, "packages": system.packages, "names": system.names, "listed": system.listed}
    (cache / "baseline.json").write_text(json.dumps(facts, indent=2) + "\n")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text).strip() + "\n")


def run(*command: str) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
        env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed ({done.returncode}): {done.stdout.strip()[-600:]}")

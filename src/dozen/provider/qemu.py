"""Runs machines in QEMU, as any user, without a network of its own: the guest's API comes out on a loopback port.

A machine is a folder. QEMU runs detached with that folder as its working directory and leaves there:

    machine.json   what the machine is (identity, port, sizes); written before anything is started
    smbios         the machine configuration as the guest finds it, an SMBIOS string of type 11
    disk.raw       the data disk, sparse
    console.log    all that the guest ever wrote to its serial port
    qemu.pid       the emulator's process id, written and locked by QEMU itself
    qmp.sock       its control socket

Whichever of these an interrupted command left behind, `Qemu.create` goes on from there and `Qemu.destroy` removes them.
A process is ended only when it is the one that was started: a pidfd pins it, then its command line must name our file.
"""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from dozen.provider import accelerator, qmp
from dozen.provider.emulator import find_emulator
from dozen.provider.machines import BootImage, Machine, MachineSpec, Network, ProviderError, Report, reported

API_PORT = 50000
CONFIG_KEY = "dozen.config="
SMBIOS_LIMIT = 60_000
"""A table of the old entry point, which Debian 12's QEMU writes, holds 64 KiB altogether."""

LAUNCH_SECONDS = 60
STOP_SECONDS = 10.0


class Record(msgspec.Struct, forbid_unknown_fields=False):
    """What machine.json holds: what must stay the same when the machine is started again."""

    name: str
    uuid: str
    mac: str
    port: int
    image: str = ""


class Qemu:
    """The provider. ``cache`` keeps the verdict about KVM; ``setting`` overrides it (kvm or tcg)."""

    def __init__(self, cache: Path, setting: str | None = None) -> None:
        self.cache, self.setting = cache, setting

    async def create(self, spec: MachineSpec, folder: Path, report: Report) -> Machine:
        """Makes the machine, or starts again the one that the folder holds. Raises ProviderError."""
        emulator = await asyncio.to_thread(find_emulator)
        if (present := self.show(folder)) and present.pid:
            raise ProviderError(f"machine {spec.name} runs already (process {present.pid})", "destroy or stop it first")
        with reported("accelerator", report) as step:
            chosen = await asyncio.to_thread(self.accelerator, spec.image.kernel)
            step.result(f"{chosen.name}: {chosen.reason}")
        with reported("machine", report) as step:
            record = await asyncio.to_thread(prepare, spec, folder)
            pid = await asyncio.to_thread(launch, emulator, spec, record, folder, chosen)
            step.result(f"process {pid}, {spec.cpus} CPUs, {spec.memory_mib} MiB, API on 127.0.0.1:{record.port}")
        return self._machine(record, folder, pid)

    def accelerator(self, kernel: Path) -> accelerator.Accelerator:
        """What runs a machine's instructions here; found out once, with the kernel given."""
        return accelerator.choose(find_emulator(), kernel, self.cache, self.setting or None)

    def show(self, folder: Path) -> Machine | None:
        """The machine in ``folder``, running or not; None when there is none."""
        record = read_record(folder)
        return self._machine(record, folder, running_pid(folder)) if record else None

    async def stop(self, folder: Path) -> None:
        """Ends the emulator at once, as pulling the plug does; disk and identity stay."""
        await asyncio.to_thread(end_process, folder)

    async def destroy(self, folder: Path) -> None:
        await self.stop(folder)
        await asyncio.to_thread(shutil.rmtree, folder, True)

    async def reset(self, folder: Path) -> None:
        """Presses the reset button."""
        await asyncio.to_thread(qmp.execute, folder / "qmp.sock", "system_reset")

    @staticmethod
    def _machine(record: Record, folder: Path, pid: int | None) -> Machine:
        return Machine(record.name, folder, f"127.0.0.1:{record.port}", record.image, pid)


def read_record(folder: Path) -> Record | None:
    try:
        return msgspec.json.decode((folder / "machine.json").read_bytes(), type=Record)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write_record(record: Record, folder: Path) -> None:
    part = folder / "machine.json.part"
    part.write_bytes(msgspec.json.format(msgspec.json.encode(record)))
    part.replace(folder / "machine.json")


def prepare(spec: MachineSpec, folder: Path) -> Record:
    """Writes all that QEMU needs into the folder; what is there of an earlier life is kept."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    record = read_record(folder) or Record(spec.name, str(uuid.uuid4()), make_mac(), 0)
    record.image = spec.image.identity
    if spec.plug:
        record.port = spec.plug.port
    elif not record.port or not port_is_free(record.port):
        record.port = find_port()
    write_record(record, folder)
    write_private(folder / "smbios", encode_config(spec.config) if spec.config is not None else b"")
    disk = folder / "disk.raw"
    if spec.disk_mib and not disk.exists():
        with disk.open("xb") as file:
            file.truncate(spec.disk_mib << 20)
    console = folder / "console.log"
    if console.exists():
        console.replace(folder / "console.previous.log")
    return record


def write_private(path: Path, content: bytes) -> None:
    """The configuration holds keys: nobody else may read it."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def encode_config(config: str) -> bytes:
    """The string that the node looks for in its SMBIOS tables."""
    string = CONFIG_KEY.encode() + base64.b64encode(zlib.compress(config.encode(), 9))
    if len(string) > SMBIOS_LIMIT:
        raise ProviderError(
            f"the machine configuration is too large for an SMBIOS string: {len(string)} of {SMBIOS_LIMIT} bytes",
            "shorten machine.files or other long parts of it, or apply them over the API once the node is up",
        )
    return string


def make_mac() -> str:
    """A random address in the block that QEMU uses."""
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(3))


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def launch(
    emulator: Sequence[str], spec: MachineSpec, record: Record, folder: Path, chosen: accelerator.Accelerator
) -> int:
    """Starts QEMU, which detaches itself once the machine exists; gives its process id.

    Another program can take the port between its choice and QEMU's use of it; then another port is tried.
    """
    with open_folder(spec.plug.folder if spec.plug else folder) as sockets:
        for _ in range(3):
            command = [*emulator, *chosen.arguments, *machine_arguments(spec, record, folder, sockets)]
            done = run_qemu(command, folder, sockets)
            if done.returncode == 0:
                return int((folder / "qemu.pid").read_text())
            if "host forwarding" not in done.stdout:
                break
            record.port = find_port()
            write_record(record, folder)
    raise ProviderError(f"QEMU could not make the machine (exit code {done.returncode})", detail=done.stdout.strip())


@contextmanager
def open_folder(folder: Path) -> Iterator[int]:
    """A descriptor by which QEMU finds sockets: their paths may have 107 bytes, and a home folder may be deep."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def run_qemu(command: list[str], folder: Path, *inherited: int) -> subprocess.CompletedProcess[str]:
    """Runs QEMU until it has detached itself or failed; it gets the descriptors ``inherited``. Raises ProviderError
    when it does neither.
    """
    try:
        return subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=inherited,
            timeout=LAUNCH_SECONDS,
            check=False,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired as error:
        raise ProviderError(f"QEMU did not start within {LAUNCH_SECONDS} s") from error


def machine_arguments(spec: MachineSpec, record: Record, folder: Path, sockets: int = 0) -> list[str]:
    """QEMU's command line but for the accelerator; relative names are in the machine's folder.

    ``sockets`` is the descriptor of the folder that holds the sockets of the machine's network, if it has a plug.
    """
    image = spec.image
    return [
        *("-name", spec.name, "-machine", "q35", "-smp", str(spec.cpus), "-m", str(spec.memory_mib)),
        *("-nodefaults", "-no-user-config", "-display", "none", "-vga", "none", "-daemonize"),
        *("-pidfile", str(folder / "qemu.pid"), "-uuid", record.uuid),
        *("-qmp", "unix:qmp.sock,server=on,wait=off"),
        *("-chardev", "file,id=console,path=console.log,append=on", "-serial", "chardev:console"),
        *("-object", "rng-random,id=entropy,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=entropy"),
        *boot_arguments(image, spec.arguments),
        *(word for disk in disks_of(spec) for word in disk_arguments(*disk)),
        *network_arguments(spec, record, sockets),
        *(("-smbios", "type=11,path=smbios") if spec.config is not None else ()),
    ]


def boot_arguments(image: BootImage, more: tuple[str, ...]) -> list[str]:
    words = " ".join((image.cmdline, *more)).strip()
    return ["-kernel", str(image.kernel), "-initrd", str(image.initramfs), "-append", words]


def disks_of(spec: MachineSpec) -> Iterator[tuple[str, str, str]]:
    """(serial number, file, option) of each disk, in the order in which the guest finds them."""
    written = "snapshot=on" if spec.throwaway else "discard=unmap"
    if spec.image.rootfs:
        yield "dozen-root", str(spec.image.rootfs), "readonly=on"
    if spec.disk_mib:
        yield "dozen-data", "disk.raw", written
    for serial, path in spec.disks.items():
        yield serial, str(path), written
    if spec.image.images:
        yield "dozen-images", str(spec.image.images), "readonly=on"


def disk_arguments(serial: str, file: str, option: str) -> list[str]:
    return [
        *("-drive", f"if=none,id={serial},format=raw,file={escape(file)},{option}"),
        *("-device", f"virtio-blk-pci,drive={serial},serial={serial}"),
    ]


def network_arguments(spec: MachineSpec, record: Record, sockets: int) -> list[str]:
    """User-mode networking: no privilege, no interface on the host. The card's boot ROM is left out."""
    if spec.plug:
        backend = cable(sockets, spec.plug.name, "guest", "router")
    elif spec.network is Network.USER:
        backend = f"user,id=net0,hostfwd=tcp:127.0.0.1:{record.port}-:{API_PORT}"
    elif spec.network is Network.SILENT:
        backend = "hubport,id=net0,hubid=0"
    else:
        return []
    return [
        *("-netdev", backend),
        *("-device", f"virtio-net-pci,netdev=net0,mac={record.mac},romfile="),
    ]


def cable(sockets: int, name: str, near: str, far: str, device: str = "net0") -> str:
    """One end of a cable between two emulators: datagrams between two sockets, each side's own and the other's."""
    base = f"/proc/self/fd/{sockets}/{name}"
    ends = f"local.type=unix,local.path={base}.{near},remote.type=unix,remote.path={base}.{far}"
    return f"dgram,id={device},{ends}"


def escape(path: str) -> str:
    """A comma ends an option's value; QEMU wants it doubled."""
    return path.replace(",", ",,")


def open_process(folder: Path) -> tuple[int, int] | None:
    """(pid, pidfd) of the emulator that runs the machine in ``folder``; None when it does not run."""
    try:
        pid = int((folder / "qemu.pid").read_text())
        pidfd = os.pidfd_open(pid)
    except (ValueError, OSError):
        return None
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if os.fsencode(folder / "qemu.pid") in words:
            return pid, pidfd
    except OSError:
        pass
    os.close(pidfd)
    return None


def running_pid(folder: Path) -> int | None:
    opened = open_process(folder)
    if opened is None:
        return None
    os.close(opened[1])
    return opened[0]


def end_process(folder: Path) -> None:
    """Ends the machine's emulator and waits until it is gone."""
    opened = open_process(folder)
    if opened is None:
        return
    pid, pidfd = opened
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(pidfd, number)
            if wait_gone(pidfd, STOP_SECONDS):
                return
    except ProcessLookupError:
        return
    finally:
        os.close(pidfd)
    raise ProviderError(f"the emulator (process {pid}) does not end", "it hangs inside this computer's kernel")


def wait_gone(pidfd: int, seconds: float) -> bool:
    """A pidfd becomes readable when its process ends."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))

"""The emulator's command line, what a machine's folder keeps, and whose process may be ended."""

import base64
import os
import socket
import zlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from dozen.provider.machines import BootImage, MachineSpec, Network, Plug, ProviderError
from dozen.provider.qemu import (
    Record,
    encode_config,
    end_process,
    machine_arguments,
    port_is_free,
    prepare,
    read_record,
    running_pid,
)

IMAGE = BootImage(
    kernel=Path("/i/vmlinux"),
    initramfs=Path("/i/initramfs.cpio"),
    rootfs=Path("/i/root,fs.img"),
    cmdline="console=ttyS0",
    identity="abc",
)
SPEC = MachineSpec("one", IMAGE, config="machine: {}\n")
RECORD = Record("one", "11111111-2222-3333-4444-555555555555", "52:54:00:01:02:03", 41000)
FOLDER = Path("/state/one")


def value(arguments: list[str], option: str, containing: str = "") -> str:
    """The value of the first ``option`` that contains the given text."""
    return next(text for name, text in pairwise(arguments) if name == option and containing in text)


def test_the_root_image_is_the_first_disk_and_read_only() -> None:
    drives = [text for text in machine_arguments(SPEC, RECORD, FOLDER) if text.startswith("if=none")]
    assert drives[0] == "if=none,id=dozen-root,format=raw,file=/i/root,,fs.img,readonly=on"
    assert drives[1] == "if=none,id=dozen-data,format=raw,file=disk.raw,discard=unmap"


def test_the_api_comes_out_on_loopback_only() -> None:
    assert "hostfwd=tcp:127.0.0.1:41000-:50000" in value(machine_arguments(SPEC, RECORD, FOLDER), "-netdev")


def test_arguments_of_the_machine_come_behind_those_of_the_image() -> None:
    spec = replace(SPEC, arguments=("dozen.root=/dev/vdb",))
    assert value(machine_arguments(spec, RECORD, FOLDER), "-append") == "console=ttyS0 dozen.root=/dev/vdb"


@pytest.mark.parametrize(
    ("change", "absent"),
    [({"network": Network.NONE}, "virtio-net-pci"), ({"disk_mib": 0}, "disk.raw"), ({"config": None}, "smbios")],
)
def test_a_machine_can_lack_a_part(change: dict, absent: str) -> None:
    assert absent in " ".join(machine_arguments(SPEC, RECORD, FOLDER))
    assert absent not in " ".join(machine_arguments(replace(SPEC, **change), RECORD, FOLDER))


def test_a_silent_network_leads_nowhere() -> None:
    arguments = machine_arguments(replace(SPEC, network=Network.SILENT), RECORD, FOLDER)
    assert value(arguments, "-netdev") == "hubport,id=net0,hubid=0"
    assert "virtio-net-pci" in value(arguments, "-device", "net0")


def test_more_disks_carry_their_serial_numbers() -> None:
    spec = replace(SPEC, disks={"scratch": Path("/d.raw")})
    assert "serial=scratch" in value(machine_arguments(spec, RECORD, FOLDER), "-device", "drive=scratch")


def test_a_throwaway_machine_writes_to_no_file() -> None:
    drives = [text for text in machine_arguments(replace(SPEC, throwaway=True), RECORD, FOLDER) if "if=none" in text]
    assert all("readonly=on" in text or "snapshot=on" in text for text in drives)


def test_the_configuration_survives_its_way_through_smbios() -> None:
    key, _, packed = encode_config("machine:\n  type: worker # ü\n").decode().partition("=")
    assert key == "dozen.config"
    assert zlib.decompress(base64.b64decode(packed)).decode() == "machine:\n  type: worker # ü\n"


def test_a_configuration_that_no_table_holds_is_refused_with_its_size() -> None:
    noise = base64.b64encode(os.urandom(100_000)).decode()
    with pytest.raises(ProviderError, match="too large"):
        encode_config(noise)


def test_a_machine_keeps_its_identity_and_its_disk(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    first = prepare(SPEC, folder)
    (folder / "disk.raw").write_bytes(b"kept")
    (folder / "console.log").write_text("of the first start")
    second = prepare(SPEC, folder)
    assert (second.uuid, second.mac) == (first.uuid, first.mac)
    assert (folder / "disk.raw").read_bytes() == b"kept"
    assert (folder / "console.previous.log").read_text() == "of the first start"
    assert not (folder / "console.log").exists()


def test_the_disk_is_sparse_and_the_configuration_private(tmp_path: Path) -> None:
    prepare(SPEC, tmp_path / "one")
    disk = (tmp_path / "one" / "disk.raw").stat()
    assert disk.st_size == SPEC.disk_mib << 20
    assert disk.st_blocks < 16
    assert (tmp_path / "one" / "smbios").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o700


def test_a_port_that_was_taken_meanwhile_is_given_up(tmp_path: Path) -> None:
    first = prepare(SPEC, tmp_path / "one")
    with socket.create_server(("127.0.0.1", first.port)):
        assert not port_is_free(first.port)
        assert prepare(SPEC, tmp_path / "one").port != first.port


@pytest.mark.parametrize("content", [b"", b"{", b'{"name": 3}'])
def test_a_damaged_record_is_no_machine(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "machine.json").write_bytes(content)
    assert read_record(tmp_path) is None


@pytest.mark.parametrize("content", ["", "x", "0", "-1", "99999999", str(os.getpid())])
def test_only_the_process_that_names_the_pid_file_is_the_machine(tmp_path: Path, content: str) -> None:
    # The last case is this very process: were it taken for the emulator, the test run would end here.
    (tmp_path / "qemu.pid").write_text(content)
    assert running_pid(tmp_path) is None
    end_process(tmp_path)


def test_a_plug_takes_the_place_of_a_network_of_its_own() -> None:
    spec = replace(SPEC, plug=Plug(Path("/state/network"), "one", 41000))
    arguments = machine_arguments(spec, RECORD, FOLDER, 7)
    assert value(arguments, "-netdev") == (
        "dgram,id=net0,local.type=unix,local.path=/proc/self/fd/7/one.guest"
        ",remote.type=unix,remote.path=/proc/self/fd/7/one.router"
    )
    assert "hostfwd" not in " ".join(arguments)


def test_container_images_are_the_last_disk_and_read_only() -> None:
    spec = replace(SPEC, image=replace(IMAGE, images=Path("/i/images.img")), disks={"scratch": Path("/d.raw")})
    drives = [text for text in machine_arguments(spec, RECORD, FOLDER) if text.startswith("if=none")]
    assert drives[-1] == "if=none,id=dozen-images,format=raw,file=/i/images.img,readonly=on"
    assert "images" not in " ".join(machine_arguments(SPEC, RECORD, FOLDER))

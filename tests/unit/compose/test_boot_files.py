"""Getting at the kernel inside of a bzImage, and the list that stage 1 reads."""

import gzip
import lzma
import struct
from collections.abc import Callable

import pytest
import zstandard

from dozen.compose.boot_files import extract_vmlinux, module_list
from dozen.compose.errors import ComposeError
from dozen.compose.tree import Entry, Why


def build_kernel(pvh: bool = True) -> bytes:
    """An ELF file with one note segment."""
    note = struct.pack("<III", 4, 4, 18 if pvh else 6) + b"Xen\0" + b"\0\0\0\1"
    head = b"\x7fELF\x02\x01\x01" + b"\0" * 9
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 4, 4, 120, 0, 0, len(note), len(note), 4) + note


def build_image(payload: bytes) -> bytes:
    """A bzImage with two sectors of setup code and the payload 16 bytes into the rest."""
    image = bytearray(512 * 3)
    image[0x1F1] = 2
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", image, 0x248, 16, len(payload))
    return bytes(image) + b"\0" * 16 + payload + b"behind"


def with_size(packed: bytes) -> bytes:
    return packed + struct.pack("<I", len(build_kernel()))


@pytest.mark.parametrize("pack", [zstandard.compress, lzma.compress, gzip.compress], ids=["zstd", "xz", "gzip"])
def test_a_kernel_is_found_whatever_it_is_packed_with(pack: Callable[[bytes], bytes]) -> None:
    assert extract_vmlinux(build_image(with_size(pack(build_kernel()))), "vmlinuz") == build_kernel()


def test_a_kernel_that_cannot_be_started_directly_is_refused() -> None:
    packed = with_size(zstandard.compress(build_kernel(pvh=False)))
    with pytest.raises(ComposeError, match="vmlinuz holds no ELF kernel with a PVH entry"):
        extract_vmlinux(build_image(packed), "vmlinuz")


@pytest.mark.parametrize(
    "image", [b"MZ" + b"\0" * 2000, build_image(b"LZ4!" * 8)], ids=["no bzImage", "unknown packing"]
)
def test_something_else_is_named(image: bytes) -> None:
    with pytest.raises(ComposeError, match="vmlinuz"):
        extract_vmlinux(image, "vmlinuz")


def test_the_list_for_stage_1_marks_what_may_wait() -> None:
    def module(name: str) -> Entry:
        return Entry(f"/usr/lib/modules/6/kernel/{name}.ko", "file", 0o644, Why("linux", "x"))

    early = [(module("fs/erofs"), "first"), (module("net/virtio_net"), "beside")]
    assert module_list(early) == "/lib/erofs.ko\n&/lib/virtio_net.ko\n"

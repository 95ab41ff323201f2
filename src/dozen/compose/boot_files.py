"""The files that a machine starts from: the kernel in two forms, and the initramfs."""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Collection, Iterable
from pathlib import Path

import zstandard

from dozen.compose.archives import Member, make_cpio
from dozen.compose.elf import NOTE_PVH_ENTRY, is_elf, read_notes
from dozen.compose.errors import ComposeError
from dozen.compose.kernel_modules import Kernel, module_name
from dozen.compose.objects import get_object
from dozen.compose.tree import Entry

DIRECTORY, REGULAR, CHARACTER = 0o040000, 0o100000, 0o020000

# Offsets in the header of a bzImage: the kernel's boot protocol, version 2.08 and newer.
SETUP_SECTORS, MAGIC, PAYLOAD_OFFSET, PAYLOAD_LENGTH = 0x1F1, 0x202, 0x248, 0x24C


def extract_vmlinux(image: bytes, name: str) -> bytes:
    """The ELF kernel inside of a bzImage, which a virtual machine can start without the kernel unpacking itself.

    Raises ComposeError when it is not there or has no PVH entry point (the note that QEMU starts it by).
    """
    if image[MAGIC : MAGIC + 4] != b"HdrS":
        raise ComposeError(f"{name} is no bzImage: the kernel's package is not what it was")
    sectors = image[SETUP_SECTORS] or 4
    offset, length = struct.unpack_from("<II", image, PAYLOAD_OFFSET)
    payload = image[(sectors + 1) * 512 + offset :][:length]
    kernel = unpack_payload(payload, name)
    if not is_elf(kernel) or not any(
        owner == b"Xen" and kind == NOTE_PVH_ENTRY for owner, kind, _ in read_notes(kernel)
    ):
        raise ComposeError(f"{name} holds no ELF kernel with a PVH entry: take a kernel that is built with CONFIG_PVH")
    return kernel


def unpack_payload(payload: bytes, name: str) -> bytes:
    """Undo the packing of a kernel; behind the packed data stands its unpacked size."""
    if payload[:4] == b"\x28\xb5\x2f\xfd":
        (size,) = struct.unpack("<I", payload[-4:])
        return zstandard.ZstdDecompressor().decompress(payload, max_output_size=size, allow_extra_data=True)
    if payload[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor().decompress(payload)
    if payload[:2] == b"\x1f\x8b":
        return zlib.decompressobj(wbits=31).decompress(payload)
    raise ComposeError(f"{name} is packed in a way that is not known here (it starts with {payload[:6].hex()})")


def make_initramfs(stage1: Path, kernel: Kernel, without: Collection[str], epoch: int) -> bytes:
    """Stage 1, the modules that it loads and the list of them; not packed, since unpacking costs more than reading.

    ``without``: modules of file systems that this image's root does not have.
    """
    early = [(entry, word) for entry, word in kernel.early if module_name(entry.path) not in without]
    members = [
        Member("dev", DIRECTORY | 0o755),
        Member("dev/console", CHARACTER | 0o600, device=(5, 1)),
        Member("proc", DIRECTORY | 0o755),
        Member("sys", DIRECTORY | 0o755),
        Member("root", DIRECTORY | 0o755),
        Member("init", REGULAR | 0o755, stage1.read_bytes()),
        Member("modules", REGULAR | 0o644, module_list(early).encode()),
        Member("lib", DIRECTORY | 0o755),
    ]
    for entry, word in early:
        if word == "root":
            continue
        members.append(Member(early_path(entry.path)[1:], REGULAR | 0o644, get_object(entry.sha256)))
    return make_cpio(members, epoch)


def early_path(path: str) -> str:
    """Modules lie flat in the initramfs."""
    return "/lib/" + path.rpartition("/")[2]


def module_list(early: Iterable[tuple[Entry, str]]) -> str:
    """What stage 1 reads: one path per line, those to be loaded beside the boot with an ampersand, or with a plus if
    they are in the root image only."""
    marks = {"first": "", "beside": "&", "root": "+"}
    return "".join(
        f"{marks[word]}{entry.path if word == 'root' else early_path(entry.path)}\n" for entry, word in early
    )

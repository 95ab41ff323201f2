"""What is on a block device, told by the marks that formats leave: a small reader in the place of blkid.

A format is recognized by a *magic* at a fixed place, and asked for its label, UUID and size. What has no known magic is
further told apart, because the question behind it is "may this be overwritten?": only zeros at both ends is *blank*,
anything else is *unknown*. Two states of XFS get names of their own: one whose creation did not finish may be made
again, and one whose first superblock is gone can be repaired from the copies that begin each allocation group.
All reading goes through a function; nothing here opens a device. Layouts: the kernel's headers named at each reader.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

from dozen.linux import block_kinds as words
from dozen.linux.gpt import Read, Table, parse_table

HEAD_SIZE = 256 * 1024
# Marks of formats, of RAID and of boot loaders lie within this much of either end.
EDGE = 1 << 20
MBR_ENTRY_SIZE = 16
# mkfs.xfs makes four allocation groups, more for a solid-state disk and many processors, each 1 TiB at most (xfsprogs,
# calc_default_ag_geometry and calc_concurrency_ag_geometry).
XFS_GROUPS_MAX = 32
XFS_GROUP_SIZE_MAX = 1 << 40
XFS_SEARCH = 64 * 1024


class Probe(NamedTuple):
    """What was found. ``content`` is one of the words of `dozen.linux.block_kinds`; ``name`` is as blkid calls it."""

    content: str
    name: str = ""
    uuid: str = ""
    label: str = ""
    block_size: int = 0
    size: int = 0
    table: Table | None = None
    error: str = ""


class Found(NamedTuple):
    """What a reader of one format says; sizes in bytes."""

    name: str
    uuid: str = ""
    label: str = ""
    block_size: int = 0
    size: int = 0


def probe(read: Read, size: int, sector_size: int = 512) -> Probe:
    """Look at a device of ``size`` bytes. Raises OSError from ``read``."""
    head = read(0, min(HEAD_SIZE, size)).ljust(HEAD_SIZE, b"\0")
    table = parse_table(read, size, sector_size)
    if table is not None:
        return Probe(words.RECOGNIZED, "gpt", table.guid, size=size, table=table)
    if head.startswith(b"XFSB") and xfs_is_unfinished(head):
        return Probe(words.INTERRUPTED)
    for reader in READERS:
        found = reader(head)
        if found is not None:
            return Probe(words.RECOGNIZED, *found)
    if _is_raid_at_end(read, size):
        return Probe(words.RECOGNIZED, "linux_raid_member")
    if has_xfs_remains(read, size):
        return Probe(words.XFS_REMAINS)
    blank = _only_zeros(read, 0, min(EDGE, size)) and _only_zeros(read, max(0, size - EDGE), min(EDGE, size))
    return Probe(words.BLANK if blank else words.UNKNOWN)


def _only_zeros(read: Read, offset: int, length: int) -> bool:
    data = read(offset, length)
    return data.count(0) == len(data)


def _text(data: bytes, encoding: str = "utf-8") -> str:
    return data.partition(b"\0")[0].decode(encoding, "replace").strip()


def _uuid(data: bytes) -> str:
    if data.count(0) == len(data):
        return ""
    text = data.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


# -- XFS: fs/xfs/libxfs/xfs_format.h, struct xfs_dsb; all big-endian.


def xfs_is_unfinished(head: bytes) -> bool:
    """mkfs.xfs sets sb_inprogress first and clears it last."""
    return head[126] != 0


def read_xfs(head: bytes) -> Found | None:
    if not head.startswith(b"XFSB"):
        return None
    block_size, blocks = struct.unpack_from(">IQ", head, 4)
    return Found("xfs", _uuid(head[32:48]), _text(head[108:120]), block_size, block_size * blocks)


def has_xfs_remains(read: Read, size: int) -> bool:
    """Whether a later allocation group still begins with a superblock, as when the first sectors were overwritten."""
    return next(find_xfs_remains(read, size), None) is not None


def find_xfs_remains(read: Read, size: int) -> Iterator[int]:
    """Where such a superblock is, to `XFS_SEARCH` bytes."""
    return (offset for offset in _xfs_second_groups(size) if b"XFSB" in read(offset, XFS_SEARCH))


def _xfs_second_groups(size: int) -> Iterator[int]:
    """Where the second group may begin. Groups are equally large, up to a limit, and rounded up to whole blocks."""
    for groups in range(2, XFS_GROUPS_MAX + 1):
        if XFS_SEARCH < size // groups < XFS_GROUP_SIZE_MAX:
            yield size // groups
    if size > XFS_GROUP_SIZE_MAX:
        yield XFS_GROUP_SIZE_MAX


# -- Others.


def read_ext(head: bytes) -> Found | None:
    """fs/ext4/ext4.h, struct ext4_super_block at 1024."""
    if head[1080:1082] != b"\x53\xef":
        return None
    (blocks,) = struct.unpack_from("<I", head, 1024 + 4)
    (log_size,) = struct.unpack_from("<I", head, 1024 + 24)
    compatible, incompatible = struct.unpack_from("<II", head, 1024 + 92)
    # extents, 64bit and flex_bg came with ext4; a journal with ext3.
    name = "ext4" if incompatible & 0x2C0 else "ext3" if compatible & 0x4 else "ext2"
    block_size = 1024 << min(log_size, 16)
    return Found(name, _uuid(head[1128:1144]), _text(head[1144:1160]), block_size, block_size * blocks)


def read_vfat(head: bytes) -> Found | None:
    """Microsoft's FAT specification: the boot sector."""
    if head[510:512] != b"\x55\xaa":
        return None
    if head[82:90] == b"FAT32   ":
        serial, label = head[67:71], head[71:82]
    elif head[54:59] in (b"FAT12", b"FAT16"):
        serial, label = head[39:43], head[43:54]
    else:
        return None
    sector, in_cluster, small = head[11] | head[12] << 8, head[13], head[19] | head[20] << 8
    sectors = small or struct.unpack_from("<I", head, 32)[0]
    number = serial[::-1].hex().upper()
    text = _text(label, "ascii")
    return Found(
        "vfat", f"{number[:4]}-{number[4:]}", "" if text == "NO NAME" else text, sector * in_cluster, sector * sectors
    )


def read_erofs(head: bytes) -> Found | None:
    """fs/erofs/erofs_fs.h, struct erofs_super_block at 1024."""
    if head[1024:1028] != b"\xe2\xe1\xf5\xe0":
        return None
    block_size = 1 << min(head[1036], 16)
    (blocks,) = struct.unpack_from("<I", head, 1060)
    return Found("erofs", _uuid(head[1072:1088]), _text(head[1088:1104]), block_size, block_size * blocks)


def read_squashfs(head: bytes) -> Found | None:
    """fs/squashfs/squashfs_fs.h, struct squashfs_super_block."""
    if not head.startswith(b"hsqs"):
        return None
    (block_size,) = struct.unpack_from("<I", head, 12)
    (used,) = struct.unpack_from("<Q", head, 40)
    return Found("squashfs", block_size=block_size, size=used)


def read_swap(head: bytes) -> Found | None:
    """include/linux/swap.h, union swap_header; the magic ends the first page of the machine that made it."""
    for page in (4096, 8192, 16384, 65536):
        if head[page - 10 : page] in (b"SWAPSPACE2", b"SWAP-SPACE"):
            (last,) = struct.unpack_from("<I", head, 1028)
            return Found("swap", _uuid(head[1036:1052]), _text(head[1052:1068]), page, (last + 1) * page)
    return None


def read_lvm(head: bytes) -> Found | None:
    """LVM2's label is in one of the first four sectors (lib/format_text/layout.h)."""
    for at in range(0, 2048, 512):
        if head[at : at + 8] == b"LABELONE" and head[at + 24 : at + 32] == b"LVM2 001":
            (offset,) = struct.unpack_from("<I", head, at + 20)
            raw = _text(head[at + offset : at + offset + 32], "ascii")
            cuts = (0, 6, 10, 14, 18, 22, 26, 32)
            return Found("lvm2-pv", "-".join(raw[a:b] for a, b in pairwise(cuts)))
    return None


def read_iso9660(head: bytes) -> Found | None:
    """ECMA-119: the primary volume descriptor in sector 16."""
    if head[32769:32774] != b"CD001":
        return None
    (blocks,) = struct.unpack_from("<I", head, 32768 + 80)
    return Found("iso9660", label=_text(head[32808:32840], "ascii"), block_size=2048, size=2048 * blocks)


def read_luks(head: bytes) -> Found | None:
    """cryptsetup's on-disk format, versions 1 and 2: both have the UUID at 168, the second a label at 24."""
    if not head.startswith(b"LUKS\xba\xbe"):
        return None
    version = int.from_bytes(head[6:8], "big")
    return Found("luks", _text(head[168:208], "ascii"), _text(head[24:72]) if version == 2 else "")


def read_btrfs(head: bytes) -> Found | None:
    """fs/btrfs/ctree.h, struct btrfs_super_block at 64 KiB."""
    if head[0x10040:0x10048] != b"_BHRfS_M":
        return None
    (total,) = struct.unpack_from("<Q", head, 0x10070)
    (sector,) = struct.unpack_from("<I", head, 0x10090)
    return Found("btrfs", _uuid(head[0x10020:0x10030]), _text(head[0x1012B:0x1022B]), sector, total)


def read_others(head: bytes) -> Found | None:
    """Formats that matter only because they must not be overwritten."""
    for name, offset, magic in OTHERS:
        if head[offset : offset + len(magic)] == magic:
            return Found(name)
    # A ZFS label ends in an array of uberblocks, 1 KiB apart in the second 128 KiB (zfs, vdev_impl.h).
    if any(head[at : at + 4] == b"\x0c\xb1\xba\x00" for at in range(128 * 1024, 256 * 1024, 1024)):
        return Found("zfs_member")
    return None


OTHERS = (
    ("linux_raid_member", 4096, b"\xfc\x4e\x2b\xa9"),  # md 1.2, drivers/md/md_p.h
    ("linux_raid_member", 0, b"\xfc\x4e\x2b\xa9"),  # md 1.1
    ("bcache", 4096 + 24, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca"),
    ("ceph_bluestore", 0, b"bluestore block device"),
    ("exfat", 3, b"EXFAT   "),
    ("f2fs", 1024, b"\x10\x20\xf5\xf2"),
    ("ntfs", 3, b"NTFS    "),
)


def read_dos(head: bytes) -> Found | None:
    """A partition table of the old kind: four entries, of which at least one is used and none makes no sense."""
    if head[510:512] != b"\x55\xaa":
        return None
    entries = [head[at : at + MBR_ENTRY_SIZE] for at in range(446, 510, MBR_ENTRY_SIZE)]
    used = [entry for entry in entries if entry[4] != 0 and any(entry[12:16])]
    if not used or any(entry[0] not in (0, 0x80) for entry in entries):
        return None
    return Found("dos", head[440:444][::-1].hex())


READERS: tuple[Callable[[bytes], Found | None], ...] = (
    read_xfs, read_luks, read_lvm, read_btrfs, read_ext, read_erofs, read_squashfs, read_iso9660, read_swap,
    read_others, read_vfat, read_dos,
)  # fmt: skip


def _is_raid_at_end(read: Read, size: int) -> bool:
    """md's formats 0.90 and 1.0 have their superblock at the end, to leave the beginning as it was (md_p.h)."""
    old = (size & ~0xFFFF) - 0x10000
    new = (size // 512 - 16 & ~7) * 512
    return any(at > 0 and read(at, 4) == b"\xfc\x4e\x2b\xa9" for at in (old, new))

"""Telling a disk which blocks of a file system hold nothing (fstrim(8), <linux/fs.h>)."""

from __future__ import annotations

import os
import struct

# _IOWR('X', 121, struct fstrim_range), which has three 64-bit numbers: start, length, and the shortest extent.
FITRIM = 0xC0185879
_ALL = (1 << 64) - 1


def trim(mountpoint: str) -> int:
    """Give all unused blocks back; how many bytes that were. Blocks. Raises OSError: EOPNOTSUPP for a disk without."""
    import fcntl

    descriptor = os.open(mountpoint, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        answer = fcntl.ioctl(descriptor, FITRIM, struct.pack("QQQ", 0, _ALL, 0))
    finally:
        os.close(descriptor)
    return int(struct.unpack("QQQ", answer)[1])

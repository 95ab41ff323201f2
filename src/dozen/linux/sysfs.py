"""What sysfs says about a device: small files with one value each (Documentation/admin-guide/sysfs-rules.rst)."""

from __future__ import annotations

import os

# An attribute is at most a page (Documentation/filesystems/sysfs.rst).
PAGE = 4096


def read_attribute(path: str) -> str:
    """An attribute's value, empty where the device has none or the driver does not say.

    Looking at all devices takes hundreds of these, and a file object costs several times what it is to read for.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(descriptor, PAGE).decode("utf-8", "replace").strip()
    except OSError:
        return ""
    finally:
        os.close(descriptor)

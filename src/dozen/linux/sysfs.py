"""What sysfs says about a device: small files with one value each (Documentation/admin-guide/sysfs-rules.rst)."""

from __future__ import annotations


def read_attribute(path: str) -> str:
    """An attribute's value, empty where the device has none or the driver does not say."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""

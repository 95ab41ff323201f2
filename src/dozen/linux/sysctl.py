"""Kernel parameters: files below /proc/sys and /sys that hold a value each.

A parameter's *name* begins with ``proc.sys.`` or ``sys.``; the rest is as sysctl(8) reads it: dots separate, unless the
first separator is a slash, in which case dots are part of the names (``net/ipv4/conf/eth0.100/rp_filter``).
"""

from __future__ import annotations

import os

ROOTS = (("proc.sys.", "/proc/sys/"), ("sys.", "/sys/"))


class UnknownParameter(ValueError):
    """A name that cannot be a kernel parameter."""


def find_path(name: str) -> str:
    """The file of a parameter; raises `UnknownParameter` for a name outside the two trees."""
    prefix, root = next(((p, r) for p, r in ROOTS if name.startswith(p)), ("", ""))
    if not root:
        raise UnknownParameter(f"{name!r} begins neither with proc.sys. nor with sys.")
    rest = name[len(prefix) :]
    dot, slash = rest.find("."), rest.find("/")
    if slash < 0 or 0 <= dot < slash:
        # dots separate, so a slash stands for a dot that is part of a name
        rest = rest.translate({ord("."): "/", ord("/"): "."})
    if not rest or any(part in ("", ".", "..") for part in rest.split("/")):
        raise UnknownParameter(f"{name!r} is no parameter's name")
    return root + rest


def read_parameter(name: str) -> str:
    """The value without its line end; raises `UnknownParameter` or OSError."""
    with open(find_path(name), encoding="utf-8", errors="replace") as file:
        return file.read().rstrip("\n")


def write_parameter(name: str, value: str) -> None:
    """Set the value; raises `UnknownParameter` or OSError."""
    # one write, as the kernel takes each write for a whole value
    descriptor = os.open(find_path(name), os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode() + b"\n")
    finally:
        os.close(descriptor)

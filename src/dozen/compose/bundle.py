"""Writes bundles: the bytecode of many modules in one file, which `launcher/bundle.c` imports from.

All numbers are little-endian and 32 bits wide, all offsets count from the beginning of the file:

    "DOZENPY1", number of modules, size of the index (all that stands before the code)
    for each module, in the order of the names: offset of its name, 1 for a package or 0, offset and size of its code
    the names, each ended by a zero byte
    the code of each module as marshal writes it, without the header of a .pyc

A directory with modules in it but without an ``__init__`` is a package, too; it has no code.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

MAGIC = b"DOZENPY1"
PYC_HEADER = 16
_HEADER = struct.Struct("<8sII")
_ENTRY = struct.Struct("<IIII")


def module_name(path: str) -> tuple[str, bool]:
    """``asyncio/__init__.py`` → ``("asyncio", True)``: the name, and whether it is a package."""
    parts = path.removesuffix(".py").split("/")
    package = parts[-1] == "__init__"
    return ".".join(parts[:-1] if package else parts), package


def make_bundle(modules: Mapping[str, bytes]) -> bytes:
    """``modules``: path below the search directory, ending in ``.py`` → its .pyc."""
    code = {module_name(path): pyc[PYC_HEADER:] for path, pyc in modules.items()}
    names = {name for name, _ in code}
    for name in tuple(names):
        while (name := name.rpartition(".")[0]) and name not in names:
            names.add(name)
            code[name, True] = b""
    ordered = sorted(code, key=lambda each: each[0].encode())
    texts = [name.encode() + b"\0" for name, _ in ordered]
    text_at = _HEADER.size + _ENTRY.size * len(ordered)
    index_size = code_at = text_at + sum(map(len, texts))
    entries = []
    for key, text in zip(ordered, texts, strict=True):
        entries.append(_ENTRY.pack(text_at, int(key[1]), code_at, len(code[key])))
        text_at += len(text)
        code_at += len(code[key])
    head = _HEADER.pack(MAGIC, len(ordered), index_size)
    return b"".join((head, *entries, *texts, *(code[key] for key in ordered)))


def read_bundle(data: bytes) -> dict[str, tuple[bool, bytes]]:
    """Name → (is a package, code)."""
    _, count, _ = _HEADER.unpack_from(data)
    found = {}
    for number in range(count):
        name, package, code, size = _ENTRY.unpack_from(data, _HEADER.size + _ENTRY.size * number)
        found[data[name : data.index(b"\0", name)].decode()] = (bool(package), data[code : code + size])
    return found

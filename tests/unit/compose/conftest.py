"""Fakes for the composer's tests: an ELF writer, a package writer, and a cache of their own."""

from __future__ import annotations

import io
import json
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dozen.compose.tree import Entry, Tree, Why
from dozen.compose.unpack import Package, PackageFile, read_file

MakeElf = Callable[..., bytes]
MakePackage = Callable[..., Package]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("DOZEN_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def make_elf() -> MakeElf:
    return build_elf


def build_elf(
    needed: tuple[str, ...] = (),
    *,
    soname: str = "",
    program: bool = False,
    interpreter: str = "",
    runpath: str = "",
    dlopen: tuple[tuple[str, ...], ...] = (),
    mark: str = "",
) -> bytes:
    """A 64-bit ELF file with just the parts that a linker's reader looks at. ``mark`` makes its content unique."""
    strings = bytearray(b"\0")

    def text(value: str) -> int:
        strings.extend(value.encode() + b"\0")
        return len(strings) - len(value.encode()) - 1

    tags = [(1, text(name)) for name in needed]
    tags += [(14, text(soname))] if soname else []
    tags += [(29, text(runpath))] if runpath else []
    tags += [(0x6FFFFFFB, 0x08000000)] if program else []
    text(mark)
    notes = [{"soname": list(names), "feature": "f", "description": "d", "priority": "suggested"} for names in dlopen]
    note = json.dumps(notes).encode() + b"\0" if notes else b""
    note_data = struct.pack("<III", 4, len(note), 0x407C0C0A) + b"FDO\0" + note if notes else b""
    base = 64 + 56 * 4
    place = interpreter.encode() + b"\0"
    string_at = base + len(place)
    dynamic_at = string_at + len(strings)
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in [*tags, (5, string_at), (0, 0)])
    note_at = dynamic_at + len(dynamic)
    total = note_at + len(note_data)
    headers = [(1, 0, total), (2, dynamic_at, len(dynamic)), (4, note_at, len(note_data))]
    headers.insert(0, (3, base, len(place)) if interpreter else (6, 0, 0))
    head = b"\x7fELF\x02\x01\x01" + b"\0" * 9
    head += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, len(headers), 64, 0, 0)
    table = b"".join(struct.pack("<IIQQQQQQ", kind, 4, at, at, at, size, size, 1) for kind, at, size in headers)
    return head + table + place + bytes(strings) + dynamic + note_data


@pytest.fixture(scope="session")
def make_deb() -> Callable[..., bytes]:
    return build_deb


def build_deb(
    files: dict[str, bytes], links: dict[str, str] | None = None, modes: dict[str, int] | None = None
) -> bytes:
    """A Debian package as dpkg-deb writes one: ``ar`` with a version, a control part and packed files."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size, info.mode = len(content), (modes or {}).get(name, 0o644)
            tar.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(f"./{name}")
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    archive = bytearray(b"!<arch>\n")
    members = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": data.getvalue()}
    for name, content in members.items():
        archive += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode() + content
        archive += b"\n" * (len(content) % 2)
    return bytes(archive)


@pytest.fixture
def make_package() -> MakePackage:
    """A package's listing from contents; a ``str`` value is a link's target."""

    def make(name: str, files: dict[str, bytes | str], version: str = "1.0-1") -> Package:
        listed = [
            PackageFile(path, target=content) if isinstance(content, str) else read_file(path, content)
            for path, content in sorted(files.items())
        ]
        return Package(name, version, tuple(listed))

    return make


@pytest.fixture
def put() -> Callable[..., Entry]:
    """Adds an ordinary, explained file to a tree."""

    def add(tree: Tree, path: str, content: bytes = b"data", *, mode: int = 0o644, why: Why | None = None) -> Entry:
        file = read_file(path, content)
        reason = why or Why("some", "It is needed.", "pkg", "1.0", "MIT")
        entry = Entry(path, "file", mode, reason, file.size, file.sha256, elf=file.elf)
        tree.add(entry)
        return entry

    return add

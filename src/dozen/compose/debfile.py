"""Unpacks Debian packages without dpkg: an ``ar`` archive that holds a tar of the files.

Only the data part is read. Maintainer scripts are never run, neither for the image nor for the toolroot.
"""

from __future__ import annotations

import io
import lzma
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import zstandard

from dozen.compose.errors import ComposeError

MAGIC = b"!<arch>\n"
HEADER = 60


def open_data(path: Path) -> tarfile.TarFile:
    """The package's files as a tar stream, to be read once from front to back."""
    for name, data in read_members(path.read_bytes(), path.name):
        if name.startswith("data.tar"):
            return tarfile.open(fileobj=_open_packed(name, data), mode="r|", format=tarfile.GNU_FORMAT)
    raise ComposeError(f"{path} is no Debian package (it has no data.tar): remove it and run again")


def read_members(archive: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each member of an ``ar`` archive (ar(5), common format)."""
    if not archive.startswith(MAGIC):
        raise ComposeError(f"{name} is no ar archive: remove it and run again")
    offset = len(MAGIC)
    while offset + HEADER <= len(archive):
        header = archive[offset : offset + HEADER]
        try:
            size, member = int(header[48:58]), header[:16].decode().strip().rstrip("/")
        except ValueError:
            size, member = -1, ""
        if size < 0:
            raise ComposeError(f"{name} is a damaged ar archive: remove it and run again")
        offset += HEADER
        yield member, archive[offset : offset + size]
        offset += size + (size & 1)


def _open_packed(name: str, data: bytes) -> IO[bytes]:
    if name.endswith(".xz"):
        return lzma.open(io.BytesIO(data))
    if name.endswith(".zst"):
        return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True)
    if name.endswith(".tar"):
        return io.BytesIO(data)
    raise ComposeError(f"a Debian package packs its files as {name}, which is not known here")


def extract_all(path: Path, root: Path) -> None:
    """Lay a package's files into ``root`` as they are, through the links of a merged /usr that are there already.

    Owners and set-id bits are dropped: a toolroot needs neither, and a user's extraction could not keep them.
    """
    with open_data(path) as tar:
        for member in tar:
            target = safe_join(root, member.name)
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_symlink() and target.is_dir():
                continue
            target.unlink(missing_ok=True)
            if member.issym():
                target.symlink_to(member.linkname)
            elif member.islnk():
                target.hardlink_to(safe_join(root, member.linkname))
            elif member.isfile():
                stream = tar.extractfile(member)
                target.write_bytes(stream.read() if stream else b"")
                target.chmod(0o755 if member.mode & 0o111 else 0o644)


def safe_join(root: Path, name: str) -> Path:
    """``name`` below ``root``. Raises ComposeError when it would lead outside."""
    relative = name.removeprefix("./").lstrip("/")
    if ".." in relative.split("/"):
        raise ComposeError(f"a package holds the path {name!r}, which leads outside of the tree")
    return root / relative

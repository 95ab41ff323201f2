"""Where results are kept between builds, and how they are named.

Everything in the cache is named by the hash of what it was made from (an idea of osbuild's stages): a name that exists
is a result that can be used, and nothing ever has to be invalidated. Results appear under their name in one rename, so
an interrupted build leaves only a ``.part`` behind.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHUNK = 1 << 20


def cache_dir() -> Path:
    """``$DOZEN_CACHE``, or ``dozen`` in the user's cache directory."""
    chosen = os.environ.get("DOZEN_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "dozen"


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def hash_bytes(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def stage_key(*parts: str | bytes) -> str:
    """The name of a result made from these inputs; parts are length-prefixed, so no two lists run together."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.hexdigest()


def hash_sources(root: Path, patterns: tuple[str, ...] = ("**/*",)) -> str:
    """One hash over the names and contents of the files below ``root`` that match, caches of interpreters aside."""
    parts: list[str | bytes] = []
    for path in sorted({found for pattern in patterns for found in root.glob(pattern)}):
        if path.is_file() and "__pycache__" not in path.parts:
            parts += [str(path.relative_to(root)), path.read_bytes()]
    return stage_key(*parts)


@contextmanager
def fresh_directory(final: Path) -> Iterator[Path]:
    """A new directory to fill; it becomes ``final`` if the block ends well and is removed otherwise.

    When somebody else made ``final`` meanwhile, theirs stays: same name, same inputs, same content.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{final.name[:16]}.", suffix=".part", dir=final.parent))
    part.chmod(0o755)
    try:
        yield part
        try:
            part.rename(final)
        except OSError:
            if not final.is_dir():
                raise
    finally:
        if part.exists():
            shutil.rmtree(part)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old content or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:16]}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        Path(name).chmod(0o644)
        Path(name).rename(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder: who else wants to make something in it waits until this is done."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)

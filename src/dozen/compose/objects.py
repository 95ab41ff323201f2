"""The contents of files, kept once each under their SHA-256.

Whatever goes into an image (a package's file, a compiled module, a generated index) first becomes an object here; a
tree then only says which object is found at which path.
"""

from __future__ import annotations

import os
from pathlib import Path

from dozen.compose.cache import cache_dir, hash_bytes
from dozen.compose.errors import ComposeError


def object_path(sha256: str) -> Path:
    return cache_dir() / "objects" / sha256[:2] / sha256


def put_object(data: bytes) -> str:
    """Keep a content; returns its name."""
    name = hash_bytes(data)
    path = object_path(name)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{name}.{os.getpid()}.part")
        part.write_bytes(data)
        part.chmod(0o444)
        part.rename(path)
    return name


def get_object(sha256: str) -> bytes:
    """Raises ComposeError when the cache was emptied under a running build."""
    try:
        return object_path(sha256).read_bytes()
    except FileNotFoundError as error:
        raise ComposeError(
            f"the cache lost {sha256} while it was in use: remove {cache_dir()}/unpacked and run again"
        ) from error

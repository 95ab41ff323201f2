"""The project's packages: the lock beside the recipes, with every package of it in the cache.

When a mirror no longer has a pinned version, the replacement is remembered in the cache (not in the project), so that
the next build finds it without asking the mirror again; refreshing the lock makes it forgotten.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec

from dozen.compose.cache import cache_dir, hash_file, write_whole
from dozen.compose.console import Console
from dozen.compose.downloads import download_all, download_path
from dozen.compose.errors import LockError
from dozen.compose.lock import Lock, Pin, describe_changes, open_archive, read_lock, replace_gone, to_wanted
from dozen.compose.mirrors import find_mirrors

Part = Literal["image", "toolroot", "containers"]


def project_root() -> Path:
    """The checkout that this module is part of: a build needs recipes and sources, so it needs a checkout."""
    root = Path(__file__).resolve().parents[3]
    if not (root / "recipes").is_dir():
        raise LockError(f"{root} has no recipes: images are composed from a checkout of the project")
    return root


def lock_path() -> Path:
    return project_root() / "recipes" / "lock.json"


def replaced_path(lock_file: Path) -> Path:
    """Where replacements for this very lock are remembered."""
    return cache_dir() / "replaced" / f"{hash_file(lock_file)[:32]}.json"


def project_lock() -> Lock:
    """The lock in force: the committed one, or what replaced it after versions were gone from the mirror."""
    committed = read_lock(lock_path())
    replaced = replaced_path(lock_path())
    return read_lock(replaced) if replaced.exists() else committed


def is_replaced() -> bool:
    return replaced_path(lock_path()).exists()


def obtain(lock: Lock, part: Part, console: Console, *, strict: bool = False) -> Lock:
    """Have all packages of one part in the cache; returns the lock that was used, which may have newer versions.

    ``strict`` (a release): raises LockError instead of taking another version.
    """
    if strict and is_replaced():
        raise LockError(_refusal("versions of the lock were gone and have been replaced on this machine"))
    for _ in range(2):
        pins: tuple[Pin, ...] = getattr(lock, part)
        missing = [pin for pin in pins if not download_path(pin.sha256).exists()]
        if not missing:
            return lock
        mirrors = find_mirrors(os.environ)
        by_hash = {pin.sha256: pin for pin in missing}
        gone = download_all((to_wanted(pin, mirrors) for pin in missing), console, f"packages of the {part}")
        if not gone:
            return lock
        lost = [by_hash[wanted.sha256] for wanted, _error in gone]
        names = ", ".join(f"{pin.name} {pin.version}" for pin in lost)
        if strict:
            raise LockError(_refusal(f"gone from the mirror: {names}"))
        index, _release = open_archive(console, mirrors)
        lock, changed = replace_gone(lock, index, lost)
        if not changed:
            raise LockError(f"{names}: the mirror's index still names it but the mirror does not have it; try later")
        for line in describe_changes(changed):
            console.warn(line)
        write_whole(replaced_path(lock_path()), msgspec.json.encode(lock))
    return obtain(lock, part, console)


def _refusal(why: str) -> str:
    return f"{why}; a release is built from locked versions only. Refresh the lock (`make lock`), look at it, commit it"

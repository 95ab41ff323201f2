"""The lock: which exact packages an image is made from, and how it is refreshed.

``recipes/lock.json`` pins every Debian package by version and hash, without the name of any server. Three sets are kept
apart: ``image`` (what files of the image come from), ``toolroot`` (what is run to build it) and ``containers`` (what
container images take beside that). The date of the signed index is the build's clock: every time stamp in an image is
that date, so the same lock gives the same bits.

Mirrors drop old versions. For a development build, `replace_gone` then takes the newest signed version of every package
of the same source (libraries of one source must fit each other); a release build refuses.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from dozen.compose.archive import SUITE, Index, Release, Stanza, load_index
from dozen.compose.cache import write_whole
from dozen.compose.console import Console
from dozen.compose.depends import resolve_depends
from dozen.compose.downloads import Wanted, fetch_small, fetch_verified
from dozen.compose.errors import Gone, LockError, SourceError
from dozen.compose.mirrors import Mirrors, accepts_expired, find_mirrors

FORMAT = 1
BY_HASH = "/by-hash/SHA256/"


class Pin(msgspec.Struct, frozen=True, omit_defaults=True):
    """One package. ``path`` is below the archive's base; ``follows`` is the metapackage whose dependency it was."""

    name: str
    version: str
    archive: str
    path: str
    size: int
    sha256: str
    source: str
    follows: str = ""


class Lock(msgspec.Struct, frozen=True):
    """The file's content. ``epoch``: seconds since 1970, the build's clock."""

    format: int
    suite: str
    release: str
    epoch: int
    image: tuple[Pin, ...]
    toolroot: tuple[Pin, ...]
    containers: tuple[Pin, ...] = ()

    def find(self, name: str) -> Pin | None:
        """The image's package of that name (or the one that follows it)."""
        return next((pin for pin in self.image if name in (pin.name, pin.follows)), None)


def read_lock(path: Path) -> Lock:
    """Raises LockError when it is missing or of another format."""
    try:
        lock = msgspec.json.decode(path.read_bytes(), type=Lock)
    except FileNotFoundError as error:
        raise LockError(f"{path} does not exist: make one with `python -m dozen.compose lock`") from error
    except msgspec.DecodeError as error:
        raise LockError(f"{path} cannot be read ({error}): restore it, or refresh it with the command lock") from error
    if lock.format != FORMAT or lock.suite != SUITE:
        raise LockError(f"{path} has format {lock.format} for {lock.suite}: refresh it with the command lock")
    return lock


def write_lock(path: Path, lock: Lock) -> None:
    text = msgspec.json.format(msgspec.json.encode(lock), indent=1)
    write_whole(path, text + b"\n")


def open_archive(console: Console, mirrors: Mirrors | None = None) -> tuple[Index, Release]:
    """Read and verify the suite's indexes; security updates too where the mirror has them."""
    mirrors = mirrors or find_mirrors(os.environ)

    def fetch(archive: str, path: str) -> bytes:
        address = f"{mirrors.base(archive)}/{path}"
        if BY_HASH in path:
            return fetch_verified(address, path, path.rpartition("/")[2])
        return fetch_small(address, path)

    console.say(f"reading the signed index of {SUITE}")
    suites = [("debian", SUITE)]
    try:
        fetch("debian-security", f"dists/{SUITE}-security/InRelease")
        suites.append(("debian-security", f"{SUITE}-security"))
    except (Gone, SourceError) as error:
        console.warn(f"going on without security updates: {error}")
    return load_index(fetch, suites, now=time.time(), expired=accepts_expired(os.environ))


def make_lock(
    index: Index,
    release: Release,
    image: Iterable[str],
    follow: Iterable[str],
    tools: Iterable[str],
    containers: Iterable[str] = (),
) -> Lock:
    """Pin the newest: ``image`` by name, ``follow`` by what the metapackage stands for, ``tools`` with dependencies,
    ``containers`` by name, those that are not in ``image``.
    """
    pins = [to_pin(index.find(name)) for name in sorted(set(image))]
    pins += [follow_meta(index, name) for name in sorted(set(follow))]
    toolroot = [to_pin(stanza) for stanza in resolve_depends(index, sorted(set(tools)))]
    more = [to_pin(index.find(name)) for name in sorted(set(containers) - {pin.name for pin in pins})]
    return Lock(FORMAT, SUITE, release.version, release.epoch, tuple(pins), tuple(toolroot), tuple(more))


def to_pin(stanza: Stanza, follows: str = "") -> Pin:
    return Pin(
        stanza.name, stanza.version, stanza.archive, stanza.path, stanza.size, stanza.sha256, stanza.source, follows
    )


def follow_meta(index: Index, name: str) -> Pin:
    """The package that a metapackage stands for at present (``linux-image-cloud-amd64``: the newest kernel)."""
    first = index.find(name).depends.split(",")[0].split("(")[0].strip()
    return to_pin(index.find(first), follows=name)


def to_wanted(pin: Pin, mirrors: Mirrors) -> Wanted:
    return Wanted(f"{pin.name} {pin.version}", f"{mirrors.base(pin.archive)}/{pin.path}", pin.size, pin.sha256)


def replace_gone(lock: Lock, index: Index, gone: Iterable[Pin]) -> tuple[Lock, dict[str, tuple[str, str]]]:
    """The lock with all packages of the gone ones' sources at their newest; and name → (old, new) of what changed."""
    sources = {pin.source for pin in gone}
    changed: dict[str, tuple[str, str]] = {}

    def renew(pin: Pin) -> Pin:
        if pin.source not in sources:
            return pin
        new = follow_meta(index, pin.follows) if pin.follows else to_pin(index.find(pin.name))
        if new.version != pin.version:
            changed[pin.name] = (pin.version, new.version)
        return new

    image = tuple(renew(pin) for pin in lock.image)
    toolroot = tuple(renew(pin) for pin in lock.toolroot)
    containers = tuple(renew(pin) for pin in lock.containers)
    return msgspec.structs.replace(lock, image=image, toolroot=toolroot, containers=containers), changed


def describe_changes(changed: Mapping[str, tuple[str, str]]) -> list[str]:
    """One sentence for each replaced package."""
    return [
        f"{name} {old} is gone from the mirror (archives drop old versions): taking the newest signed one, {new}"
        for name, (old, new) in sorted(changed.items())
    ]

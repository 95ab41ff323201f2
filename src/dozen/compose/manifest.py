"""The manifest: every path of an image with what it is, where it comes from, and why it is there.

One copy is beside the image, one inside (for `dozenctl why -n`). The copy inside cannot hold its own hash, so that one
entry has none. Bills of materials are in `sbom`.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from dozen import __version__
from dozen.compose.budget import binaries
from dozen.compose.lock import Lock, Pin
from dozen.compose.objects import put_object
from dozen.compose.tree import Entry, Tree, Why

PATH = "/usr/share/dozen/manifest.json"
FORMAT = 1
WHY = Why(
    "dozen", "This list: answers why any file is here, also on the running node.", "dozen", __version__, "Apache-2.0"
)


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """One path of the manifest. ``mode`` is octal text; ``target`` of links; ``wanted_by`` names files."""

    path: str
    kind: str
    mode: str
    recipe: str
    reason: str
    size: int = 0
    sha256: str = ""
    target: str = ""
    package: str = ""
    version: str = ""
    licence: str = ""
    wanted_by: tuple[str, ...] = ()


class Manifest(msgspec.Struct, frozen=True):
    """The whole list. ``suite``, ``release`` and ``epoch`` say which signed archive it was made from."""

    format: int
    version: str
    suite: str
    release: str
    epoch: int
    binaries: int
    names: int
    files: tuple[Record, ...]

    def find(self, path: str) -> Record | None:
        """The record of an absolute path."""
        return next((record for record in self.files if record.path == path), None)


def to_record(entry: Entry) -> Record:
    why = entry.why
    return Record(
        path=entry.path,
        kind=entry.kind,
        mode=f"{entry.mode:04o}",
        recipe=why.recipe,
        reason=why.reason,
        size=entry.size,
        sha256=entry.sha256,
        target=entry.target,
        package=why.package,
        version=why.version,
        licence=why.licence,
        wanted_by=entry.wanted_by,
    )


def make_manifest(tree: Tree, lock: Lock) -> Manifest:
    records = [to_record(entry) for entry in sorted(tree.entries.values(), key=lambda entry: entry.path)]
    places = Counter(record.path.rpartition("/")[0] for record in records if record.kind != "directory")
    programs = len({entry.sha256 for entry in binaries(tree)})
    names = places["/bin"] + places["/sbin"]
    return Manifest(FORMAT, __version__, lock.suite, lock.release, lock.epoch, programs, names, tuple(records))


def add_manifest(tree: Tree, lock: Lock) -> Manifest:
    """Put the manifest into the tree that it describes; returns it."""
    tree.add(Entry(PATH, "file", 0o644, WHY))
    manifest = make_manifest(tree, lock)
    data = encode_manifest(manifest)
    tree.replace(Entry(PATH, "file", 0o644, WHY, size=len(data), sha256=put_object(data)))
    return manifest


def encode_manifest(manifest: Manifest) -> bytes:
    return msgspec.json.encode(manifest) + b"\n"


def decode_manifest(data: bytes) -> Manifest:
    return msgspec.json.decode(data, type=Manifest)


def used_pins(manifest: Manifest, lock: Lock) -> list[Pin]:
    """The packages of the lock that have a file in the image (the kernel itself aside)."""
    names = {record.package for record in manifest.files}
    return [pin for pin in lock.image if pin.name in names]

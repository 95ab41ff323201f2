"""The image cache: a file system that holds container images as containerd keeps them, ready to be run.

To import an image takes hashing and unpacking all of it, more than a minute on a slow machine and seconds on a fast
one, at the first boot of each node. So it is done once, here: the cache holds what containerd's own folder would hold
afterwards, that is blobs, unpacked layers, and the two databases that say which image is made of which (docs/adr). A
node copies the databases, which are small, and refers to the rest where it is.

The databases' content is that of containerd's metadata store (metadata/buckets.go, snapshots/storage/bolt.go), in the
version that containerd 1.7 writes; other versions read it and bring it up to date. Each containerd namespace has
records of its own; the files are there once for all of them.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from dozen.compose.archives import write_tar
from dozen.compose.bolt import Bucket, make_database
from dozen.compose.cache import hash_bytes
from dozen.compose.container_images import CNI
from dozen.compose.objects import put_object
from dozen.compose.oci import MANIFEST, BuiltImage, BuiltLayer
from dozen.compose.toolroot import ToolRoot
from dozen.compose.tree import Entry, Tree, Why
from dozen.machinery import imagecache
from dozen.machinery.imagecache import (
    CONTAINERD,
    LABEL,
    LISTING,
    MANAGED,
    PINNED,
    PLUGINS,
    SNAPSHOTTER,
    chain_ids,
)

# The node's own containers and Kubernetes' (see dozen.node.containers).
NAMESPACES = ("k8s.io", "system")
METADATA = f"{CONTAINERD}/{imagecache.METADATA}/meta.db"
BLOBS = f"{CONTAINERD}/{imagecache.BLOBS}"
SNAPSHOTS = f"{CONTAINERD}/{imagecache.SNAPSHOTS}"

# metadata/db.go: the version of containerd 1.7.
_DATABASE_VERSION = 3
# snapshots/snapshotter.go.
_COMMITTED = 3
_SECONDS_BEFORE_1970 = 62135596800


class Listed(msgspec.Struct, frozen=True):
    """An image of the cache, as its listing has it: ``size`` is that of all its blobs."""

    name: str
    digest: str
    size: int


class Snapshot(NamedTuple):
    """An unpacked stack of layers. ``id`` is its folder, ``parent`` the name of the stack below."""

    namespace: str
    chain: str
    parent: str
    id: int
    layer: BuiltLayer

    @property
    def key(self) -> str:
        """Its name in the snapshotter: names of namespaces are kept apart by a number, which may be the folder's."""
        return f"{self.namespace}/{self.id}/{self.chain}"


def list_images(images: Iterable[BuiltImage]) -> list[Listed]:
    return [
        Listed(
            image.name, image.digest, len(image.manifest) + len(image.config) + sum(each.size for each in image.layers)
        )
        for image in images
    ]


def number_snapshots(images: Sequence[BuiltImage]) -> list[Snapshot]:
    """Every stack of layers of every image once for each namespace, the lower before the higher."""
    found: dict[tuple[str, str], Snapshot] = {}
    for namespace in NAMESPACES:
        for image in images:
            parent = ""
            chains = chain_ids([layer.diff_id for layer in image.layers])
            for chain, layer in zip(chains, image.layers, strict=True):
                new = Snapshot(namespace, chain, parent, len(found) + 1, layer)
                found.setdefault((namespace, chain), new)
                parent = chain
    return list(found.values())


def make_store(images: Sequence[BuiltImage], epoch: int) -> Tree:
    """The tree of the cache."""
    tree = Tree()
    snapshots = number_snapshots(images)
    _add(tree, LISTING, msgspec.json.format(msgspec.json.encode(list_images(images)), indent=1) + b"\n")
    _add(tree, METADATA, make_database({b"v1": _metadata(images, snapshots, epoch)}))
    _add(tree, f"{SNAPSHOTS}/metadata.db", make_database({b"v1": _snapshotter(snapshots, epoch)}))
    for digest, content in _blobs(images).items():
        _add(tree, f"{BLOBS}/{digest.removeprefix('sha256:')}", content)
    folders: dict[str, int] = {}
    for snapshot in snapshots:
        first = folders.setdefault(snapshot.chain, snapshot.id)
        if first == snapshot.id:
            _add_layer(tree, f"{SNAPSHOTS}/snapshots/{first}/fs", snapshot.layer)
        else:
            why = Why("images", "The same files for another namespace of containerd.")
            tree.add(Entry(f"{SNAPSHOTS}/snapshots/{snapshot.id}", "link", 0o777, why, target=str(first)))
    return tree


def pack_store(tree: Tree, epoch: int, tools: ToolRoot, out: Path) -> None:
    """Write the cache as a file system with the label that a node looks for."""
    content = [(entry.path, entry.kind, entry.mode, entry.sha256, entry.target) for entry in tree.sorted()]
    identity = str(uuid.UUID(hash_bytes(msgspec.json.encode(content))[:32]))
    with tempfile.TemporaryDirectory(prefix=".pack-", dir=out.parent) as scratch:
        work = Path(scratch)
        write_tar(tree, epoch, work / "tar")
        options = ("--quiet", "--tar=f", f"-T{epoch}", f"-U{identity}", f"-L{LABEL}", "-x-1")
        tools.run(["mkfs.erofs", *options, "/tmp/work/images.img", "/tmp/work/tar"], {work: "/tmp/work"})
        (work / "images.img").chmod(0o644)
        (work / "images.img").rename(out)


def _add(tree: Tree, path: str, content: bytes | Path) -> None:
    data = content.read_bytes() if isinstance(content, Path) else content
    tree.add(Entry(path, "file", 0o644, Why("images", "The image cache."), size=len(data), sha256=put_object(data)))


def _add_layer(tree: Tree, folder: str, layer: BuiltLayer) -> None:
    tree.add(Entry(folder, "directory", 0o755, Why("images", f"The layer {layer.name}.")))
    for entry in layer.tree.sorted():
        target = f"{folder}{entry.target}" if entry.kind == "hardlink" else entry.target
        path = f"{folder}{entry.path}"
        tree.add(msgspec.structs.replace(entry, path=path, target=target))
        if layer.name == CNI and entry.path.startswith("/plugins/"):
            plugin = f"{PLUGINS}/{entry.path.removeprefix('/plugins/')}"
            tree.add(msgspec.structs.replace(entry, path=plugin, kind="hardlink", target=path))


def _blobs(images: Iterable[BuiltImage]) -> dict[str, bytes | Path]:
    found: dict[str, bytes | Path] = {}
    for image in images:
        found[image.digest], found[image.config_digest] = image.manifest, image.config
        found.update({layer.digest: layer.path for layer in image.layers})
    return found


# -- The databases.


def _metadata(images: Sequence[BuiltImage], snapshots: Sequence[Snapshot], epoch: int) -> Bucket:
    times = _times(epoch)
    content: dict[bytes, bytes | Bucket] = {b"version": _varint(_DATABASE_VERSION)}
    for namespace in NAMESPACES:
        own = [snapshot for snapshot in snapshots if snapshot.namespace == namespace]
        sequence = max(snapshot.id for snapshot in own)
        records = {snapshot.chain.encode(): _snapshot_record(snapshot, own, times) for snapshot in own}
        content[namespace.encode()] = Bucket(
            {
                b"content": Bucket({b"blob": Bucket(_blob_records(images, times)), b"ingests": Bucket({})}),
                b"images": Bucket(_image_records(images, times)),
                b"leases": Bucket({}),
                b"snapshots": Bucket({SNAPSHOTTER.encode(): Bucket(records, sequence)}),
            }
        )
    return Bucket(content)


def _blob_records(images: Iterable[BuiltImage], times: dict[bytes, bytes]) -> dict[bytes, Bucket]:
    records: dict[bytes, Bucket] = {}

    def record(digest: str, size: int, labels: dict[str, str]) -> None:
        records[digest.encode()] = Bucket({**times, b"labels": _text(labels), b"size": _varint(size)})

    for image in images:
        # What garbage collection follows: from a manifest to its parts, from a configuration to what is unpacked.
        parts = {f"containerd.io/gc.ref.content.l.{at}": layer.digest for at, layer in enumerate(image.layers)}
        record(image.digest, len(image.manifest), {"containerd.io/gc.ref.content.config": image.config_digest, **parts})
        top = chain_ids([layer.diff_id for layer in image.layers])[-1]
        record(image.config_digest, len(image.config), {f"containerd.io/gc.ref.snapshot.{SNAPSHOTTER}": top})
        for layer in image.layers:
            record(layer.digest, layer.size, {"containerd.io/uncompressed": layer.diff_id})
    return records


def _image_records(images: Iterable[BuiltImage], times: dict[bytes, bytes]) -> dict[bytes, Bucket]:
    records: dict[bytes, Bucket] = {}
    for image in images:
        # The labels of the CRI plugin: it manages the image; a pinned one is never collected for want of space.
        labels = {MANAGED: "managed"}
        if image.pinned:
            labels[PINNED] = "pinned"
        target = {"digest": image.digest, "mediatype": MANIFEST}
        record = Bucket(
            {
                **times,
                b"labels": _text(labels),
                b"target": Bucket({**_text(target).content, b"size": _varint(len(image.manifest))}),
            }
        )
        # The CRI plugin knows an image by the hash of its configuration, too.
        records[image.name.encode()] = records[image.config_digest.encode()] = record
    return records


def _snapshot_record(snapshot: Snapshot, others: Iterable[Snapshot], times: dict[bytes, bytes]) -> Bucket:
    content: dict[bytes, bytes | Bucket] = {**times, b"name": snapshot.key.encode()}
    if snapshot.parent:
        content[b"parent"] = snapshot.parent.encode()
    children = {other.chain.encode(): b"" for other in others if other.parent == snapshot.chain}
    if children:
        content[b"children"] = Bucket(children)
    return Bucket(content)


def _snapshotter(snapshots: Sequence[Snapshot], epoch: int) -> Bucket:
    times = _times(epoch)
    places = {(snapshot.namespace, snapshot.chain): snapshot for snapshot in snapshots}
    records: dict[bytes, Bucket] = {}
    parents: dict[bytes, bytes] = {}
    for snapshot in snapshots:
        entries = list(snapshot.layer.tree.entries.values())
        record: dict[bytes, bytes | Bucket] = {
            **times,
            b"id": _uvarint(snapshot.id),
            b"kind": bytes((_COMMITTED,)),
            b"inodes": _varint(len(entries)),
            b"size": _varint(sum(entry.size for entry in entries)),
        }
        if snapshot.parent:
            parent = places[snapshot.namespace, snapshot.parent]
            record[b"parent"] = parent.key.encode()
            parents[_uvarint(parent.id) + b"\0" + _uvarint(snapshot.id)] = snapshot.key.encode()
        records[snapshot.key.encode()] = Bucket(record)
    return Bucket({b"snapshots": Bucket(records, len(snapshots)), b"parents": Bucket(parents)})


def _times(epoch: int) -> dict[bytes, bytes]:
    """When a record was made, as Go writes a time: a version, seconds since the year 1, nanoseconds, UTC."""
    moment = b"\x01" + (epoch + _SECONDS_BEFORE_1970).to_bytes(8, "big") + bytes(4) + b"\xff\xff"
    return {b"createdat": moment, b"updatedat": moment}


def _text(values: dict[str, Any]) -> Bucket:
    return Bucket({name.encode(): str(value).encode() for name, value in values.items()})


def _uvarint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def _varint(number: int) -> bytes:
    """Go's form for numbers with a sign; ours have none."""
    return _uvarint(number << 1)

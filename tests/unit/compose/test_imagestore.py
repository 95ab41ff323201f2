"""The image cache: what containerd is told, and that all that it is told is there."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from dozen.compose import container_images, imagestore
from dozen.compose.components import PROGRAMS
from dozen.compose.container_images import ContainerImage
from dozen.compose.imagestore import BLOBS, METADATA, SNAPSHOTS, make_store
from dozen.compose.objects import get_object, put_object
from dozen.compose.oci import BuiltImage, build_image, build_layer
from dozen.compose.tree import Entry, Tree, Why
from dozen.machinery.imagecache import chain_ids
from dozen.testing.bolt import read_database

EPOCH = 1_700_000_000


def tree_of(**files: bytes) -> Tree:
    tree = Tree()
    for name, data in files.items():
        path = f"/usr/local/bin/{name}"
        tree.add(Entry(path, "file", 0o755, Why("x", "y"), size=len(data), sha256=put_object(data)))
    return tree


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[BuiltImage]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    layers = {name: build_layer(name, tree_of(**{name: name.encode() * 1000}), EPOCH) for name in ("kube", "tools")}
    rows = (
        ContainerImage("registry.example/pause:1", ("tools",), ("/usr/local/bin/tools",), pinned=True),
        ContainerImage("registry.example/api:1", ("kube",), ("/api",), {"/api": "usr/local/bin/kube"}),
        ContainerImage("registry.example/kubelet:1", ("kube", "tools"), ("/kubelet",), {"/kubelet": "kube"}),
    )
    return [build_image(row, layers, EPOCH) for row in rows]


def content(tree: Tree, path: str) -> bytes:
    return get_object(tree.entries[path].sha256)


def namespaces(tree: Tree) -> dict[str, Any]:
    found = read_database(content(tree, METADATA))[b"v1"]
    assert found.pop(b"version") == b"\x06"
    return {name.decode(): records for name, records in found.items()}


def test_both_namespaces_know_every_image_by_name_and_by_its_configuration(images: list[BuiltImage]) -> None:
    spaces = namespaces(make_store(images, EPOCH))
    assert set(spaces) == {"k8s.io", "system"}
    for records in spaces.values():
        names = {image.name.encode() for image in images} | {image.config_digest.encode() for image in images}
        assert set(records[b"images"]) == names
        target = records[b"images"][images[0].name.encode()][b"target"]
        assert target[b"digest"] == images[0].digest.encode()
    pinned = spaces["k8s.io"][b"images"][b"registry.example/pause:1"][b"labels"]
    assert pinned == {b"io.cri-containerd.image": b"managed", b"io.cri-containerd.pinned": b"pinned"}


def test_garbage_collection_finds_its_way_from_an_image_to_all_its_parts(images: list[BuiltImage]) -> None:
    tree = make_store(images, EPOCH)
    records = namespaces(tree)["system"]
    blobs = records[b"content"][b"blob"]
    for image in images:
        labels = blobs[image.digest.encode()][b"labels"]
        layers = [layer.digest.encode() for layer in image.layers]
        assert list(labels.values()) == [image.config_digest.encode(), *layers]
        (top,) = blobs[image.config_digest.encode()][b"labels"].values()
        assert top == chain_ids([layer.diff_id for layer in image.layers])[-1].encode()
        assert top in records[b"snapshots"][b"overlayfs"]
        for digest in (image.digest, image.config_digest, *(layer.digest for layer in image.layers)):
            assert f"{BLOBS}/{digest.removeprefix('sha256:')}" in tree.entries


def test_each_stack_of_layers_is_known_to_both_databases_and_unpacked_once(images: list[BuiltImage]) -> None:
    tree = make_store(images, EPOCH)
    known = read_database(content(tree, f"{SNAPSHOTS}/metadata.db"))[b"v1"]
    snapshots = known[b"snapshots"]
    # tools; kube, kube + link; kube + tools, kube + tools + link: five stacks in each of two namespaces.
    assert snapshots.pop(None) == len(snapshots) == 10
    links = 0
    for space, records in namespaces(tree).items():
        stacks = records[b"snapshots"][b"overlayfs"]
        assert stacks.pop(None) >= len(stacks)
        for chain, record in stacks.items():
            own = snapshots[record[b"name"]]
            assert record[b"name"].endswith(b"/" + chain)
            assert record[b"name"].startswith(space.encode() + b"/")
            assert own[b"kind"] == b"\x03"
            entry = tree.entries[f"{SNAPSHOTS}/snapshots/{own[b'id'][0]}{'' if space == 'system' else '/fs'}"]
            links += entry.kind == "link"
            if b"parent" in record:
                parent = stacks[record[b"parent"]]
                assert own[b"parent"] == parent[b"name"]
                assert chain in parent[b"children"]
                key = snapshots[parent[b"name"]][b"id"] + b"\0" + own[b"id"]
                assert known[b"parents"][key] == record[b"name"]
    assert links == 5


def test_a_layer_is_what_its_names_say(images: list[BuiltImage]) -> None:
    (layer,) = images[0].layers
    packed = layer.path.read_bytes()
    assert layer.digest == f"sha256:{hashlib.sha256(packed).hexdigest()}"
    plain = zstandard.ZstdDecompressor().decompressobj().decompress(packed)
    assert layer.diff_id == f"sha256:{hashlib.sha256(plain).hexdigest()}"
    config = json.loads(images[0].config)
    assert config["rootfs"]["diff_ids"] == [layer.diff_id]
    assert config["config"]["Entrypoint"] == ["/usr/local/bin/tools"]


def test_equal_layers_are_shared_and_the_lowest(images: list[BuiltImage]) -> None:
    _, api, kubelet = images
    assert api.layers[0] == kubelet.layers[0]
    assert len(imagestore.number_snapshots(images)) == 10


def test_the_table_names_only_what_there_is() -> None:
    programs = {program.name for program in PROGRAMS} | {"pause"}
    layers = {layer.name: layer for layer in container_images.LAYERS}
    assert {name for layer in layers.values() for name in layer.programs.values()} == programs
    assert {name for image in container_images.IMAGES for name in image.layers} == set(layers)
    folders = Path(__file__).parents[3] / "images"
    wanted = {name for layer in layers.values() for name in layer.recipes}
    assert {path.name for path in folders.iterdir()} == wanted | {"libraries"}

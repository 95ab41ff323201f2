"""Makes container images as the OCI image specification has them: layers, a configuration, a manifest.

A layer is a tree like the root file system's, written as a reproducible tar and compressed. Everything is named by the
hash of its bytes, so an image of the same parts has the same name on every computer.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from dozen.compose.archives import write_tar
from dozen.compose.cache import cache_dir, hash_bytes, hash_file, stage_key
from dozen.compose.closure import add_libraries
from dozen.compose.container_images import ContainerImage, Layer
from dozen.compose.contents import Sources, add_recipe, file_entry
from dozen.compose.licences import add_licences
from dozen.compose.recipes import Recipe, Recipes
from dozen.compose.tree import Entry, Tree, Why
from dozen.compose.unpack import read_file

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+zstd"
# Three times faster than the next level for a tenth more bytes; what a node runs is unpacked already.
COMPRESSION = 3


class BuiltLayer(msgspec.Struct, frozen=True):
    """``diff_id`` names the uncompressed tar, ``digest`` the compressed one, which is ``size`` bytes at ``path``."""

    name: str
    tree: Tree
    diff_id: str
    digest: str
    size: int
    path: Path


class BuiltImage(msgspec.Struct, frozen=True):
    """An image: JSON documents and the layers that they name, from the lowest up."""

    name: str
    config: bytes
    manifest: bytes
    layers: tuple[BuiltLayer, ...]
    pinned: bool

    @property
    def config_digest(self) -> str:
        return f"sha256:{hash_bytes(self.config)}"

    @property
    def digest(self) -> str:
        return f"sha256:{hash_bytes(self.manifest)}"


def layer_tree(layer: Layer, programs: Mapping[str, Path], sources: Sources, licences: Mapping[str, str]) -> Tree:
    """What a layer holds: programs that were built, and what its recipes take from packages."""
    tree = Tree()
    for path, name in layer.programs.items():
        file = read_file(path.lstrip("/"), programs[name].read_bytes())
        why = Why(f"components/{name}", f"The program of the layer {layer.name}.", name, licence=licences[name])
        tree.add(file_entry(path, file, why, mode=0o755))
    for path, target in layer.links.items():
        tree.add(Entry(path, "link", 0o777, Why(f"components/{layer.name}", "Another name."), target=target))
    recipes = [recipe for recipe in sources.recipes.all if recipe.name in layer.recipes]
    for recipe in recipes:
        add_recipe(tree, recipe, sources)
    if recipes:
        add_libraries(tree, _with_libraries(sources, recipes), all_used=False)
        add_licences(tree, sources, [])
    return tree


def _with_libraries(sources: Sources, recipes: list[Recipe]) -> Sources:
    libraries = [recipe for recipe in sources.recipes.all if recipe.library and recipe not in recipes]
    chosen = Recipes(sources.recipes.root, (*recipes, *libraries), sources.recipes.key)
    return Sources(chosen, sources.packages, sources.launcher, sources.project)


def build_layer(name: str, tree: Tree, epoch: int) -> BuiltLayer:
    """The tree as a compressed tar, kept by the hash of what is in it."""
    content = [(entry.path, entry.kind, entry.mode, entry.sha256, entry.target) for entry in tree.sorted()]
    key = stage_key("layer", str(epoch), str(COMPRESSION), msgspec.json.encode(content))[:32]
    folder = cache_dir() / "layers"
    packed, about = folder / f"{key}.tar.zst", folder / f"{key}.diff_id"
    if not about.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".layer-", dir=folder) as scratch:
            plain = Path(scratch) / "tar"
            write_tar(tree, epoch, plain)
            _compress(plain, Path(scratch) / "zst")
            (Path(scratch) / "zst").rename(packed)
            diff_id = f"sha256:{hash_file(plain)}"
            (Path(scratch) / "diff_id").write_text(diff_id)
            (Path(scratch) / "diff_id").rename(about)
    digest = f"sha256:{hash_file(packed)}"
    return BuiltLayer(name, tree, about.read_text(), digest, packed.stat().st_size, packed)


def _compress(source: Path, target: Path) -> None:
    import zstandard

    with source.open("rb") as plain, target.open("wb") as packed:
        zstandard.ZstdCompressor(level=COMPRESSION).copy_stream(plain, packed, size=source.stat().st_size)


def build_image(image: ContainerImage, layers: Mapping[str, BuiltLayer], epoch: int) -> BuiltImage:
    """The image of a row, its own links as one more layer on top."""
    stack = [layers[name] for name in image.layers]
    if image.links:
        tree = Tree()
        for path, target in image.links.items():
            tree.add(Entry(path, "link", 0o777, Why("components", f"What {image.name} runs."), target=target))
        stack.append(build_layer(image.name, tree, epoch))
    config = _encode(_config(image, stack))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": f"sha256:{hashlib.sha256(config).hexdigest()}", "size": len(config)},
        "layers": [{"mediaType": LAYER, "digest": layer.digest, "size": layer.size} for layer in stack],
    }
    return BuiltImage(image.name, config, _encode(manifest), tuple(stack), image.pinned)


def _config(image: ContainerImage, stack: Sequence[BuiltLayer]) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "Entrypoint": list(image.entrypoint),
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "WorkingDir": "/",
    }
    if image.command:
        settings["Cmd"] = list(image.command)
    if image.user:
        settings["User"] = image.user
    return {
        "architecture": "amd64",
        "os": "linux",
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in stack]},
    }


def _encode(document: dict[str, Any]) -> bytes:
    return msgspec.json.encode(document, order="sorted")

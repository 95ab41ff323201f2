"""Composes the image cache from the table of container images: builds programs, layers, images, and packs the store."""

from __future__ import annotations

from pathlib import Path

import msgspec

from dozen.compose import packages
from dozen.compose.cache import hash_file, hash_sources, stage_key
from dozen.compose.components import PROGRAMS, build_pause, build_programs, programs_key
from dozen.compose.console import Console
from dozen.compose.container_images import IMAGES, LAYERS
from dozen.compose.contents import Sources
from dozen.compose.image import Artefact, describe_file
from dozen.compose.imagestore import make_store, pack_store
from dozen.compose.lock import Lock
from dozen.compose.oci import BuiltImage, build_image, build_layer, layer_tree
from dozen.compose.recipes import Recipes, load_recipes
from dozen.compose.toolroot import ToolRoot
from dozen.compose.unpack import unpack_package

FILE = "images.img"


class Mark(msgspec.Struct, frozen=True):
    """Which inputs the cache was made from, and what came of them."""

    key: str
    artefact: Artefact


def cache_key(project: Path, lock: Lock) -> str:
    """The hash of everything that the cache is made from."""
    source = project / "src" / "dozen"
    pins = [pin.sha256 for pin in (*lock.image, *lock.toolroot, *lock.containers)]
    return stage_key(
        *("image cache", str(lock.epoch), programs_key(), *pins),
        hash_sources(project / "images"),
        hash_sources(project / "components" / "pause"),
        hash_sources(source / "compose", ("*.py",)),
        hash_file(source / "machinery" / "imagecache.py"),
        hash_file(source / "machinery" / "kubernetes" / "versions.py"),
    )


def write_image_cache(project: Path, lock: Lock, tools: ToolRoot, out: Path, console: Console) -> Artefact:
    """Make ``images.img`` in ``out``, unless the one that is there is of the same inputs; beside it is what it is."""
    lock = packages.obtain(lock, "containers", console)
    target, mark = out / FILE, out / f".{FILE}.key"
    key = cache_key(project, lock)
    known = read_mark(mark, key, target)
    if known is not None:
        return known
    mark.unlink(missing_ok=True)
    images = build_images(project, lock, tools, console)
    console.say(f"images: {len(images)} images into {FILE}")
    pack_store(make_store(images, lock.epoch), lock.epoch, tools, target)
    made = describe_file(target)
    mark.write_bytes(msgspec.json.encode(Mark(key, made)))
    console.say(f"images: {FILE} {made.size / 1e6:.1f} MB")
    return made


def read_mark(mark: Path, key: str, target: Path) -> Artefact | None:
    """What the cache in ``target`` is, if it is whole and of these inputs: to hash it takes longer than all the rest of
    a build of which only the node's code has changed."""
    try:
        found = msgspec.json.decode(mark.read_bytes(), type=Mark)
        whole = target.stat().st_size == found.artefact.size
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return found.artefact if whole and found.key == key else None


def build_images(project: Path, lock: Lock, tools: ToolRoot, console: Console) -> list[BuiltImage]:
    """Every image of the table."""
    programs = {**build_programs(PROGRAMS, console), "pause": build_pause(tools)}
    licences = {"pause": "Apache-2.0", **{program.name: program.licence for program in PROGRAMS}}
    sources = image_sources(project, lock)
    layers = {
        layer.name: build_layer(layer.name, layer_tree(layer, programs, sources, licences), lock.epoch)
        for layer in LAYERS
    }
    return [build_image(image, layers, lock.epoch) for image in IMAGES]


def image_sources(project: Path, lock: Lock) -> Sources:
    """The recipes of container images with the node's libraries, and the packages of both."""
    own = load_recipes(project / "images")
    node = load_recipes(project / "recipes")
    libraries = [recipe for recipe in node.all if recipe.name == "libraries"]
    recipes = Recipes(own.root, (*own.all, *libraries), own.key)
    wanted = {*recipes.packages(), *own.packages()}
    found = {pin.name: unpack_package(pin) for pin in (*lock.image, *lock.containers) if pin.name in wanted}
    return Sources(recipes, found, project / "launcher", project)

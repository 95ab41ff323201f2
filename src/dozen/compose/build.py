"""Builds an image: recipes and lock in, bootable files out. Reads top to bottom.

Every step's result is named by the hash of its inputs and kept, so a build does only what changed; a build whose inputs
are all the same as the last one's does nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dozen import __version__
from dozen.compose import launcher, packages, toolroot
from dozen.compose.boot_files import extract_vmlinux, make_initramfs
from dozen.compose.budget import check_budget
from dozen.compose.cache import alone_in, hash_file, hash_sources, stage_key, write_whole
from dozen.compose.closure import add_libraries
from dozen.compose.console import Console
from dozen.compose.contents import Sources, add_recipe
from dozen.compose.errors import BudgetError, ComposeError
from dozen.compose.filesystems import Profile, lay_out, make_image
from dozen.compose.image import FILE, FORMAT, Artefact, Image, describe_file, read_image, write_image
from dozen.compose.imagecache import write_image_cache
from dozen.compose.imports import failing_imports
from dozen.compose.kernel_modules import Kernel, add_kernel
from dozen.compose.licences import add_licences
from dozen.compose.lock import Lock
from dozen.compose.manifest import Manifest, add_manifest, encode_manifest
from dozen.compose.objects import get_object, object_path
from dozen.compose.protos import ensure_descriptors
from dozen.compose.python_files import Python, add_python
from dozen.compose.recipes import Recipes, load_recipes
from dozen.compose.sbom import make_sbom
from dozen.compose.tree import Entry, Tree
from dozen.compose.unpack import is_complete, listing_path, unpack_package
from dozen.compose.wheels import Wheel, obtain_wheels

FILESYSTEMS: dict[Profile, str] = {"dev": "erofs", "release": "squashfs"}
# Security modules are named because the kernel would also start those that need a user space of their own. The kernel's
# own reports of its start (level 6) stay out of the console, which takes a quarter of a second for them; PID 1 lets its
# own through (`dozen.node.tasks.early.open_console`). A kernel argument behind these, loglevel=7, shows all. Huge pages
# are for programs that ask for them: where all get them, as Debian's kernel is set, three quarters of the memory of an
# idle control plane's programs is huge pages, many of them mostly empty.
CMDLINE = (
    "console=ttyS0 loglevel=6 panic=10 printk.devkmsg=on lsm=lockdown,yama,landlock,bpf "
    "transparent_hugepage=madvise dozen.root=/dev/vda"
)


@dataclass(slots=True)
class Context:
    """One build: its inputs, and what the steps have made so far."""

    profile: Profile
    out: Path
    console: Console
    project: Path
    recipes: Recipes
    lock: Lock
    key: str


def build_image(profile: Profile = "dev", out: Path | None = None, console: Console | None = None) -> Image:
    """Compose an image into ``out`` (default ``build/PROFILE`` of the checkout).

    Raises ComposeError, whose text says what is wrong and what to do.
    """
    console = console or Console()
    project = packages.project_root()
    out = (out or project / "build" / profile).resolve()
    out.mkdir(parents=True, exist_ok=True)
    with alone_in(out):
        ensure_descriptors()
        recipes = load_recipes(project / "recipes")
        key = input_key(project, recipes, profile)
        known = unchanged_image(out, key)
        if known is not None:
            console.say(f"image: nothing changed, {known.rootfs.name} is {known.rootfs.size / 1e6:.1f} MB")
            return known
        return compose(Context(profile, out, console, project, recipes, packages.project_lock(), key))


def compose(context: Context) -> Image:
    """All steps, in order."""
    start = time.monotonic()
    tools = prepare_tools(context)
    sources = gather_sources(context, tools)
    wheels = obtain_wheels(context.recipes.root / "python" / "node.txt", context.console)
    tree, kernel, python = make_tree(context, sources, wheels, tools)
    check_budget(tree, read_start)
    manifest = add_manifest(tree, context.lock)
    (context.out / FILE).unlink(missing_ok=True)
    lay_out(tree, context.out / "rootfs")
    judge_imports(context, failing_imports(python.own, python_contents(tree), context.out / "rootfs", tools))
    write_root(context, tree, tools)
    write_boot_files(context, kernel)
    images = write_image_cache(context.project, context.lock, tools, context.out, context.console)
    write_papers(context, manifest, wheels)
    image = write_image(describe(context, manifest, kernel, images), context.out)
    seconds = time.monotonic() - start
    context.console.say(
        f"image: {manifest.binaries} binaries under {manifest.names} names, {len(manifest.files)} paths, "
        f"{image.rootfs.name} {image.rootfs.size / 1e6:.1f} MB, in {seconds:.1f} s"
    )
    return image


def input_key(project: Path, recipes: Recipes, profile: Profile) -> str:
    """The hash of everything that an image is made from."""
    lock = packages.lock_path()
    replaced = packages.replaced_path(lock)
    source = project / "src" / "dozen"
    rooms = sorted({room for recipe in recipes.all if recipe.own for room in recipe.own.rooms})
    return stage_key(
        *("image", profile, __version__, recipes.key, CMDLINE),
        hash_file(replaced) if replaced.exists() else hash_file(lock),
        hash_file(source / "machinery" / "api.binpb"),
        hash_sources(source / "compose", ("*.py",)),
        hash_sources(project / "launcher", ("*.c", "*.h")),
        hash_sources(project / "images"),
        hash_sources(project / "components"),
        hash_file(project / "requirements" / "components.txt"),
        *(hash_sources(source / room, ("**/*.py",)) for room in rooms),
    )


def unchanged_image(out: Path, key: str) -> Image | None:
    """The image of the last build, if its inputs were the same and it is all there."""
    try:
        image = read_image(out)
    except ComposeError:
        return None
    return image if image.key == key and image.is_whole() else None


def prepare_tools(context: Context) -> toolroot.ToolRoot:
    strict = context.profile == "release"
    context.lock = packages.obtain(context.lock, "toolroot", context.console, strict=strict)
    context.lock = packages.obtain(context.lock, "image", context.console, strict=strict)
    return toolroot.ensure(context.lock, context.console)


def gather_sources(context: Context, tools: toolroot.ToolRoot) -> Sources:
    """Unpack packages and compile the launcher."""
    found = {}
    for pin in context.lock.image:
        package = unpack_package(pin)
        if not is_complete(package):
            listing_path(pin.sha256).unlink()
            package = unpack_package(pin)
        found[pin.name] = package
        if pin.follows:
            found[pin.follows] = package
    launcher.build(tools, context.out / "launcher")
    return Sources(context.recipes, found, context.out / "launcher", context.project)


def make_tree(
    context: Context, sources: Sources, wheels: list[Wheel], tools: toolroot.ToolRoot
) -> tuple[Tree, Kernel, Python]:
    """Everything that goes into the root file system, except the manifest about it."""
    tree = Tree()
    for recipe in context.recipes.all:
        add_recipe(tree, recipe, sources)
    kernel = add_kernel(tree, sources, tools)
    python = add_python(tree, sources, wheels, tools)
    add_libraries(tree, sources)
    add_licences(tree, sources, wheels)
    return tree, kernel, python


def python_contents(tree: Tree) -> dict[str, str]:
    return {path: entry.sha256 for path, entry in tree.entries.items() if path.endswith((".bundle", ".so"))}


def judge_imports(context: Context, problems: list[str]) -> None:
    """A release refuses; while developing, half-done work may be started all the same."""
    if problems and context.profile == "release":
        raise BudgetError(problems)
    for line in problems:
        context.console.warn(f"warning: {line}")


def read_start(entry: Entry) -> bytes:
    with object_path(entry.sha256).open("rb") as stream:
        return stream.read(2)


def write_root(context: Context, tree: Tree, tools: toolroot.ToolRoot) -> None:
    identity = stage_key(msgspec.json.encode([(entry.path, entry.mode, entry.sha256) for entry in tree.sorted()]))
    make_image(tree, context.lock.epoch, identity, context.profile, tools, context.out / "rootfs.img")


def write_boot_files(context: Context, kernel: Kernel) -> None:
    vmlinuz = get_object(kernel.vmlinuz.sha256)
    others = set(FILESYSTEMS.values()) - {FILESYSTEMS[context.profile]}
    initramfs = make_initramfs(context.out / "launcher" / "stage1", kernel, others, context.lock.epoch)
    write_if_other(context.out / "vmlinuz", vmlinuz)
    write_if_other(context.out / "initramfs.cpio", initramfs)
    kept = context.out / ".vmlinux"
    if not kept.exists() or kept.read_text() != kernel.vmlinuz.sha256 or not (context.out / "vmlinux").exists():
        write_whole(context.out / "vmlinux", extract_vmlinux(vmlinuz, kernel.vmlinuz.path))
        kept.write_text(kernel.vmlinuz.sha256)


def write_if_other(path: Path, data: bytes) -> None:
    if not path.exists() or path.read_bytes() != data:
        write_whole(path, data)


def write_papers(context: Context, manifest: Manifest, wheels: list[Wheel]) -> None:
    kernel = next(pin for pin in context.lock.image if pin.follows)
    write_whole(context.out / "manifest.json", encode_manifest(manifest))
    write_whole(context.out / "sbom.cdx.json", make_sbom(manifest, context.lock, wheels, kernel))


def describe(context: Context, manifest: Manifest, kernel: Kernel, images: Artefact) -> Image:
    out = context.out
    return Image(
        format=FORMAT,
        profile=context.profile,
        version=__version__,
        # The lock may have been replaced on the way, so the key is taken once more.
        key=input_key(context.project, context.recipes, context.profile),
        kernel_version=kernel.version,
        rootfs_type=FILESYSTEMS[context.profile],
        cmdline=CMDLINE,
        vmlinuz=describe_file(out / "vmlinuz"),
        vmlinux=describe_file(out / "vmlinux"),
        initramfs=describe_file(out / "initramfs.cpio"),
        rootfs=describe_file(out / "rootfs.img"),
        manifest=describe_file(out / "manifest.json"),
        sbom=describe_file(out / "sbom.cdx.json"),
        binaries=manifest.binaries,
        names=manifest.names,
        files=len(manifest.files),
        images=images,
    )

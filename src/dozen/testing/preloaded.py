"""An image whose cache of container images has those of the tests as well.

To send a node an image of 66 MB over its API takes minutes under emulation, for every node. Tests of that have images
of a few kilobytes; all others start from a cache in which theirs are as complete as Kubernetes' own.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec

from dozen.compose import toolroot
from dozen.compose.components import build_pause, obtain
from dozen.compose.console import Console
from dozen.compose.container_images import ContainerImage
from dozen.compose.contents import file_entry
from dozen.compose.image import describe_file, read_image, write_image
from dozen.compose.imagecache import FILE, build_images
from dozen.compose.imagestore import make_store, pack_store
from dozen.compose.oci import BuiltImage, build_image, build_layer
from dozen.compose.packages import obtain as obtain_packages
from dozen.compose.packages import project_lock, project_root
from dozen.compose.toolroot import ToolRoot
from dozen.compose.tree import Entry, Tree, Why
from dozen.compose.unpack import read_file
from dozen.machinery.kubernetes.versions import AGNHOST_IMAGE

# Names of upstream's images at the version of Kubernetes that the components have (test/utils/image/manifest.go); a
# deployment is changed from one version of agnhost to another.
E2E_AGNHOST_BEFORE = "registry.k8s.io/e2e-test-images/agnhost:2.55"
E2E_PAUSE = "registry.k8s.io/pause:3.10.2"
E2E_BUSYBOX = "registry.k8s.io/e2e-test-images/busybox:1.37.0-1"

AGNHOST, BUSYBOX, PAUSE = "agnhost", "busybox", "pause"
IMAGES = (
    ContainerImage(AGNHOST_IMAGE, (BUSYBOX, AGNHOST), ("/agnhost",), command=("pause",)),
    ContainerImage(E2E_AGNHOST_BEFORE, (BUSYBOX, AGNHOST), ("/agnhost",), command=("pause",)),
    ContainerImage(E2E_BUSYBOX, (BUSYBOX,), (), command=("sh",)),
    ContainerImage(E2E_PAUSE, (PAUSE,), ("/pause",), user="65535:65535"),
)
FOLDERS = ("/dev", "/etc", "/host", "/proc", "/sys")
WHY = Why("tests", "What tests run in pods.")


def with_test_images(image: Path, out: Path) -> Path:
    """The image in folder ``image`` with another cache, made in ``out`` and referring to the rest where it is. Returns
    ``out``."""
    tools, lock, console = toolroot.ensure(), project_lock(), Console(quiet=True)
    lock = obtain_packages(lock, "containers", console)
    built = [*build_images(project_root(), lock, tools, console), *test_images(tools, lock.epoch)]
    plain = read_image(image)
    for path in (*(plain.path(part) for part in plain.artefacts()), plain.tree):
        if path.name != FILE:
            (out / path.name).symlink_to(path.resolve())
    pack_store(make_store(built, lock.epoch), lock.epoch, tools, out / FILE)
    write_image(msgspec.structs.replace(plain, images=describe_file(out / FILE)), out)
    return out


def test_images(tools: ToolRoot, epoch: int) -> list[BuiltImage]:
    """Upstream's main test image, its busybox and its pause, as far as most of upstream's tests need them."""
    busybox = tools.path / "usr/bin/busybox"
    programs = {AGNHOST: obtain("agnhost"), BUSYBOX: busybox, PAUSE: build_pause(tools)}
    trees = {name: program_tree(name, program.read_bytes()) for name, program in programs.items()}
    add_shell(trees[BUSYBOX], busybox)
    layers = {name: build_layer(name, tree, epoch) for name, tree in trees.items()}
    return [build_image(image, layers, epoch) for image in IMAGES]


def program_tree(name: str, content: bytes) -> Tree:
    tree = Tree()
    path = f"/bin/{name}" if name == BUSYBOX else f"/{name}"
    tree.add(file_entry(path, read_file(name, content), WHY, mode=0o755))
    return tree


def add_shell(tree: Tree, busybox: Path) -> None:
    """Links for all of busybox's commands, which tests start by name, and the places that they expect."""
    for name in applets(busybox):
        tree.add(Entry(f"/bin/{name}", "link", 0o777, WHY, target=BUSYBOX))
    for folder in FOLDERS:
        tree.add(Entry(folder, "directory", 0o755, WHY))
    tree.add(Entry("/tmp", "directory", 0o1777, WHY))


def applets(busybox: Path) -> list[str]:
    listed = subprocess.run((busybox, "--list"), stdout=subprocess.PIPE, check=True, text=True).stdout
    return [name for name in listed.split() if name != BUSYBOX]

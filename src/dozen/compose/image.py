"""What a build leaves behind: the description of its artefacts, ``image.json`` beside them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from dozen.compose.cache import hash_file
from dozen.compose.errors import ComposeError

FILE = "image.json"
FORMAT = 1


class Artefact(msgspec.Struct, frozen=True):
    """A file of the build, named relative to the output directory."""

    name: str
    size: int
    sha256: str


class Image(msgspec.Struct, frozen=True):
    """A composed image. ``key`` names its inputs; ``directory`` (not stored) is where the artefacts are.

    ``rootfs_type`` is what the kernel mounts ``rootfs.img`` as, ``cmdline`` what it is started with.
    """

    format: int
    profile: str
    version: str
    key: str
    kernel_version: str
    rootfs_type: str
    cmdline: str
    vmlinuz: Artefact
    vmlinux: Artefact
    initramfs: Artefact
    rootfs: Artefact
    manifest: Artefact
    sbom: Artefact
    binaries: int
    names: int
    files: int
    images: Artefact | None = None
    directory: str = ""

    def path(self, artefact: Artefact) -> Path:
        return Path(self.directory) / artefact.name

    @property
    def tree(self) -> Path:
        """The root file system as files, for the native lane."""
        return Path(self.directory) / "rootfs"

    def artefacts(self) -> tuple[Artefact, ...]:
        parts = (self.vmlinuz, self.vmlinux, self.initramfs, self.rootfs, self.manifest, self.sbom)
        return (*parts, self.images) if self.images else parts

    def is_whole(self) -> bool:
        """Whether all artefacts are there, by size; hashes are for those who received an image."""
        sizes = all(
            self.path(part).is_file() and self.path(part).stat().st_size == part.size for part in self.artefacts()
        )
        return sizes and self.tree.is_dir()


def describe_file(path: Path) -> Artefact:
    return Artefact(path.name, path.stat().st_size, hash_file(path))


def write_image(image: Image, out: Path) -> Image:
    """Write ``image.json``; returns the image with its directory."""
    stored = msgspec.structs.replace(image, directory="")
    (out / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(stored), indent=1) + b"\n")
    return msgspec.structs.replace(image, directory=str(out))


def read_image(out: Path) -> Image:
    """The image in a directory. Raises ComposeError when there is none."""
    try:
        image = msgspec.json.decode((out / FILE).read_bytes(), type=Image)
    except (FileNotFoundError, msgspec.DecodeError) as error:
        raise ComposeError(f"{out} holds no finished image ({error}): build one with `make image`") from error
    return msgspec.structs.replace(image, directory=str(out.resolve()))

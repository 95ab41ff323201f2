"""Unpacks a Debian package for the image: its files become objects, and a listing says what it holds.

The listing already carries what later steps ask of a file: the links of an ELF file, the dependencies of a kernel
module (which is stored unpacked: the image is packed as a whole). It is named by the package's hash, so it is made
once.
"""

from __future__ import annotations

import lzma
import re
from pathlib import Path

import msgspec

from dozen.compose.cache import cache_dir, write_whole
from dozen.compose.debfile import open_data
from dozen.compose.downloads import download_path
from dozen.compose.elf import Elf, is_elf, read_elf, read_section
from dozen.compose.errors import RecipeError
from dozen.compose.lock import Pin
from dozen.compose.objects import object_path, put_object

LISTING = "3"
XATTR = "SCHILY.xattr."
UNWANTED = re.compile(
    r"usr/share/(man|info|locale|bash-completion|zsh|fish|lintian|bug|initramfs-tools)/|usr/lib/udev/hwdb"
)


class PackageFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """One file of a package. ``target``: where a symbolic link points; ``depends``, ``softdep``: of a kernel module;
    ``xattrs``: names of its extended attributes, among which file capabilities would be.
    """

    path: str
    size: int = 0
    sha256: str = ""
    target: str = ""
    elf: Elf | None = None
    depends: tuple[str, ...] = ()
    softdep: tuple[str, ...] = ()
    xattrs: tuple[str, ...] = ()


class Package(msgspec.Struct, frozen=True):
    """A package and what it holds; paths have no leading slash, and kernel modules no ``.xz``."""

    name: str
    version: str
    files: tuple[PackageFile, ...]

    def find(self, path: str, wanter: str) -> PackageFile:
        """The file, through symbolic links within the package. Raises RecipeError, naming who wants it."""
        by_path = {file.path: file for file in self.files}
        wanted = path
        for _ in range(8):
            file = by_path.get(path)
            if file is None:
                break
            if not file.target:
                return file
            path = join_link(path, file.target)
        raise RecipeError(
            f"{wanter} wants {wanted} of {self.name} {self.version}, which has no such file: correct the recipe"
        )


def join_link(path: str, target: str) -> str:
    """Where a symbolic link leads, as a path without leading slash."""
    parts = [] if target.startswith("/") else path.split("/")[:-1]
    for part in target.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def unpack_package(pin: Pin) -> Package:
    """The listing of a downloaded package; its files are in the object store when this returns."""
    path = listing_path(pin.sha256)
    if path.exists():
        return msgspec.json.decode(path.read_bytes(), type=Package)
    files: list[PackageFile] = []
    links: dict[str, str] = {}
    with open_data(download_path(pin.sha256)) as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            if UNWANTED.match(name):
                continue
            if member.issym():
                files.append(PackageFile(name, target=member.linkname))
            elif member.islnk():
                links[name] = member.linkname.removeprefix("./")
            elif member.isfile():
                stream = tar.extractfile(member)
                file = read_file(name, stream.read() if stream else b"")
                xattrs = tuple(key.removeprefix(XATTR) for key in member.pax_headers if key.startswith(XATTR))
                files.append(msgspec.structs.replace(file, xattrs=xattrs) if xattrs else file)
    by_path = {file.path: file for file in files}
    files += [msgspec.structs.replace(by_path[first], path=name) for name, first in links.items()]
    package = Package(pin.name, pin.version, tuple(sorted(files, key=lambda file: file.path)))
    write_whole(path, msgspec.json.encode(package))
    return package


def listing_path(sha256: str) -> Path:
    return cache_dir() / "unpacked" / f"{sha256}.{LISTING}.json"


def read_file(path: str, data: bytes) -> PackageFile:
    """Store a file's content and note what it links to."""
    if path.endswith(".ko.xz"):
        path, data = path.removesuffix(".xz"), lzma.decompress(data)
    if path.endswith(".ko"):
        info = read_modinfo(data)
        depends = tuple(name for line in info.get("depends", []) for name in line.split(",") if name)
        softdep = tuple(info.get("softdep", []))
        return PackageFile(path, len(data), put_object(data), depends=depends, softdep=softdep)
    elf = read_elf(data, path) if is_elf(data) and data[4] == 2 and not path.endswith((".o", ".a")) else None
    return PackageFile(path, len(data), put_object(data), elf=elf)


def read_modinfo(data: bytes) -> dict[str, list[str]]:
    """The ``key=value`` strings of a kernel module's .modinfo section."""
    found: dict[str, list[str]] = {}
    for entry in read_section(data, ".modinfo").split(b"\0"):
        key, equals, value = entry.decode(errors="replace").partition("=")
        if equals:
            found.setdefault(key, []).append(value)
    return found


def is_complete(package: Package) -> bool:
    """Whether every object of a listing is still in the cache."""
    return all(object_path(file.sha256).exists() for file in package.files if file.sha256)

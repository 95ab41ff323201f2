"""Gets the node's Python packages from PyPI: exactly the files that ``recipes/python/node.txt`` pins by hash.

pip chooses the wheel that fits the image's interpreter and C library; nothing is installed or run. A wheel's files
become objects, as those of a Debian package do.
"""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import msgspec

from dozen.compose.cache import cache_dir, fresh_directory, hash_file, stage_key, write_whole
from dozen.compose.console import Console
from dozen.compose.errors import SourceError
from dozen.compose.unpack import PackageFile, read_file

PLATFORMS = ("manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
ABIS = ("cp313", "abi3", "none")
LICENCES = {"Apache Software License": "Apache-2.0", "BSD License": "BSD-3-Clause", "MIT License": "MIT"}


class Wheel(msgspec.Struct, frozen=True):
    """A Python package as it goes into the image; ``name`` is normalized (PEP 503)."""

    name: str
    version: str
    licence: str
    sha256: str
    files: tuple[PackageFile, ...]


def obtain_wheels(requirements: Path, console: Console) -> list[Wheel]:
    """All wheels of the pinned list, sorted by name. Raises SourceError when pip cannot get one."""
    key = stage_key("wheels", "2", requirements.read_bytes(), *PLATFORMS, *ABIS)
    listing = cache_dir() / "wheels" / f"{key[:32]}.json"
    if listing.exists():
        return msgspec.json.decode(listing.read_bytes(), type=list[Wheel])
    folder = cache_dir() / "wheels" / key[:32]
    if not folder.is_dir():
        console.say("downloading the node's Python packages")
        with fresh_directory(folder) as directory:
            run_pip(requirements, directory)
    wheels = sorted((read_wheel(path) for path in folder.glob("*.whl")), key=lambda wheel: wheel.name)
    write_whole(listing, msgspec.json.encode(wheels))
    return wheels


def run_pip(requirements: Path, directory: Path) -> None:
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    argv += ["--require-hashes", "--only-binary=:all:", "--implementation=cp", "--python-version=3.13"]
    argv += [f"--platform={name}" for name in PLATFORMS] + [f"--abi={name}" for name in ABIS]
    argv += ["--dest", str(directory), "--requirement", str(requirements)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise SourceError(
            f"pip cannot get the packages of {requirements} ({last}): check the network; after editing node.in, "
            f"run `make lock`"
        )


def read_wheel(path: Path) -> Wheel:
    """Unpack a wheel into the object store."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(info.filename for info in archive.infolist() if not info.is_dir())
        metadata = next(name for name in names if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        headers = HeaderParser().parsestr(archive.read(metadata).decode())
        files = tuple(read_file(place(name), archive.read(name)) for name in names if place(name))
    name = re.sub(r"[-_.]+", "-", headers["Name"]).lower()
    return Wheel(name, headers["Version"], read_licence(headers.items()), hash_file(path), files)


def place(name: str) -> str:
    """Where a wheel's file goes below the site directory; empty for scripts and headers."""
    top, _, rest = name.partition("/")
    if not top.endswith(".data"):
        return name
    kind, _, inner = rest.partition("/")
    return inner if kind in ("purelib", "platlib") else ""


def read_licence(headers: list[tuple[str, str]]) -> str:
    """An SPDX expression from a wheel's metadata, empty when it does not say one."""
    for key, value in headers:
        if key == "License-Expression":
            return value
    for key, value in headers:
        if key == "Classifier" and value.startswith("License :: "):
            return LICENCES.get(value.split(" :: ")[-1], "")
    return ""

"""Publishes what the running image is made of, from the list that is in it (`dozen.compose.manifest`)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from dozen.machinery.resources.runtime import SBOM_ITEM, SBOMItemSpec
from dozen.node.stage import STAGE

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store

MANIFEST = "/usr/share/dozen/manifest.json"
SETTLED = ("running", "maintenance")


class File(msgspec.Struct, frozen=True):
    """What matters here of a file of the image."""

    package: str = ""
    version: str = ""
    licence: str = ""


class Manifest(msgspec.Struct, frozen=True):
    """What matters here of the list."""

    files: tuple[File, ...]


class PackageWatcher:
    """The manifest of the image → SBOMItem, one for each package; after the boot, since nobody is in a hurry."""

    name = "image-packages"
    outputs = (SBOM_ITEM,)

    def __init__(self, store: Store, path: str = MANIFEST) -> None:
        self._store = store
        self._path = path

    async def run(self, publish: Publisher) -> None:
        await self._store.wait_for(STAGE, "machine", lambda stage: stage.spec.stage in SETTLED)
        publish.replace(SBOM_ITEM, await asyncio.to_thread(read_packages, self._path))


def read_packages(path: str) -> dict[str, SBOMItemSpec]:
    """Packages by name; an image without the list, as a tree in a test, has none."""
    try:
        with open(path, "rb") as stream:
            return describe_packages(stream.read())
    except FileNotFoundError:
        return {}


def describe_packages(manifest: bytes) -> dict[str, SBOMItemSpec]:
    """The packages of a manifest with all licences of their files. Raises msgspec.DecodeError."""
    versions: dict[str, str] = {}
    licences: dict[str, list[str]] = {}
    for file in msgspec.json.decode(manifest, type=Manifest).files:
        if file.package:
            versions[file.package] = file.version
            found = licences.setdefault(file.package, [])
            if file.licence and file.licence not in found:
                found.append(file.licence)
    return {
        name: SBOMItemSpec(name=name, version=version, license=_join(licences[name]))
        for name, version in sorted(versions.items())
    }


def _join(licences: list[str]) -> str:
    return licences[0] if len(licences) == 1 else " AND ".join(f"({each})" for each in licences)

"""The bill of materials: the packages that an image is made of, in CycloneDX 1.6 (JSON).

Written by hand, since it is one flat list and the format is a published schema; a package URL lets scanners look up
what is known about each.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from dozen import __version__
from dozen.compose.cache import stage_key
from dozen.compose.lock import Lock, Pin
from dozen.compose.manifest import Manifest, used_pins
from dozen.compose.wheels import Wheel

SPEC = "1.6"
ROOT = "dozen-linux"


def make_sbom(manifest: Manifest, lock: Lock, wheels: list[Wheel], kernel: Pin) -> bytes:
    """The document. ``kernel`` is listed although its image is no file of the root file system."""
    licences = package_licences(manifest)
    pins = {pin.name: pin for pin in [*used_pins(manifest, lock), kernel]}
    used = {record.package for record in manifest.files}
    components = [debian_component(pin, licences.get(pin.name, []), lock) for _, pin in sorted(pins.items())]
    components += [wheel_component(wheel) for wheel in wheels if wheel.name in used]
    references = [component["bom-ref"] for component in components]
    document: dict[str, Any] = {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "serialNumber": f"urn:uuid:{uuid.UUID(stage_key(msgspec.json.encode(manifest))[:32], version=4)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(lock.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "operating-system",
                "bom-ref": ROOT,
                "name": ROOT,
                "version": __version__,
                "licenses": [{"expression": "Apache-2.0"}],
            },
        },
        "components": components,
        "dependencies": [{"ref": ROOT, "dependsOn": references}, *({"ref": name} for name in references)],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def package_licences(manifest: Manifest) -> dict[str, list[str]]:
    """Package → the licences that its files are under."""
    found: dict[str, set[str]] = {}
    for record in manifest.files:
        if record.package and record.licence:
            found.setdefault(record.package, set()).add(record.licence)
    return {name: sorted(values) for name, values in found.items()}


def debian_component(pin: Pin, licences: list[str], lock: Lock) -> dict[str, Any]:
    distro = f"debian-{lock.release.partition('.')[0]}"
    purl = f"pkg:deb/debian/{quote(pin.name)}@{quote(pin.version, safe='')}?arch=amd64&distro={distro}"
    component = {
        "type": "library",
        "bom-ref": purl,
        "name": pin.name,
        "version": pin.version,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": pin.sha256}],
    }
    if licences:
        # The schema has room for one expression.
        text = licences[0] if len(licences) == 1 else " AND ".join(f"({part})" for part in licences)
        component["licenses"] = [{"expression": text}]
    return component


def wheel_component(wheel: Wheel) -> dict[str, Any]:
    purl = f"pkg:pypi/{quote(wheel.name)}@{quote(wheel.version, safe='')}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": wheel.name,
        "version": wheel.version,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": wheel.sha256}],
        **({"licenses": [{"expression": wheel.licence}]} if wheel.licence else {}),
    }

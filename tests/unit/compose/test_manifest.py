"""The manifest and what is read from it: reasons, comparisons, the bill of materials."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from dozen.compose.compare import Baseline, baseline_path, compare_systems, read_baseline
from dozen.compose.errors import ComposeError
from dozen.compose.explain import describe, explain
from dozen.compose.lock import Lock, Pin
from dozen.compose.manifest import PATH, Manifest, add_manifest, decode_manifest, encode_manifest
from dozen.compose.objects import get_object
from dozen.compose.sbom import make_sbom
from dozen.compose.tree import Entry, Tree, Why
from dozen.compose.wheels import Wheel

Put = Callable[..., Entry]
LIB = "/usr/lib/x86_64-linux-gnu"
KERNEL = Pin("linux-image-6", "6.1-1", "debian", "pool/l.deb", 1, "33", "linux", "linux-image")
LOCK = Lock(
    1,
    "trixie",
    "13.8",
    1700000000,
    (
        Pin("lvm2", "2.03-1", "debian", "pool/a.deb", 1, "11", "lvm2"),
        Pin("libaio1t64", "0.3+b1", "debian", "pool/b.deb", 1, "22", "libaio"),
        Pin("unused", "1", "debian", "pool/c.deb", 1, "44", "unused"),
        KERNEL,
    ),
    (),
)


@pytest.fixture
def tree(make_elf, put: Put) -> Tree:
    tree = Tree()
    lvm = Why("lvm2", "Volumes.", "lvm2", "2.03-1", "GPL-2.0-only")
    put(tree, "/sbin/lvm", make_elf(("libaio.so.1",), program=True), mode=0o755, why=lvm)
    tree.add(Entry("/sbin/lvs", "link", 0o777, lvm, target="lvm"))
    tree.add(Entry("/lib", "link", 0o777, Why("base", "Merged."), target="usr/lib"))
    library = Why("libraries", "Reads disks.", "libaio1t64", "0.3+b1", "LGPL-2.1-or-later")
    put(tree, f"{LIB}/libaio.so.1", make_elf(soname="libaio.so.1"), why=library)
    tree.want(f"{LIB}/libaio.so.1", "/sbin/lvm")
    return tree


@pytest.fixture
def manifest(tree: Tree) -> Manifest:
    return add_manifest(tree, LOCK)


def test_the_copy_inside_is_the_copy_outside(tree: Tree, manifest: Manifest) -> None:
    inside = tree.entries[PATH]
    assert get_object(inside.sha256) == encode_manifest(manifest)
    assert decode_manifest(encode_manifest(manifest)) == manifest
    record = manifest.find(PATH)
    assert record is not None
    assert record.sha256 == ""


def test_a_record_has_all_that_is_known_of_a_file(tree: Tree, manifest: Manifest) -> None:
    library = tree.entries[f"{LIB}/libaio.so.1"]
    assert msgspec.to_builtins(manifest.find(library.path)) == {
        "path": library.path,
        "kind": "file",
        "mode": "0644",
        "size": len(get_object(library.sha256)),
        "sha256": hashlib.sha256(get_object(library.sha256)).hexdigest(),
        "recipe": "libraries",
        "reason": "Reads disks.",
        "package": "libaio1t64",
        "version": "0.3+b1",
        "licence": "LGPL-2.1-or-later",
        "wanted_by": ("/sbin/lvm",),
    }
    assert msgspec.to_builtins(manifest.find("/sbin/lvs")) == {
        "path": "/sbin/lvs",
        "kind": "link",
        "mode": "0777",
        "target": "lvm",
        "recipe": "lvm2",
        "reason": "Volumes.",
        "package": "lvm2",
        "version": "2.03-1",
        "licence": "GPL-2.0-only",
    }
    program = manifest.find("/sbin/lvm")
    assert program is not None
    assert (program.mode, program.licence, program.size > 0) == ("0755", "GPL-2.0-only", True)


def test_names_and_programs_are_counted(manifest: Manifest) -> None:
    assert (manifest.binaries, manifest.names) == (1, 2)


def test_why_follows_links_and_tells_the_chain(manifest: Manifest) -> None:
    found = explain(manifest, "/lib/x86_64-linux-gnu/libaio.so.1")
    assert found.record.path == f"{LIB}/libaio.so.1"
    assert [link.path for link in found.through] == ["/lib"]
    rows = describe(found)
    assert ("why", "Reads disks.") in rows
    assert ("wanted by", "/sbin/lvm") in rows
    assert ("package", "libaio1t64 0.3+b1") in rows


def test_a_link_itself_can_be_asked_for(manifest: Manifest) -> None:
    assert ("what", "link to lvm, mode 0777") in describe(explain(manifest, "/sbin/../sbin/lvs"))


@pytest.mark.parametrize("path", ["/bin/sh", "/", "/lib/nothing"])
def test_what_is_not_there_is_said(manifest: Manifest, path: str) -> None:
    with pytest.raises(ComposeError, match=r"no recipe put|is the image's root"):
        explain(manifest, path)


def test_systems_are_listed_from_large_to_small() -> None:
    rows = compare_systems(30, 12, "the image", Baseline("13.8", 162, 603, 1206))
    assert [row.names for row in rows] == [2780, 2391, 1382, 1206, 30, 29]
    assert (rows[4].system, rows[4].binaries, rows[4].source) == ("Dozen Linux", 12, "the image")


def test_the_baseline_is_there_only_once_counted(cache: Path) -> None:
    assert read_baseline() is None
    baseline_path().write_text('{"release": "13.8", "packages": 162, "names": 603, "listed": 1206}')
    assert read_baseline() == Baseline("13.8", 162, 603, 1206)
    baseline_path().write_text("{")
    assert read_baseline() is None


def test_the_bill_lists_what_is_used_and_the_kernel(manifest: Manifest) -> None:
    wheels = [Wheel("unused-wheel", "1", "MIT", "55", ())]
    bill = json.loads(make_sbom(manifest, LOCK, wheels, KERNEL))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert sorted(part["name"] for part in bill["components"]) == ["libaio1t64", "linux-image-6", "lvm2"]
    first = next(part for part in bill["components"] if part["name"] == "libaio1t64")
    assert first["purl"] == "pkg:deb/debian/libaio1t64@0.3%2Bb1?arch=amd64&distro=debian-13"
    assert first["licenses"] == [{"expression": "LGPL-2.1-or-later"}]
    references = {part["bom-ref"] for part in bill["components"]}
    assert set(bill["dependencies"][0]["dependsOn"]) == references
    assert make_sbom(manifest, LOCK, wheels, KERNEL) == make_sbom(manifest, LOCK, wheels, KERNEL)

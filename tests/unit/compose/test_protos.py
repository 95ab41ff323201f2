"""Compiling definitions: reproducible, only when needed, and never half."""

import os
from pathlib import Path

import pytest

from dozen.compose.protos import SOURCES, ProtoError, ensure_descriptors, write_descriptors

EMPTY = b'syntax = "proto3";\npackage a;\n// A comment that the output must not hold.\nmessage M { int32 n = 1; }\n'


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "api"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "a.proto").write_bytes(EMPTY)
    return folder


def test_output_is_reproducible_and_holds_no_comments(sources: Path, tmp_path: Path) -> None:
    write_descriptors(sources, tmp_path / "one")
    write_descriptors(sources, tmp_path / "two")
    data = (tmp_path / "one").read_bytes()
    assert data == (tmp_path / "two").read_bytes()
    assert b"a/a.proto" in data
    assert b"comment" not in data
    assert str(tmp_path).encode() not in data


def test_made_only_when_a_source_is_newer(sources: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    ensure_descriptors(sources, output)
    output.write_bytes(b"kept")
    ensure_descriptors(sources, output)
    assert output.read_bytes() == b"kept"
    later = output.stat().st_mtime + 10
    os.utime(sources / "a" / "a.proto", (later, later))
    ensure_descriptors(sources, output)
    assert output.read_bytes() != b"kept"


def test_broken_source_leaves_the_old_output(sources: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.write_bytes(b"old")
    (sources / "a" / "b.proto").write_text("nonsense")
    with pytest.raises(ProtoError):
        write_descriptors(sources, output)
    assert output.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["api", "out"]


def test_installed_package_has_no_sources(tmp_path: Path) -> None:
    with pytest.raises(ProtoError):
        ensure_descriptors(tmp_path / "none", tmp_path / "out")
    (tmp_path / "out").touch()
    assert ensure_descriptors(tmp_path / "none", tmp_path / "out") == tmp_path / "out"


@pytest.mark.parametrize("path", sorted(SOURCES.rglob("*.proto")), ids=lambda path: str(path.relative_to(SOURCES)))
def test_every_definition_says_what_it_is(path: Path) -> None:
    """Services, calls, messages and enums have a comment directly above them."""
    lines = path.read_text().splitlines()
    opening = ("service ", "rpc ", "message ", "enum ")
    bare = [
        line.strip()
        for before, line in zip(["", *lines], lines, strict=False)
        if line.strip().startswith(opening) and not before.strip().startswith("//")
    ]
    assert lines[0].startswith("// ")
    assert bare == []

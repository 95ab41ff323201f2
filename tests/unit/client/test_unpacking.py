"""Archives of a node: unpacked as files of ours, and nothing of them anywhere but in the folder."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from dozen.client.unpacking import unpack


def entry(
    name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"", link: str = "", mode: int = 0o644
) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode, made.size = kind, link, mode, len(content)
    made.uid = made.gid = 12345
    made.pax_headers = {"content": content.decode()}
    return made


def packed(*entries: tarfile.TarInfo) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for each in entries:
            content = each.pax_headers.pop("content").encode()
            archive.addfile(each, io.BytesIO(content) if each.isfile() else None)
    buffer.seek(0)
    return buffer


def unpacked(folder: Path, *entries: tarfile.TarInfo) -> list[str]:
    said: list[str] = []
    unpack(packed(*entries), folder, said.append)
    return said


def test_files_folders_and_links_inside_are_unpacked(tmp_path: Path) -> None:
    said = unpacked(
        tmp_path,
        entry("etc", tarfile.DIRTYPE, mode=0o500),
        entry("etc/passwd", content=b"root", mode=0o4444),
        entry("etc/link", tarfile.SYMTYPE, link="passwd"),
        entry("etc/up", tarfile.SYMTYPE, link="../etc/passwd"),
        entry("hard", tarfile.LNKTYPE, link="etc/passwd"),
        entry("/absolute", content=b"here"),
    )
    assert said == []
    assert {name: (tmp_path / name).read_bytes() for name in ("etc/link", "etc/up", "hard")} == dict.fromkeys(
        ("etc/link", "etc/up", "hard"), b"root"
    )
    assert (tmp_path / "absolute").read_bytes() == b"here"
    status = (tmp_path / "etc/passwd").stat()
    assert (status.st_mode & 0o7777, status.st_uid) == (0o644, os.getuid())
    assert (tmp_path / "etc").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([entry("../up", content=b"x")], "left out: ../up: it is outside of the folder"),
        (
            [entry("passwd", tarfile.SYMTYPE, link="/etc/passwd")],
            "left out: passwd: a link to /etc/passwd leads to this computer's, not the node's",
        ),
        (
            [entry("a/up", tarfile.SYMTYPE, link="../../x")],
            "left out: a/up: a link to ../../x leads out of the folder",
        ),
        ([entry("hard", tarfile.LNKTYPE, link="../x")], "left out: hard: a link to ../x leads out of the folder"),
        ([entry("null", tarfile.CHRTYPE)], "left out: null: it is no file and no folder"),
        ([entry("pipe", tarfile.FIFOTYPE)], "left out: pipe: it is no file and no folder"),
    ],
    ids=["up", "absolute link", "link up", "hard link", "device", "pipe"],
)
def test_what_leads_out_is_left_out_and_told(tmp_path: Path, entries: list[tarfile.TarInfo], said: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    assert unpacked(folder, *entries, entry("rest", content=b"y")) == [said]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert [path.name for path in folder.iterdir()] == ["rest"]


def test_a_link_that_was_there_before_leads_nowhere(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "out").symlink_to(tmp_path)
    assert unpacked(folder, entry("out/file", content=b"x")) == ["left out: out/file: it is outside of the folder"]
    assert not (tmp_path / "file").exists()

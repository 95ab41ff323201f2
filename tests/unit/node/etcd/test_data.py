"""etcd's data directory: whose it is, and that nothing of somebody else's is touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dozen.node.etcd import data


def test_the_directory_is_its_owner_s_alone(tmp_path: Path) -> None:
    path = tmp_path / "lib" / "etcd"
    for _ in range(2):  # again after a restart
        data.make_directory(str(path), os.getuid())
        assert path.stat().st_mode & 0o777 == 0o700
        path.chmod(0o755)


def test_a_member_is_known_by_what_it_leaves(tmp_path: Path) -> None:
    assert not data.has_member(str(tmp_path))
    (tmp_path / "member").mkdir()
    assert data.has_member(str(tmp_path))


@pytest.mark.parametrize(
    ("noted", "asked", "other"),
    [
        ("one", "one", ""),
        ("one", "two", "one"),
        ("", "two", ""),  # from before notes were taken
        ("one", "", ""),  # a cluster without an id is anybody's
    ],
)
def test_data_of_another_cluster_is_known(tmp_path: Path, noted: str, asked: str, other: str) -> None:
    path = str(tmp_path / "etcd")
    data.remember_cluster(path, noted)
    assert data.find_other_cluster(path, asked) == other


def test_emptying_keeps_the_directory_and_what_links_lead_to(tmp_path: Path) -> None:
    held, elsewhere = tmp_path / "held", tmp_path / "elsewhere"
    assert not data.holds_anything(str(held))
    for folder in (held / "member" / "wal", elsewhere):
        folder.mkdir(parents=True)
    (elsewhere / "theirs").write_text("x")
    (held / "file").write_text("x")
    (held / "link").symlink_to(elsewhere)
    assert data.holds_anything(str(held))
    data.empty(str(held))
    assert not data.holds_anything(str(held))
    assert held.is_dir()
    assert (elsewhere / "theirs").read_text() == "x"


def test_writing_goes_on_until_all_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    written = bytearray()

    def write_little(descriptor: int, view: memoryview) -> int:
        written.extend(view[:3])
        return min(3, len(view))

    monkeypatch.setattr(os, "write", write_little)
    data.write_all(9, b"a snapshot")
    assert written == b"a snapshot"

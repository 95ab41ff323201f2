"""Files that outlive a crash."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dozen.linux.durable import read_text, write_durably


def test_written_whole_private_and_synchronized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    path = tmp_path / "file"
    path.write_text("old")
    write_durably(str(path), "new\n")
    assert path.read_text() == "new\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert synced == [f"{path}.new", str(tmp_path)]
    assert os.listdir(tmp_path) == ["file"]


def test_a_failure_leaves_the_old_content_and_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_durably(str(path), "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_reading(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert read_text(str(path), 10) is None
    path.write_text("ä" * 5)
    assert read_text(str(path), 10) == "ä" * 5
    with pytest.raises(ValueError, match="larger than 9 bytes"):
        read_text(str(path), 9)
    path.write_bytes(b"\xff")
    with pytest.raises(ValueError, match="not UTF-8"):
        read_text(str(path), 9)

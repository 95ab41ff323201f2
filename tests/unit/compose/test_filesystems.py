"""Laying a tree out as files: exact, and changing only what changed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dozen.compose.filesystems import lay_out
from dozen.compose.tree import Entry, Tree, Why

Put = Callable[..., Entry]
WHY = Why("some", "It is needed.")


def snapshot(root: Path) -> dict[str, tuple[str, int, str]]:
    found = {}
    for path in sorted(root.rglob("*")):
        kind = "link" if path.is_symlink() else "directory" if path.is_dir() else "file"
        content = os.readlink(path) if kind == "link" else path.read_text() if kind == "file" else ""
        found[str(path.relative_to(root))] = (kind, path.lstat().st_mode & 0o7777, content)
    return found


@pytest.fixture
def make(put: Put) -> Callable[..., Tree]:
    def build(**files: str) -> Tree:
        tree = Tree()
        for name, content in files.items():
            put(tree, "/" + name.replace("_", "/"), content.encode(), mode=0o755 if name.startswith("bin") else 0o644)
        return tree

    return build


def test_files_links_and_modes(make: Callable[..., Tree], tmp_path: Path) -> None:
    tree = make(bin_init="program", etc_a="1")
    first = tree.entries["/bin/init"]
    tree.add(Entry("/bin/too", "hardlink", 0o755, WHY, first.size, first.sha256, target="/bin/init"))
    tree.add(Entry("/lib", "link", 0o777, WHY, target="usr/lib"))
    tree.add(Entry("/tmp", "directory", 0o1777, WHY))
    root = tmp_path / "rootfs"
    lay_out(tree, root)
    assert snapshot(root)["bin/init"] == ("file", 0o755, "program")
    assert (root / "bin/init").stat().st_ino == (root / "bin/too").stat().st_ino
    assert snapshot(root)["lib"] == ("link", 0o777, "usr/lib")
    assert snapshot(root)["tmp"][1] == 0o1777


def test_a_second_time_touches_only_what_changed(make: Callable[..., Tree], tmp_path: Path) -> None:
    root = tmp_path / "rootfs"
    lay_out(make(etc_a="1", etc_b="2", old_x_y="3"), root)
    before = (root / "etc/a").stat().st_ino
    lay_out(make(etc_a="1", etc_b="changed", new="4"), root)
    assert (root / "etc/a").stat().st_ino == before
    files = {path: content for path, (kind, _mode, content) in snapshot(root).items() if kind == "file"}
    assert files == {"etc/a": "1", "etc/b": "changed", "new": "4"}
    assert not (root / "old").exists()


def test_a_file_may_become_a_directory_and_back(make: Callable[..., Tree], tmp_path: Path) -> None:
    root = tmp_path / "rootfs"
    for tree in (make(a="file"), make(a_b="inside"), make(a="file")):
        lay_out(tree, root)
    assert snapshot(root) == {"a": ("file", 0o644, "file")}


def test_after_an_interruption_everything_is_laid_out_anew(make: Callable[..., Tree], tmp_path: Path) -> None:
    root = tmp_path / "rootfs"
    lay_out(make(a="1"), root)
    (root / "a").write_text("half")
    (tmp_path / ".rootfs.json").unlink()
    lay_out(make(a="1"), root)
    assert snapshot(root) == {"a": ("file", 0o644, "1")}


def test_the_cache_is_out_of_reach(make: Callable[..., Tree], tmp_path: Path) -> None:
    lay_out(make(a="1"), tmp_path / "one")
    (tmp_path / "one" / "a").write_text("spoilt")
    lay_out(make(a="1"), tmp_path / "two")
    assert (tmp_path / "two" / "a").read_text() == "1"

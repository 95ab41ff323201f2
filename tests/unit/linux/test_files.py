"""Walking, reading and measuring trees; the axes are kinds of file, depth, and what can go wrong on the way."""

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dozen.linux import files
from dozen.linux.files import NotRegular, absolute, go_mode, measure, read_file, walk


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "b" / "deep").mkdir(parents=True)
    (root / "b" / "deep" / "file").write_bytes(b"x" * 10_000)
    (root / "a").write_text("text")
    (root / "c").symlink_to("b")
    os.mkfifo(root / "d")
    return root


def relatives(root: Path, depth: int = files.UNLIMITED) -> list[str]:
    return [entry.relative for entry in walk(str(root), depth)]


def test_a_directory_comes_before_its_content_and_links_are_not_followed(tree: Path) -> None:
    assert relatives(tree) == [".", "a", "b", "b/deep", "b/deep/file", "c", "d"]


@pytest.mark.parametrize(
    ("depth", "expected"),
    [(0, ["."]), (1, [".", "a", "b", "c", "d"]), (2, [".", "a", "b", "b/deep", "c", "d"])],
)
def test_depth(tree: Path, depth: int, expected: list[str]) -> None:
    assert relatives(tree, depth) == expected


def test_root_may_be_a_file_or_a_link(tree: Path) -> None:
    assert relatives(tree / "a") == ["."]
    assert relatives(tree / "c") == [".", "deep", "deep/file"]
    (tree / "dangling").symlink_to("nowhere")
    (only,) = walk(str(tree / "dangling"))
    assert only.info is not None
    assert stat.S_ISLNK(only.info.st_mode)


def test_missing_root_is_an_error(tree: Path) -> None:
    with pytest.raises(FileNotFoundError):
        next(walk(str(tree / "nowhere")))


def test_unreadable_directory_is_reported_in_its_place(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def scandir(path: str) -> Iterator[os.DirEntry[str]]:
        if path.endswith("/b"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    entries = list(walk(str(tree)))
    assert [(entry.relative, bool(entry.error)) for entry in entries] == [
        (".", False),
        ("a", False),
        ("b", False),
        ("b", True),
        ("c", False),
        ("d", False),
    ]
    assert entries[3].error == f"{tree}/b: permission denied"
    usages = list(measure(str(tree)))
    assert [usage.relative for usage in usages] == ["a", "b", "b", "c", "d", "."]
    assert usages[1].error


def test_large_directory_is_not_read_ahead(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SORTED_ENTRIES", 2)
    seen = []
    look = files._look_at

    def look_at(found: "os.DirEntry[str]", relative: str, depth: int) -> files.Entry:
        seen.append(relative)
        return look(found, relative, depth)

    monkeypatch.setattr(files, "_look_at", look_at)
    walking = walk(str(tree), 1)
    next(walking)
    next(walking)
    assert len(seen) == 1
    assert sorted(entry.relative for entry in walking) == sorted({"a", "b", "c", "d"} - set(seen[:1]))


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (stat.S_IFREG | 0o644, 0o644),
        (stat.S_IFDIR | 0o755, 1 << 31 | 0o755),
        (stat.S_IFLNK | 0o777, 1 << 27 | 0o777),
        (stat.S_IFBLK | 0o660, 1 << 26 | 0o660),
        (stat.S_IFCHR | 0o666, 1 << 26 | 1 << 21 | 0o666),
        (stat.S_IFIFO | 0o600, 1 << 25 | 0o600),
        (stat.S_IFSOCK | 0o600, 1 << 24 | 0o600),
        (stat.S_IFREG | 0o4755, 1 << 23 | 0o755),
        (stat.S_IFREG | 0o2755, 1 << 22 | 0o755),
        (stat.S_IFDIR | 0o1777, 1 << 31 | 1 << 20 | 0o777),
        (0, 1 << 19),
    ],
)
def test_mode_as_go_writes_it(mode: int, expected: int) -> None:
    assert go_mode(mode) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [("", "/"), ("/", "/"), ("sbin", "/sbin"), ("//sbin/", "/sbin"), ("/a/../b/./c", "/b/c"), ("../etc", "/etc")],
)
def test_paths_are_made_absolute(given: str, expected: str) -> None:
    assert absolute(given) == expected


def test_read(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "READ_BYTES", 4096)
    chunks = list(read_file(str(tree / "b" / "deep" / "file")))
    assert [len(chunk) for chunk in chunks] == [4096, 4096, 1808]


@pytest.mark.parametrize("name", ["b", "d", "c"])
def test_read_takes_regular_files_only(tree: Path, name: str) -> None:
    with pytest.raises(NotRegular, match="path must be a regular file"):
        next(read_file(str(tree / name)))


def test_devices_are_not_even_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("opened"))
    with pytest.raises(NotRegular):
        next(read_file("/dev/null"))


def test_usage_adds_up_from_the_bottom(tree: Path) -> None:
    sizes = {usage.relative: usage.size for usage in measure(str(tree))}
    assert list(sizes) == ["a", "b/deep/file", "b/deep", "b", "c", "d", "."]
    own = {relative: blocks(tree / relative) for relative in sizes}
    assert sizes["b/deep"] == own["b/deep"] + own["b/deep/file"]
    assert sizes["b"] == own["b"] + sizes["b/deep"]
    assert sizes["."] == sum(own.values())


def test_usage_counts_linked_files_once(tree: Path) -> None:
    before = {usage.relative: usage.size for usage in measure(str(tree))}["."]
    os.link(tree / "b" / "deep" / "file", tree / "z")
    after = {usage.relative: usage.size for usage in measure(str(tree))}
    assert (after["z"], after["."]) == (0, before)


def test_usage_of_one_file(tree: Path) -> None:
    assert [(usage.relative, usage.is_directory) for usage in measure(str(tree / "a"))] == [(".", False)]


def blocks(path: Path) -> int:
    return path.lstat().st_blocks * 512


def test_sockets_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("s")
    entry = list(walk(str(tmp_path)))[1]
    assert entry.info is not None
    assert go_mode(entry.info.st_mode) >> 24 == 1

"""Archives of trees: complete, in order, and the same every time."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dozen.compose.archives import Member, make_cpio, write_tar
from dozen.compose.tree import Entry, Tree, Why

Put = Callable[..., Entry]
WHY = Why("some", "It is needed.")
EPOCH = 1700000000


@pytest.fixture
def tree(put: Put) -> Tree:
    tree = Tree()
    first = put(tree, "/sbin/init", b"program", mode=0o755)
    tree.add(Entry("/sbin/again", "hardlink", 0o755, WHY, first.size, first.sha256, target="/sbin/init"))
    tree.add(Entry("/tmp", "directory", 0o1777, WHY))
    tree.add(Entry("/lib", "link", 0o777, WHY, target="usr/lib"))
    put(tree, "/" + "long/" * 40 + "name")
    return tree


def test_a_tar_holds_owner_time_modes_and_links(tree: Tree, tmp_path: Path) -> None:
    write_tar(tree, EPOCH, tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as tar:
        members = {member.name: member for member in tar}
    assert list(members).index("sbin/init") < list(members).index("sbin/again")
    assert (members["sbin/again"].type, members["sbin/again"].linkname) == (tarfile.LNKTYPE, "sbin/init")
    assert members["lib"].linkname == "usr/lib"
    assert members["tmp"].mode == 0o1777
    assert "long/" * 40 + "name" in members
    assert {(member.uid, member.gid, member.mtime) for member in members.values()} == {(0, 0, EPOCH)}


def test_the_order_of_adding_does_not_matter(put: Put, tmp_path: Path) -> None:
    for name, paths in (("one", ["/a", "/b/c", "/b-d"]), ("two", ["/b-d", "/b/c", "/a"])):
        tree = Tree()
        for path in paths:
            put(tree, path)
        write_tar(tree, EPOCH, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def read_cpio(data: bytes) -> dict[str, tuple[int, bytes, tuple[int, int]]]:
    """An independent reader of the newc format."""
    found, offset = {}, 0
    while True:
        assert data[offset : offset + 6] == b"070701"
        fields = [int(data[offset + 6 + 8 * n : offset + 14 + 8 * n], 16) for n in range(13)]
        name = data[offset + 110 : offset + 110 + fields[11] - 1].decode()
        start = -(-(offset + 110 + fields[11]) // 4) * 4
        if name == "TRAILER!!!":
            return found
        assert (fields[2], fields[3], fields[5]) == (0, 0, EPOCH)
        found[name] = (fields[1], data[start : start + fields[6]], (fields[9], fields[10]))
        offset = -(-(start + fields[6]) // 4) * 4


def test_a_cpio_is_read_back() -> None:
    members = [
        Member("dev", 0o040755),
        Member("dev/console", 0o020600, device=(5, 1)),
        Member("init", 0o100755, b"abcde"),
    ]
    data = make_cpio(members, EPOCH)
    assert read_cpio(data) == {
        "dev": (0o040755, b"", (0, 0)),
        "dev/console": (0o020600, b"", (5, 1)),
        "init": (0o100755, b"abcde", (0, 0)),
    }
    assert len(data) % 512 == 0

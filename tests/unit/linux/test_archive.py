"""Archives, read back with the standard library's own reader."""

import errno
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dozen.linux import archive, files
from dozen.linux.archive import Archiver


def unpack(data: bytes) -> dict[str, tuple[bytes, bytes]]:
    """Name → (type, content)."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as reader:
        members = {}
        for member in reader:
            file = reader.extractfile(member) if member.isfile() else None
            members[member.name] = (member.type, file.read() if file else member.linkname.encode())
        return members


def pack(root: Path) -> tuple[dict[str, tuple[bytes, bytes]], list[str]]:
    archiver = Archiver(str(root))
    return unpack(b"".join(archiver.chunks())), archiver.errors


def test_tree(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "big").write_bytes(os.urandom(200_000))
    (tmp_path / "d" / ("n" * 150)).write_bytes(b"long name")
    (tmp_path / "empty").touch()
    (tmp_path / "l").symlink_to("d/big")
    os.mkfifo(tmp_path / "p")
    members, errors = pack(tmp_path)
    assert errors == []
    assert set(members) == {".", "d", "d/big", "d/" + "n" * 150, "empty", "l", "p"}
    assert members["d/big"][1] == (tmp_path / "d" / "big").read_bytes()
    assert members["d/" + "n" * 150][1] == b"long name"
    assert members["l"] == (tarfile.SYMTYPE, b"d/big")
    assert members["p"][0] == tarfile.FIFOTYPE


def test_single_file_has_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    assert pack(tmp_path / "file") == ({"file": (tarfile.REGTYPE, b"text")}, [])


def test_attributes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    (tmp_path / "file").chmod(0o751)
    os.utime(tmp_path / "file", (5, 1000))
    data = b"".join(Archiver(str(tmp_path / "file")).chunks())
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as reader:
        (member,) = reader.getmembers()
    assert (member.mode, member.mtime, member.uid) == (0o751, 1000, os.getuid())


def test_kernel_file_that_says_it_is_empty_is_read() -> None:
    members, errors = pack(Path("/proc/self/status"))
    assert members["status"][1].startswith(b"Name:")
    assert errors == []


@pytest.mark.parametrize("content", [b"", b"x" * 10, b"x" * 700, b"x" * 100_000])
def test_file_that_changes_its_size_keeps_the_archive_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    (tmp_path / "a").write_bytes(b"y" * 600)
    (tmp_path / "b").write_bytes(b"after")
    real = files.read_file

    def read_file(path: str) -> Iterator[bytes]:
        return iter([content]) if path.endswith("/a") else real(path)

    monkeypatch.setattr(archive, "read_file", read_file)
    members, errors = pack(tmp_path)
    assert members["a"][1] == content[:600].ljust(600, b"\0")
    assert members["b"][1] == b"after"
    assert errors == []


def test_read_error_is_remembered_and_the_rest_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"y" * 600)
    (tmp_path / "b").write_bytes(b"after")
    (tmp_path / "c").write_bytes(b"gone")
    real = files.read_file

    def read_file(path: str) -> Iterator[bytes]:
        if path.endswith("/a"):
            yield b"y" * 10
            raise OSError(5, "Input/output error")
        if path.endswith("/c"):
            raise FileNotFoundError(2, "No such file or directory", path)
        yield from real(path)

    monkeypatch.setattr(archive, "read_file", read_file)
    members, errors = pack(tmp_path)
    assert members["a"][1] == b"y" * 10 + bytes(590)
    assert members["b"][1] == b"after"
    assert "c" not in members
    assert errors == [f"{tmp_path}/a: input/output error"]


def test_missing_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(Archiver(str(tmp_path / "nowhere")).chunks())


def test_large_files_come_in_pieces(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(os.urandom(3_000_000))
    chunks = list(Archiver(str(tmp_path / "big")).chunks())
    assert max(map(len, chunks)) < 300_000


def test_files_that_only_take_commands_are_empty(tmp_path: Path) -> None:
    (tmp_path / "cgroup.kill").touch(0o200)
    assert pack(tmp_path) == ({".": (tarfile.DIRTYPE, b""), "cgroup.kill": (tarfile.REGTYPE, b"")}, [])


@pytest.mark.parametrize(("number", "told"), [(errno.ENODEV, []), (errno.EINVAL, ["{}: invalid argument"])])
def test_a_file_that_cannot_be_read_is_named_unless_it_went_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: list[str]
) -> None:
    def read(path: str) -> Iterator[bytes]:
        raise OSError(number, os.strerror(number))
        yield b""

    (tmp_path / "file").write_bytes(b"text")
    monkeypatch.setattr(archive, "read_file", read)
    members, errors = pack(tmp_path)
    assert set(members) == {"."}
    assert errors == [text.format(tmp_path / "file") for text in told]

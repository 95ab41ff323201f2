"""List, DiskUsage, Read and Copy over the API."""

import asyncio
import io
import os
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dozen.linux import files
from dozen.node.api import streaming
from dozen.node.api.streaming import in_thread
from dozen.rpc.status import Code, RpcError

Ask = Callable[..., list[Any]]
LIST, READ, COPY, USAGE = (f"machine.MachineService/{name}" for name in ("List", "Read", "Copy", "DiskUsage"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "e" / "f").write_bytes(b"x" * 5000)
    (tmp_path / "d" / "g").write_bytes(b"y")
    (tmp_path / "l").symlink_to("d/g")
    return tmp_path


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [".", "d", "l"]),
        ({"recursion_depth": 7}, [".", "d", "l"]),
        ({"recurse": True}, [".", "d", "d/e", "d/e/f", "d/g", "l"]),
        ({"recurse": True, "recursion_depth": 2}, [".", "d", "d/e", "d/g", "l"]),
        ({"recurse": True, "types": [1]}, [".", "d", "d/e"]),
        ({"recurse": True, "types": [0, 2]}, ["d/e/f", "d/g", "l"]),
    ],
)
def test_list_depth_and_types(ask: Ask, tree: Path, fields: dict[str, Any], expected: list[str]) -> None:
    assert [info.relative_name for info in ask(LIST, root=str(tree), **fields)] == expected


def test_list_describes(ask: Ask, tree: Path) -> None:
    (tree / "d" / "g").chmod(0o4751)
    os.utime(tree / "d" / "g", (5, 1000))
    infos = {info.relative_name: info for info in ask(LIST, root=str(tree), recurse=True)}
    file, directory, link = infos["d/g"], infos["d"], infos["l"]
    assert (file.name, file.size, file.modified) == (f"{tree}/d/g", 1, 1000)
    assert file.mode == 1 << 23 | 0o751
    assert (file.uid, file.gid, file.is_dir, file.error) == (os.getuid(), os.getgid(), False, "")
    assert (directory.mode >> 31, directory.is_dir) == (1, True)
    assert (link.mode >> 27, link.link) == (1, "d/g")


def test_list_names_that_are_not_unicode(ask: Ask, tmp_path: Path) -> None:
    os.makedirs(os.fsencode(tmp_path) + b"/bad\xff")
    assert ask(LIST, root=str(tmp_path))[1].relative_name == "bad\ufffd"


def test_list_attributes(ask: Ask, tree: Path) -> None:
    try:
        os.setxattr(tree / "d" / "g", "user.key", b"value")
    except OSError:
        pytest.skip("the file system here keeps no attributes")
    (info,) = [info for info in ask(LIST, root=str(tree / "d"), report_xattrs=True) if info.relative_name == "g"]
    assert [(xattr.name, xattr.data) for xattr in info.xattrs] == [("user.key", b"value")]


def test_list_of_nothing(ask: Ask, tree: Path) -> None:
    with pytest.raises(RpcError) as error:
        ask(LIST, root=str(tree / "nowhere"))
    assert (error.value.code, error.value.message) == (Code.NOT_FOUND, f"{tree}/nowhere: no such file or directory")


def test_read(ask: Ask, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "READ_BYTES", 2000)
    assert [len(data.bytes) for data in ask(READ, path=f"{tree}/d/e/f")] == [2000, 2000, 1000]


def test_read_of_an_empty_file(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert ask(READ, path=str(tmp_path / "empty")) == []


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("d", Code.INVALID_ARGUMENT, "path must be a regular file"),
        ("none", Code.NOT_FOUND, "no such file"),
        ("l/none", Code.NOT_FOUND, "not a directory"),
    ],
)
def test_read_refuses(ask: Ask, tree: Path, name: str, code: Code, text: str) -> None:
    with pytest.raises(RpcError, match=text) as error:
        ask(READ, path=f"{tree}/{name}")
    assert error.value.code is code


def test_boot_id_can_be_read(ask: Ask) -> None:
    data = b"".join(data.bytes for data in ask(READ, path="/proc/sys/kernel/random/boot_id"))
    assert data == Path("/proc/sys/kernel/random/boot_id").read_bytes()


def test_copy(ask: Ask, tree: Path) -> None:
    packed = b"".join(data.bytes for data in ask(COPY, root_path=str(tree)))
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        assert sorted(archive.getnames()) == [".", "d", "d/e", "d/e/f", "d/g", "l"]


def test_copy_tells_at_the_end_what_is_missing(ask: Ask, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dozen.linux import archive

    real = files.read_file

    def read_file(path: str) -> Iterator[bytes]:
        if path.endswith("f"):
            raise OSError(5, "Input/output error", path)
        return real(path)

    monkeypatch.setattr(archive, "read_file", read_file)
    with pytest.raises(RpcError, match=r"complete but for .*/d/e/f: input/output error$") as error:
        ask(COPY, root_path=str(tree))
    assert error.value.code is Code.DATA_LOSS
    packed = b"".join(data.bytes for data in error.value.replies)  # type: ignore[attr-defined]
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as reader:
        assert "d/g" in reader.getnames()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ["d/e", "d", "."]),
        ({"all": True}, ["d/e/f", "d/e", "d/g", "d", "l", "."]),
        ({"recursion_depth": 1}, ["d", "."]),
        ({"all": True, "threshold": 4097}, ["d/e/f", "d/e", "d", "."]),
        ({"all": True, "threshold": -1}, ["d/g", "l"]),
    ],
)
def test_usage(
    ask: Ask, tree: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], expected: list[str]
) -> None:
    # Sizes by what the files hold: how many blocks that makes depends on the file system below.
    monkeypatch.setattr(files, "_take_size", lambda entry, _: 0 if entry.relative == "l" else entry.info.st_size or 1)
    assert [usage.relative_name for usage in ask(USAGE, paths=[str(tree)], **fields)] == expected


def test_usage_of_several_paths_goes_on_behind_one_that_is_missing(ask: Ask, tree: Path) -> None:
    infos = ask(USAGE, paths=[f"{tree}/none", f"{tree}/d/e"])
    assert [(info.relative_name, bool(info.error)) for info in infos] == [(f"{tree}/none", True), (".", False)]


def test_nothing_is_read_ahead_of_a_slow_reader() -> None:
    made = 0

    def endless() -> Iterator[int]:
        nonlocal made
        while True:
            made += 1
            yield made

    async def take_three() -> list[int]:
        items = in_thread(endless(), 2)
        taken = [await anext(items) for _ in range(3)]
        await items.aclose()
        return taken

    assert asyncio.run(take_three()) == [1, 2, 3]
    assert made == 4


def test_leaving_waits_for_the_thread_and_closes_the_generator() -> None:
    may_go_on = threading.Event()
    closed = []

    def blocked() -> Iterator[int]:
        try:
            yield 1
            may_go_on.wait(5)
            yield 2
        finally:
            closed.append(True)

    async def leave() -> None:
        items = in_thread(blocked(), 1)
        assert await anext(items) == 1
        reading = asyncio.ensure_future(anext(items))
        await asyncio.sleep(0.01)
        reading.cancel()
        may_go_on.set()
        await asyncio.wait({reading})
        assert reading.cancelled()
        await items.aclose()

    asyncio.run(leave())
    assert closed == [True]


def test_items_in_front_of_an_error_arrive() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise PermissionError(13, "Permission denied", "/x")

    async def collect() -> tuple[list[int], RpcError | None]:
        got = []
        try:
            async for item in in_thread(broken()):
                got.append(item)
        except RpcError as error:
            return got, error
        return got, None

    got, error = asyncio.run(collect())
    assert got == [1]
    assert error is not None
    assert (error.code, error.message) == (Code.PERMISSION_DENIED, "/x: permission denied")


def test_a_batch_ends_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)

    def slow() -> Iterator[int]:
        nonlocal now
        for number in range(10):
            now += streaming.BATCH_SECONDS / 2
            yield number

    taken, error, more = streaming._take_batch(slow(), 100)
    assert (taken, error, more) == ([0, 1], None, True)

"""Logs: lines, rings, files that rotate, followers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dozen.node import logs
from dozen.node.logs import LogBuffer, Logs


def test_bytes_become_visible_line_by_line() -> None:
    buffer = LogBuffer("x")
    buffer.write(b"one\ntw")
    assert buffer.tail(-1) == b"one\n"
    buffer.write(b"o\n")
    assert buffer.tail(-1) == b"one\ntwo\n"
    buffer.write(b"no end")
    buffer.flush()
    assert buffer.tail(1) == b"no end\n"


@pytest.mark.parametrize(
    ("asked", "expected"), [(0, b""), (1, b"c\n"), (2, b"b\nc\n"), (9, b"a\nb\nc\n"), (-1, b"a\nb\nc\n")]
)
def test_tail_counts_lines(asked: int, expected: bytes) -> None:
    buffer = LogBuffer("x")
    buffer.write(b"a\nb\nc\n")
    assert buffer.tail(asked) == expected


def test_the_ring_drops_the_oldest_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "RING_BYTES", 100)
    buffer = LogBuffer("x")
    for number in range(100):
        buffer.write(f"line {number:04}\n".encode())
    kept = buffer.tail(-1)
    assert len(kept) <= 100
    assert kept.endswith(b"line 0099\n")


def test_a_file_begins_with_what_was_in_memory(tmp_path: Path) -> None:
    every = Logs()
    every.open("apid").write(b"before\n")
    every.keep_in(tmp_path)
    every.open("apid").write(b"after\n")
    every.open("later").write(b"new\n")
    assert (tmp_path / "apid.log").read_bytes() == b"before\nafter\n"
    assert (tmp_path / "later.log").read_bytes() == b"new\n"
    every.let_go()
    every.open("apid").write(b"unseen\n")
    assert b"unseen" not in (tmp_path / "apid.log").read_bytes()


def test_files_rotate_and_the_oldest_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "FILE_BYTES", 20)
    every = Logs()
    every.keep_in(tmp_path)
    for number in range(8):
        every.open("x").write(f"line {number:05}\n".encode())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.log", "x.log.1", "x.log.2"]
    assert (tmp_path / "x.log").read_bytes() == b"line 00007\n"
    assert (tmp_path / "x.log.2").read_bytes() == b"line 00005\n"


def test_a_follower_gets_the_tail_and_then_what_comes() -> None:
    async def scenario() -> list[bytes]:
        buffer = LogBuffer("x")
        buffer.write(b"old\nrecent\n")
        stream = buffer.follow(1)
        got = [await anext(stream)]
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        buffer.write(b"new\n")
        got.append(await waiting)
        await stream.aclose()
        return got

    assert asyncio.run(scenario()) == [b"recent\n", b"new\n"]


def test_a_slow_follower_skips_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LAG_BYTES", 50)

    async def scenario() -> bytes:
        buffer = LogBuffer("x")
        stream = buffer.follow(0)
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        for number in range(100):
            buffer.write(f"line {number}\n".encode())
        return await first

    got = asyncio.run(scenario())
    assert len(got) < 200
    assert b"left out" in got
    assert got.endswith(b"line 99\n")


# -- Further back than memory.


async def read(buffer: LogBuffer, lines: int) -> bytes:
    return b"".join([piece async for piece in buffer.read(lines)])


@pytest.fixture
def long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LogBuffer:
    """A log of thirty-nine lines of twelve bytes, of which memory keeps four and each of three files up to ten."""
    monkeypatch.setattr(logs, "FILE_BYTES", 120)
    monkeypatch.setattr(logs, "RING_BYTES", 48)
    every = Logs()
    every.keep_in(tmp_path)
    for number in range(39):
        every.open("x").write(f"line {number:06}\n".encode())
    return every.open("x")


def numbered(*numbers: int) -> bytes:
    return b"".join(f"line {number:06}\n".encode() for number in numbers)


@pytest.mark.parametrize("lines", [0, 1, 4, 5, 8, 9, 10, 18, 19, 28])
def test_files_are_read_where_memory_does_not_reach(long: LogBuffer, lines: int) -> None:
    assert asyncio.run(read(long, lines)) == numbered(*range(39 - lines, 39))


def test_all_that_is_kept(long: LogBuffer) -> None:
    kept = asyncio.run(read(long, -1))
    assert kept.endswith(numbered(36, 37, 38))
    assert kept == asyncio.run(read(long, 1000))
    first = int(kept[5:11])
    assert kept == numbered(*range(first, 39))
    assert first <= 20


def test_a_follower_of_files_misses_nothing_while_they_rotate(long: LogBuffer) -> None:
    async def scenario() -> bytes:
        stream = long.follow(20)
        got = await anext(stream)
        for number in range(39, 79):
            long.write(f"line {number:06}\n".encode())
        while not got.endswith(numbered(78)):
            got += await anext(stream)
        await stream.aclose()
        return got

    assert asyncio.run(scenario()) == numbered(*range(19, 79))


def test_files_of_an_earlier_boot_are_read_too(tmp_path: Path) -> None:
    for words in (b"first boot\n", b"second boot\n"):
        every = Logs()
        every.keep_in(tmp_path)
        every.open("x").write(words)
    assert asyncio.run(read(every.open("x"), -1)) == b"first boot\nsecond boot\n"
    assert asyncio.run(read(every.open("x"), 1)) == b"second boot\n"
    every.let_go()
    assert asyncio.run(read(every.open("x"), -1)) == b"second boot\n"

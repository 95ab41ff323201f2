"""Named pipes: what is read, when it ends, and waiting for a reader that is slow."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dozen.linux.pipes import Pipes


async def collect(output: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in output])


def test_output_ends_when_its_writers_are_gone(tmp_path: Path) -> None:
    async def run() -> list[bytes]:
        pipes = Pipes(str(tmp_path / "p"), terminal=False)
        out, err = (os.open(path, os.O_WRONLY) for path in (pipes.stdout, pipes.stderr))
        reading = [asyncio.ensure_future(collect(output)) for output in pipes.outputs()]
        await asyncio.sleep(0)
        os.write(out, b"one ")
        await asyncio.sleep(0)
        os.write(out, b"two")
        os.write(err, b"oops")
        os.close(out)
        os.close(err)
        texts = await asyncio.gather(*reading)
        pipes.remove()
        return list(texts)

    assert asyncio.run(run()) == [b"one two", b"oops"]
    assert not (tmp_path / "p").exists()


def test_input_waits_for_room_and_ends(tmp_path: Path) -> None:
    sent = os.urandom(300_000)

    async def run() -> bytes:
        pipes = Pipes(str(tmp_path / "p"), terminal=False)
        reader = os.open(pipes.stdin, os.O_RDONLY | os.O_NONBLOCK)
        writing = asyncio.ensure_future(pipes.write(sent))
        await asyncio.sleep(0)
        assert not writing.done()
        got = bytearray()
        while len(got) < len(sent):
            try:
                got += os.read(reader, 50_000)
            except BlockingIOError:
                await asyncio.sleep(0)
        await writing
        pipes.close_input()
        assert os.read(reader, 10) == b""
        os.close(reader)
        await pipes.write(b"nobody reads this")
        pipes.remove()
        return bytes(got)

    assert asyncio.run(run()) == sent


def test_terminal_has_no_pipe_for_errors(tmp_path: Path) -> None:
    async def run() -> int:
        pipes = Pipes(str(tmp_path / "p"), terminal=True)
        count = len(pipes.outputs())
        assert pipes.stderr == ""
        assert sorted(os.listdir(tmp_path / "p")) == ["stdin", "stdout"]
        pipes.remove()
        return count

    assert asyncio.run(run()) == 1


def test_pipes_are_only_their_owners(tmp_path: Path) -> None:
    pipes = Pipes(str(tmp_path / "p"), terminal=False)
    assert (tmp_path / "p").stat().st_mode & 0o777 == 0o700
    assert Path(pipes.stdin).stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        Pipes(str(tmp_path / "p"), terminal=False)
    pipes.remove()

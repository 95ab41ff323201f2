"""Messages out of chunks: any cut gives the same messages, and credit adds up to what was taken."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.rpc.inbox import Inbox, frame_message
from dozen.rpc.status import Code, RpcError


@given(st.lists(st.binary(max_size=300), max_size=8), st.lists(st.integers(0, 3000), max_size=12), st.booleans())
def test_messages_survive_any_cut(messages: list[bytes], cuts: list[int], late: bool) -> None:
    data = b"".join(frame_message(message) for message in messages)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    chunks = [data[start:end] for start, end in itertools.pairwise(edges)]

    async def read() -> tuple[list[bytes], int]:
        credited: list[int] = []
        inbox = Inbox(asyncio.get_running_loop(), 1000, credited.append)
        if not late:
            for chunk in chunks:
                inbox.feed(chunk, False)
            inbox.end()
        reader = asyncio.create_task(read_all(inbox))
        if late:
            for chunk in chunks:
                await asyncio.sleep(0)
                inbox.feed(chunk, False)
            inbox.end()
        return await reader, sum(credited)

    assert asyncio.run(read()) == (messages, len(data))


async def read_all(inbox: Inbox) -> list[bytes]:
    messages = []
    while (message := await inbox.read_message()) is not None:
        messages.append(message)
    return messages


def test_credit_is_given_early_only_to_who_waits() -> None:
    async def run() -> None:
        credited: list[int] = []
        inbox = Inbox(asyncio.get_running_loop(), 1000, credited.append)
        whole = frame_message(bytes(100))
        inbox.feed(whole[:50], False)
        assert credited == []
        reader = asyncio.create_task(inbox.read_message())
        await asyncio.sleep(0)
        assert credited == [50]
        inbox.feed(whole[50:] + frame_message(b"next"), False)
        assert await reader == bytes(100)
        assert credited == [50, 55]
        assert await inbox.read_message() == b"next"
        assert sum(credited) == len(whole) + 9

    asyncio.run(run())


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\1\0\0\0\1x", Code.UNIMPLEMENTED),
        (b"\0\0\0\3\xe9", Code.RESOURCE_EXHAUSTED),
        (b"\0\0\0\0\5abc", Code.INTERNAL),
        (b"\0\0", Code.INTERNAL),
    ],
    ids=["compressed", "too large", "cut off", "cut off in its length"],
)
def test_broken_messages(data: bytes, code: Code) -> None:
    async def run() -> None:
        inbox = Inbox(asyncio.get_running_loop(), 1000, lambda size: None)
        inbox.feed(data, True)
        await inbox.read_message()

    with pytest.raises(RpcError) as error:
        asyncio.run(run())
    assert error.value.code is code


def test_messages_come_before_the_error_behind_them() -> None:
    async def run() -> None:
        inbox = Inbox(asyncio.get_running_loop(), 1000, lambda size: None)
        inbox.feed(frame_message(b"one"), False)
        inbox.end(RpcError(Code.ABORTED, "then"))
        assert await inbox.read_message() == b"one"
        with pytest.raises(RpcError, match="then"):
            await inbox.read_message()

    asyncio.run(run())


def test_chunks_are_the_bytes_as_they_came() -> None:
    async def run() -> None:
        credited: list[int] = []
        inbox = Inbox(asyncio.get_running_loop(), 1000, credited.append)
        inbox.feed(b"\1abc", False)
        inbox.feed(b"def", False)
        assert await inbox.read_chunk() == b"\1abcdef"
        assert inbox.take_chunk() == b""
        inbox.feed(b"g", True)
        assert await inbox.read_chunk() == b"g"
        assert await inbox.read_chunk() is None
        assert credited == []
        inbox.settle(8)
        assert credited == [8]

    asyncio.run(run())

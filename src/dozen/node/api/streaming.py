"""From blocking generators to streams of the API.

A generator that reads the disk runs in a thread, one batch at a time: the next batch is begun only after the last one
has been taken, so a slow reader slows the disk down and nothing piles up in between.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from typing import TypeVar

from dozen.linux.files import NotRegular, describe
from dozen.rpc.status import Code, RpcError

ItemT = TypeVar("ItemT")

# A batch ends at so many items or after so many seconds, whichever comes first.
BATCH_ITEMS = 256
BATCH_SECONDS = 0.02


async def in_thread(items: Iterator[ItemT], batch: int = BATCH_ITEMS) -> AsyncGenerator[ItemT, None]:
    """The items, made in a thread; an OSError behind them becomes the call's error. A generator is closed at the
    end.
    """
    try:
        while True:
            taking = asyncio.ensure_future(asyncio.to_thread(_take_batch, items, batch))
            try:
                taken, error, more = await asyncio.shield(taking)
            except asyncio.CancelledError:
                # The thread cannot be stopped, and a generator cannot be closed while it runs.
                await asyncio.wait({taking})
                raise
            taken.reverse()
            while taken:
                # Taken out, so that what a slow reader holds up is kept by nobody but the one who sends it.
                yield taken.pop()
            if error is not None:
                raise translate(error)
            if not more:
                return
    finally:
        if isinstance(items, Generator):
            items.close()


def _take_batch(items: Iterator[ItemT], size: int) -> tuple[list[ItemT], OSError | None, bool]:
    """Items, the error that came behind them, and whether there may be more."""
    until = time.monotonic() + BATCH_SECONDS
    taken: list[ItemT] = []
    while len(taken) < size and time.monotonic() < until:
        try:
            taken.append(next(items))
        except StopIteration:
            return taken, None, False
        except OSError as error:
            return taken, error, False
    return taken, None, True


async def run_blocking(function: Callable[..., ItemT], *arguments: object) -> ItemT:
    """Call a function that blocks on the machine, in a thread; its OSError becomes the call's error."""
    try:
        return await asyncio.to_thread(function, *arguments)
    except OSError as error:
        raise translate(error) from None


def translate(error: OSError) -> RpcError:
    """An error of the system as the status of a call."""
    if isinstance(error, NotRegular):
        return RpcError(Code.INVALID_ARGUMENT, describe(error))
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return RpcError(Code.NOT_FOUND, describe(error))
    if isinstance(error, PermissionError):
        return RpcError(Code.PERMISSION_DENIED, describe(error))
    return RpcError(Code.UNKNOWN, describe(error))


def printable(text: str) -> str:
    """A name as a protobuf string, which must be Unicode: bytes that are not UTF-8 become replacement characters."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

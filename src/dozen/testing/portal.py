"""An event loop for tests that are written one line after the other.

Connections to a node live longer than one test, and belong to the loop they were made in. So one loop runs in a thread
for as long as the tests do, and a test hands its coroutines in.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")

GRACE = 5.0
CANCEL_SECONDS = 30.0
"""How long what was cancelled may take to end."""


class Portal:
    """Runs coroutines in its own thread's loop; each call waits for its result."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="portal", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, ResultT], seconds: float = 60.0) -> ResultT:
        """What the coroutine returns or raises; TimeoutError when it takes longer. Who leaves with an error, be it a
        signal's, leaves no coroutine running."""

        ended = threading.Event()

        async def bounded() -> ResultT:
            try:
                async with asyncio.timeout(seconds):
                    return await coroutine
            finally:
                ended.set()

        # The loop enforces the limit; the second one is for a loop that is itself stuck.
        future = asyncio.run_coroutine_threadsafe(bounded(), self._loop)
        try:
            return future.result(seconds + GRACE)
        except BaseException:
            # A test that was interrupted or took too long leaves here while its coroutine runs on, with all that it
            # holds: what cleans up behind the test would find a cluster locked by nobody that can be seen.
            if future.cancel():
                ended.wait(CANCEL_SECONDS)
            raise

    def start(self, coroutine: Coroutine[Any, Any, ResultT]) -> Future[ResultT]:
        """Lets the coroutine run on its own; the future gives its result, and cancelling it cancels the coroutine."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(GRACE)
        self._loop.close()

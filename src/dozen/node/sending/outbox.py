"""What is to be sent and could not be yet. Bounded: the oldest goes first when there is too much."""

from __future__ import annotations

import asyncio
from collections import deque

# Messages and bytes that wait for a receiver that is away. A boot says about a megabyte.
MESSAGES, SIZE = 16384, 2 << 20


class Outbox:
    """Messages in order. What was taken and could not be sent is put back."""

    def __init__(self, messages: int = MESSAGES, size: int = SIZE) -> None:
        self._messages, self._size = messages, size
        self._waiting: deque[bytes] = deque()
        self._used = 0
        self._filled = asyncio.Event()
        # How many were let go since somebody asked.
        self.lost = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: bytes) -> None:
        self._waiting.append(message)
        self._used += len(message)
        self._filled.set()
        while len(self._waiting) > self._messages or self._used > self._size:
            self._used -= len(self._waiting.popleft())
            self.lost += 1

    def put_back(self, message: bytes) -> None:
        """As the oldest; it goes when there is no room for it."""
        if len(self._waiting) >= self._messages or self._used + len(message) > self._size:
            self.lost += 1
            return
        self._waiting.appendleft(message)
        self._used += len(message)
        self._filled.set()

    def take(self) -> bytes | None:
        """The oldest, None when there is none."""
        if not self._waiting:
            return None
        message = self._waiting.popleft()
        self._used -= len(message)
        return message

    async def wait(self) -> None:
        """Until there is something."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()

"""Waits for a booting machine to answer, watching for the ways in which it never will.

The question is asked again and again without waiting for the earlier ones: until the guest's network is up a connection
can hang in the emulator, and one that hangs must not hide that the next would be answered. But all that hang reach the
guest together once its network is up, each with a TLS handshake that costs an emulated machine tenths of a second, so
few are kept (a hundred made a boot of seven seconds one of twenty). Meanwhile the emulator may end or the guest's
kernel may die; both are said at once instead of after the deadline.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from dozen.provider.console import before_last_boot, count_boots, find_panic, last_lines, read_console
from dozen.provider.machines import Machine, OpenStep, ProviderError

AnswerT = TypeVar("AnswerT")

ASK_EVERY = 0.2
ASK_SECONDS = 10.0
MOST_PENDING = 3
LONGEST_PAUSE = 1.0
"""Attempts that hang at the same time, and the seconds between them once that many do: the oldest is given up for each
new one, so each has three seconds to be answered in."""
LOOK_EVERY = 0.5
NOTE_EVERY = 5.0
MOST_BOOTS = 2
"""A node that could not start restarts itself once in the hope of better luck; a third time tells nothing new."""


class NotYetError(Exception):
    """What a question raises while the machine cannot answer it, with the reason."""


class Resettable(Protocol):
    """The part of a provider that waiting needs."""

    def show(self, folder: Path) -> Machine | None: ...

    async def reset(self, folder: Path) -> None: ...


class Question(Generic[AnswerT]):
    """Asks again every `ASK_EVERY` seconds until an attempt is answered, less often while attempts hang; ``reason`` is
    why the last was not."""

    def __init__(self, ask: Callable[[], Awaitable[AnswerT]], every: float = ASK_EVERY) -> None:
        self._ask, self._every = ask, every
        self.reason = "none was made"

    async def answer(self) -> AnswerT:
        pending: list[asyncio.Task[AnswerT]] = []
        answered: asyncio.Task[AnswerT] | None = None
        try:
            while True:
                if len(pending) == MOST_PENDING:
                    pending.pop(0).cancel()
                pending.append(asyncio.create_task(self._attempt()))
                pause = self._every if len(pending) < MOST_PENDING else max(self._every, LONGEST_PAUSE)
                done, _ = await asyncio.wait(pending, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                pending = [task for task in pending if task not in done]
                for task in done:
                    error = task.exception()
                    if error is None:
                        answered = task
                    elif isinstance(error, (NotYetError, TimeoutError)):
                        self.reason = str(error) or "timed out"
                    else:
                        raise error
                if answered:
                    return answered.result()
                if done:
                    # A refusal comes at once; asking again at once would only burn time that the guest needs.
                    await asyncio.sleep(self._every)
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def _attempt(self) -> AnswerT:
        async with asyncio.timeout(ASK_SECONDS):
            return await self._ask()


async def await_answer(
    provider: Resettable,
    machine: Machine,
    ask: Callable[[], Awaitable[AnswerT]],
    step: OpenStep,
    seconds: float,
    every: float = ASK_EVERY,
    start: int = 0,
) -> AnswerT:
    """The first answer to ``ask``. A panic that the emulator caused is reported and the machine is reset, once.

    What the console said before byte ``start`` is of an earlier boot. Raises ProviderError with the console's last
    lines when the machine ends, its kernel dies, it restarts again and again, or time is up.
    """
    question = Question(ask, every)
    asking = asyncio.ensure_future(question.answer())
    watcher = Watcher(provider, machine, step, start)
    begun = time.monotonic()
    try:
        while not asking.done():
            await asyncio.wait([asking], timeout=LOOK_EVERY)
            if not asking.done():
                await watcher.look()
                if time.monotonic() - begun > seconds:
                    raise watcher.failure(f"no answer within {seconds:.0f} s (last attempt: {question.reason})")
        return asking.result()
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


class Watcher:
    """Looks at a machine from outside while it boots."""

    def __init__(self, provider: Resettable, machine: Machine, step: OpenStep, start: int = 0) -> None:
        self.provider, self.machine, self.step = provider, machine, step
        self.resets = 0
        self._start = start
        self._noted, self._line = time.monotonic(), ""

    async def look(self) -> None:
        """Raises ProviderError when there is nothing left to wait for; resets the machine once if that may help."""
        console = read_console(self.machine.console, self._start)
        present = self.provider.show(self.machine.folder)
        if present is None or present.pid is None:
            raise self.failure("the emulator ended")
        if panic := find_panic(console):
            if not panic.emulator or self.resets:
                raise self.failure(f"the guest's kernel died: {panic}")
            self.resets += 1
            self._start = self.machine.console.stat().st_size
            self.step.note(f"the guest's kernel died early in its boot ({panic}), which the emulator causes: once more")
            await self.provider.reset(self.machine.folder)
        elif count_boots(console) > MOST_BOOTS:
            raise self.failure("it restarts again and again", before_last_boot(console))
        self._note_progress(console)

    def _note_progress(self, console: str) -> None:
        line = last_lines(console, 1).removeprefix("  console: ")
        if line != self._line and time.monotonic() - self._noted >= NOTE_EVERY:
            self._noted, self._line = time.monotonic(), line
            self.step.note(line)

    def failure(self, message: str, console: str | None = None) -> ProviderError:
        console = console or read_console(self.machine.console, self._start)
        hint = f"all that it said is in {self.machine.console}"
        return ProviderError(f"{self.machine.name}: {message}", hint, last_lines(console) or "  its console is empty")

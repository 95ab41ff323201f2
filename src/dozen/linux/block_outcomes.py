"""What came of each effect on a block device: written down by the runners, published by the watcher of devices.

An effect cannot put a resource, and a plan cannot see an exception; yet what to do about a file system that did not
mount is a decision, so it belongs into a plan. The runners in `dozen.linux.block` and `dozen.linux.mounts` note their
outcome here, and the watcher of devices publishes the notes together with a fresh look at the device. An effect ends
only when that has happened, so the plan after it never works on old news.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from dozen.linux.block_kinds import OutcomeSpec, outcome_id

PATIENCE = 5.0  # seconds that an effect waits for its outcome to be published


class Outcomes:
    """The last outcome of each action on each device, in memory."""

    def __init__(self) -> None:
        self._specs: dict[str, OutcomeSpec] = {}
        self._listeners: list[Callable[[str], None]] = []
        self._number = 0
        self._waiting: dict[int, asyncio.Future[None]] = {}

    async def record(self, device: str, action: str, result: str, message: str = "", generation: int = 0) -> None:
        """Note the outcome, and wait until it is published; ``device`` is its name in /dev."""
        self._number += 1
        spec = OutcomeSpec(
            device=device,
            action=action,
            result=result,
            message=message,
            generation=generation,
            number=self._number,
        )
        self._specs[outcome_id(device, action)] = spec
        if not self._listeners:
            return
        published = self._waiting[spec.number] = asyncio.get_running_loop().create_future()
        for listener in tuple(self._listeners):
            listener(device)
        with suppress(TimeoutError):  # a device that cannot be read any more must not hold up the engine
            await asyncio.wait_for(published, PATIENCE)
        self._waiting.pop(spec.number, None)

    def mark_published(self, number: int) -> None:
        """The outcome with this number can be seen by plans."""
        waiting = self._waiting.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def listen(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Call ``listener`` with the device's name after each effect, until the returned function is called."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @property
    def specs(self) -> dict[str, OutcomeSpec]:
        return dict(self._specs)


# One per process, because there is one set of devices.
OUTCOMES = Outcomes()

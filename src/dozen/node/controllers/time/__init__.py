"""The clock of a node: asking time servers how wrong it is, and deciding what to do about it.

A container's clock is its host's: there nothing is asked and the time counts as right.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dozen.engine.publisher import Watcher
    from dozen.engine.store import Store
    from dozen.machinery.plan import Controller


def time_controllers(managed: bool = True) -> Iterator[Controller]:
    """Everything that plans; ``managed`` is False where the host keeps the clock."""
    from dozen.node.controllers.time.discipline import ClockController

    yield ClockController(managed)


def time_watchers(store: Store, log: logging.Logger, managed: bool = True) -> Iterator[Watcher]:
    """Everything that observes."""
    if managed:
        from dozen.node.controllers.time.measure import AdjtimeWatcher, TimeWatcher
        from dozen.node.controllers.time.patience import PatienceWatcher

        yield PatienceWatcher(store)
        yield TimeWatcher(store, log)
        yield AdjtimeWatcher(store)

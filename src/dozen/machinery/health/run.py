"""Runs the checks one after another and says what it waits for, in lines that people read as they come."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence

from dozen.machinery.health.checks import Check, Skipped
from dozen.machinery.health.view import Unmet, View

PERIOD = 2.0


class Unhealthy(Exception):
    """Time ran out; the message says what was waited for and what was missing."""


async def run_checks(view: View, checks: Sequence[Check], timeout: float) -> AsyncIterator[str]:
    """Lines about each check; ends when all hold. Raises Unhealthy after ``timeout`` seconds."""
    end = time.monotonic() + timeout
    yield f"discovered nodes: {json.dumps([node.address for node in await view.nodes()])}"
    for check in checks:
        yield f"waiting for {check.name}: ..."
        said = ""
        while True:
            try:
                # One question may hang on a node that is gone; it must not outlast the whole.
                await asyncio.wait_for(check.ask(view), max(end - time.monotonic(), 0.1))
            except Skipped as reason:
                yield f"waiting for {check.name}: SKIP ({reason})"
                break
            except (Unmet, TimeoutError) as problem:
                reason_now = str(problem) or "no answer in time"
                if reason_now != said:
                    said = reason_now
                    yield f"waiting for {check.name}: {said}"
            else:
                yield f"waiting for {check.name}: OK"
                break
            if time.monotonic() + PERIOD > end:
                raise Unhealthy(f"waiting for {check.name}: {said}")
            await asyncio.sleep(PERIOD)

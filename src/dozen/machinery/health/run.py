"""Runs the checks one after another and says what it waits for, in lines that people read as they come.

The order of the checks is what clients know, and its first ones wait longest: etcd comes up late on a node whose clock
is off, and never on one with another cluster's data. So whatever is waited for, what the nodes themselves say is wrong
with them is said beside it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence

from dozen.machinery.health.checks import Check, Skipped, nothing_is_diagnosed
from dozen.machinery.health.view import Node, Unmet, View, diagnosed

PERIOD = 2.0
# How long a node may take to tell its problems, seconds: one that is gone must not hold up the checks.
REPORT_SECONDS = 5.0


class Unhealthy(Exception):
    """Time ran out; the message says what was waited for and what was missing."""


async def run_checks(view: View, checks: Sequence[Check], timeout: float) -> AsyncIterator[str]:
    """Lines about each check; ends when all hold. Raises Unhealthy after ``timeout`` seconds."""
    end = time.monotonic() + timeout
    yield f"discovered nodes: {json.dumps([node.address for node in await view.nodes()])}"
    reported: set[str] = set()
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
            reports = [] if check.ask is nothing_is_diagnosed else await _reports(view)
            for report in reports:
                if report not in reported:
                    yield f"waiting for {check.name}: {report}"
            reported.update(reports)
            if time.monotonic() + PERIOD > end:
                raise Unhealthy(f"waiting for {check.name}: {'; '.join([said, *reports])}")
            await asyncio.sleep(PERIOD)


async def _reports(view: View) -> list[str]:
    """What the nodes that answer say is wrong with them, a sentence each that names the node."""

    async def ask(node: Node) -> list[str]:
        try:
            found = await asyncio.wait_for(diagnosed(view, node), REPORT_SECONDS)
        except (Unmet, TimeoutError):
            return []  # whether it answers is a check of its own
        return [f"{node.address} reports: {text}" for text in found]

    return [report for reports in await asyncio.gather(*map(ask, await view.nodes())) for report in reports]

"""What is asked of a booting machine must not be what slows it down."""

from __future__ import annotations

import asyncio

import pytest

from dozen.provider import waiting
from dozen.provider.waiting import NotYetError, Question


def test_few_attempts_hang_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection made before the guest's network is up hangs; a hundred such would all be served at once later."""
    monkeypatch.setattr(waiting, "LONGEST_PAUSE", 0.002)
    hanging, most, started = 0, 0, 0

    async def ask() -> str:
        nonlocal hanging, most, started
        started += 1
        if started > 20:
            return "here"
        hanging += 1
        most = max(most, hanging)
        try:
            await asyncio.Event().wait()
        finally:
            hanging -= 1
        raise AssertionError("an event that nobody sets was set")

    assert asyncio.run(Question(ask, every=0.001).answer()) == "here"
    assert (most, hanging) == (waiting.MOST_PENDING, 0)


def test_a_refusal_is_kept_as_the_reason() -> None:
    answers = iter([NotYetError("connection refused"), None])

    async def ask() -> str:
        if error := next(answers):
            raise error
        return "here"

    question = Question(ask, every=0.001)
    assert asyncio.run(question.answer()) == "here"
    assert question.reason == "connection refused"

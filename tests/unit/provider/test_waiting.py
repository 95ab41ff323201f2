"""Waiting for an answer: from a machine that answers late, panics, ends, or never answers."""

import asyncio
import gc
from dataclasses import replace
from pathlib import Path

import pytest

from dozen.provider import waiting
from dozen.provider.machines import Machine, OpenStep, ProviderError, Step
from dozen.provider.waiting import NotYetError, await_answer

EMULATOR_PANIC = "[ 0.5] Oops: invalid opcode\n[ 0.5] RIP: 0010:sched_clock_cpu+5\n"


class FakeProvider:
    """A machine whose console is a file; resetting it writes ``after_reset``."""

    def __init__(self, folder: Path, after_reset: str = "") -> None:
        self.machine = Machine("one", folder, "127.0.0.1:1", "image", pid=7)
        self.after_reset, self.resets = after_reset, 0

    def show(self, folder: Path) -> Machine | None:
        return self.machine

    async def reset(self, folder: Path) -> None:
        self.resets += 1
        self.say(self.after_reset)

    def say(self, text: str) -> None:
        with self.machine.console.open("a") as file:
            file.write(text)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LOOK_EVERY", 0.005)
    monkeypatch.setattr(waiting, "NOTE_EVERY", 0.0)


def wait(provider: FakeProvider, ask, seconds: float = 30.0) -> tuple[object, list[Step]]:
    seen: list[Step] = []
    step = OpenStep("api", seen.append)
    answer = asyncio.run(await_answer(provider, provider.machine, ask, step, seconds, every=0.005))
    return answer, seen


def answers_at(attempt: int):
    count = 0

    async def ask() -> int:
        nonlocal count
        count += 1
        if count < attempt:
            raise NotYetError("refused")
        return count

    return ask


async def never() -> None:
    raise NotYetError("connection refused")


def test_it_asks_until_it_is_answered(tmp_path: Path) -> None:
    assert wait(FakeProvider(tmp_path), answers_at(4))[0] == 4


def test_an_attempt_that_hangs_hides_no_later_one(tmp_path: Path) -> None:
    count = 0

    async def ask() -> int:
        nonlocal count
        count += 1
        if count == 1:
            await asyncio.Event().wait()
        return count

    assert wait(FakeProvider(tmp_path), ask)[0] == 2


def test_an_attempt_that_fails_beside_the_answer_is_not_left_lying(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    count = 0
    gate: asyncio.Event | None = None

    async def ask() -> str:
        nonlocal count, gate
        gate = gate or asyncio.Event()
        count += 1
        mine = count
        if mine == 3:
            gate.set()
        await gate.wait()
        if mine < 3:
            raise NotYetError("late")
        return "answer"

    assert wait(FakeProvider(tmp_path), ask)[0] == "answer"
    gc.collect()
    assert "never retrieved" not in caplog.text


def test_a_refusal_is_no_reason_to_ask_again(tmp_path: Path) -> None:
    async def refused() -> None:
        raise PermissionError("not authorized")

    with pytest.raises(PermissionError):
        wait(FakeProvider(tmp_path), refused)


def test_a_panic_of_the_emulator_is_said_and_answered_by_one_reset(tmp_path: Path) -> None:
    provider = FakeProvider(tmp_path)
    provider.say(EMULATOR_PANIC)

    async def ask() -> str:
        if not provider.resets:
            raise NotYetError("dead")
        return "up"

    answer, seen = wait(provider, ask)
    assert (answer, provider.resets) == ("up", 1)
    assert "once more" in seen[0].text
    assert "sched_clock_cpu" in seen[0].text


def test_a_second_panic_is_final(tmp_path: Path) -> None:
    provider = FakeProvider(tmp_path, after_reset=EMULATOR_PANIC)
    provider.say(EMULATOR_PANIC)
    with pytest.raises(ProviderError, match="kernel died"):
        wait(provider, never)
    assert provider.resets == 1


def test_a_panic_of_our_own_is_never_hidden(tmp_path: Path) -> None:
    provider = FakeProvider(tmp_path)
    provider.say("[ 4.0] Kernel panic - not syncing: Attempted to kill init! exitcode=0x100\n")
    with pytest.raises(ProviderError, match="Attempted to kill init"):
        wait(provider, never)
    assert provider.resets == 0


def test_an_emulator_that_ended_is_said_at_once_with_the_last_lines(tmp_path: Path) -> None:
    provider = FakeProvider(tmp_path)
    provider.say("machined: waiting for a disk\n")
    provider.machine = replace(provider.machine, pid=None)
    with pytest.raises(ProviderError) as caught:
        wait(provider, never)
    assert "the emulator ended" in caught.value.message
    assert "waiting for a disk" in caught.value.detail


def test_a_node_that_restarts_again_and_again_is_not_waited_for(tmp_path: Path) -> None:
    provider = FakeProvider(tmp_path)
    for number in range(3):
        provider.say(f"[ 0.0] Linux version 6.12\ninit: the seal is broken ({number})\n")
    with pytest.raises(ProviderError, match="again and again") as caught:
        wait(provider, never)
    assert "the seal is broken (1)" in caught.value.detail


def test_an_earlier_boot_does_not_count(tmp_path: Path) -> None:
    provider = FakeProvider(tmp_path)
    provider.say("[ 4.0] Kernel panic - not syncing: Attempted to kill init! exitcode=0x100\n")
    size = provider.machine.console.stat().st_size
    step = OpenStep("api", lambda step: None)
    assert asyncio.run(await_answer(provider, provider.machine, answers_at(3), step, 30, 0.005, start=size)) == 3


def test_time_runs_out_with_the_reason_of_the_last_attempt(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match="connection refused"):
        wait(FakeProvider(tmp_path), never, seconds=0.05)


def test_what_the_console_says_last_is_passed_on(tmp_path: Path) -> None:
    provider = FakeProvider(tmp_path)
    provider.say("one\nmounting /var\n")
    _, seen = wait(provider, answers_at(6))
    assert "mounting /var" in [step.text for step in seen]

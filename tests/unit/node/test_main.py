"""The entrance of the node: which program a name is, and that every path of PID 1 ends in an end."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import threading
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dozen.linux import sys as linux
from dozen.node import ahead, apid, dashboard, main, poweroff, process, sequences, trustd
from dozen.node.ending import Ending
from dozen.node.tasks import stopping


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would change this very process is left out."""
    monkeypatch.setattr(main, "import_lazily", lambda: None)
    monkeypatch.setattr(logging, "shutdown", lambda: None)
    monkeypatch.setattr(os, "chdir", lambda _: None)
    monkeypatch.setattr(os, "umask", lambda _: 0)
    monkeypatch.setattr(os, "sync", lambda: None)


@pytest.mark.parametrize(
    ("name", "module"),
    [("apid", apid), ("trustd", trustd), ("dashboard", dashboard), ("poweroff", poweroff), ("shutdown", poweroff)],
)
def test_a_name_is_a_program(monkeypatch: pytest.MonkeyPatch, name: str, module: Any) -> None:
    told: list[object] = []

    async def run(*arguments: object) -> int:
        told.extend(arguments)
        return 7

    monkeypatch.setattr(module, "run", run)
    assert main.main(name, ["-r"]) == 7
    assert told == ([name, ["-r"]] if module is poweroff else [])


def test_another_name_is_told_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main("sh", []) == 2
    assert capsys.readouterr().err.startswith("sh: not a name of this program; it is init, apid,")


@pytest.mark.parametrize("name", ["init", "machined"])
def test_machined_is_pid_1_or_nothing(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(name, []) == 2
    assert "runs as PID 1 only" in capsys.readouterr().err


class Life:
    """What became of a PID 1 whose life is ``live``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, container: bool, live: Any) -> None:
        self.ended = ""
        self.words = ""
        self.ahead: dict[str, ahead.Started] = {}

        async def live_and_end(started: dict[str, ahead.Started]) -> str:
            self.ahead = started
            kind: str = live()
            return kind

        monkeypatch.setattr(os, "getpid", lambda: 1)
        monkeypatch.setattr(main, "container_mode", lambda: container)
        monkeypatch.setattr(main, "live_and_end", live_and_end)
        monkeypatch.setattr(main, "finish", self.finish)
        monkeypatch.setattr(main, "say_last_words", self.say)
        monkeypatch.setattr(ahead, "start_apid", lambda: {"apid": (5, 6)})
        self.code = main.main("init", [])

    def finish(self, kind: str) -> int:
        self.ended = kind
        return 0

    def say(self, text: str) -> None:
        self.words = text


@pytest.mark.parametrize(("container", "started"), [(True, {}), (False, {"apid": (5, 6)})])
def test_a_life_ends_as_it_was_asked_to(monkeypatch: pytest.MonkeyPatch, container: bool, started: object) -> None:
    life = Life(monkeypatch, container, lambda: "shutdown")
    assert (life.code, life.ended, life.words) == (0, "shutdown", "")
    assert life.ahead == started


def test_a_failure_is_said_and_the_machine_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise RuntimeError("the store is upside down")

    life = Life(monkeypatch, False, fail)
    assert life.ended == "reboot"
    assert "RuntimeError: the store is upside down" in life.words


@pytest.mark.parametrize(
    ("kind", "container", "asked"),
    [
        ("reboot", False, [linux.RB_AUTOBOOT]),
        ("shutdown", False, [linux.RB_POWER_OFF]),
        ("reboot", True, []),
    ],
)
def test_only_a_machine_is_handed_back_to_its_kernel(
    monkeypatch: pytest.MonkeyPatch, kind: str, container: bool, asked: list[int]
) -> None:
    done: list[int] = []
    monkeypatch.setattr(main, "container_mode", lambda: container)
    monkeypatch.setattr(linux, "reboot", done.append)
    main.finish(kind)
    assert done == asked


def test_a_disk_that_does_not_answer_holds_no_end_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that sit in the kernel: one of the loop's, one that syncs, and after a failure another one."""
    over = threading.Event()
    done: list[int] = []

    async def live_and_end(_: object) -> str:
        stuck = asyncio.get_running_loop().run_in_executor(None, over.wait)
        await stopping.sync_disks(cast("Any", SimpleNamespace(log=logging.getLogger("test"))))
        assert not stuck.done()
        raise RuntimeError("and then it fails")

    monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr(os, "sync", over.wait)
    monkeypatch.setattr(ahead, "start_apid", dict)
    monkeypatch.setattr(main, "live_and_end", live_and_end)
    monkeypatch.setattr(main, "container_mode", lambda: False)
    monkeypatch.setattr(main, "say_last_words", lambda _: None)
    monkeypatch.setattr(stopping, "SYNC_BOUND", 0.1)
    monkeypatch.setattr(linux, "reboot", done.append)
    began = time.monotonic()
    try:
        main.main("init", [])
    finally:
        over.set()
    assert done == [linux.RB_AUTOBOOT]
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("ending", "handed_back"),
    [
        (Ending("reboot"), [linux.RB_AUTOBOOT]),
        (Ending("shutdown"), [linux.RB_POWER_OFF]),
        (Ending("reset", restart=True), []),
    ],
)
def test_an_end_that_holds_the_very_loop_has_a_bound(
    monkeypatch: pytest.MonkeyPatch, ending: Ending, handed_back: list[int]
) -> None:
    """As writing a log to a disk does that does not answer. A reset is wiping a disk, perhaps, and may take long."""
    done: list[int] = []
    handed_over = threading.Event()

    def reboot(command: int) -> None:
        done.append(command)
        handed_over.set()

    async def run_sequence(machine: Any, sequence: Any, actor: str = "") -> None:
        if sequence.name == "boot":
            machine.request_ending(ending)
        elif sequence.name == ending.kind:
            handed_over.wait(1.0)

    monkeypatch.setattr(sequences, "run_sequence", run_sequence)
    monkeypatch.setattr(process.Reaper, "install", lambda *_: None)
    monkeypatch.setattr(main, "container_mode", lambda: False)
    monkeypatch.setattr(main, "ENDING_BOUND", 0.1)
    monkeypatch.setattr(linux, "reboot", reboot)
    asyncio.run(main.live_and_end({}))
    assert done == handed_back


def test_last_words_are_where_somebody_can_see_them(monkeypatch: pytest.MonkeyPatch) -> None:
    said: dict[str, str] = {}

    class Stream(io.StringIO):
        def __init__(self, path: str) -> None:
            super().__init__()
            self.path = path

        def close(self) -> None:
            said[self.path] = self.getvalue()

    def open_device(path: str, mode: str) -> Stream:
        if path == "/dev/kmsg":
            raise PermissionError
        return Stream(path)

    monkeypatch.setattr(main, "open", open_device, raising=False)
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    main.say_last_words("one\ntwo")
    lines = "[dozen] machined failed, the machine starts again:\n[dozen] one\n[dozen] two\n"
    assert said == {"/dev/console": lines}
    assert slept == [main.READING_TIME]

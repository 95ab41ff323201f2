"""PID 1's own log, on its two ways: into the kernel's ring and into the log that the API shows."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

from dozen.node.journal import RECORD_BYTES, JournalHandler, attach_journal
from dozen.node.logs import LogBuffer


@pytest.fixture
def buffer() -> LogBuffer:
    return LogBuffer("machined")


@pytest.fixture
def kernel() -> Iterator[tuple[int, int]]:
    """(read, write): a pipe in the place of /dev/kmsg that keeps each record apart."""
    ends = os.pipe2(os.O_DIRECT | os.O_NONBLOCK)
    yield ends
    for end in ends:
        os.close(end)


def record(text: str, level: int = logging.INFO) -> logging.LogRecord:
    made = logging.LogRecord("dozen.x", level, __file__, 1, text, (), None)
    made.created = 0.0
    return made


@pytest.mark.parametrize(
    ("level", "prefix", "word"),
    [
        (logging.CRITICAL, b"<11>", "critical"),
        (logging.ERROR, b"<11>", "error"),
        (logging.WARNING, b"<12>", "warning"),
        (logging.INFO, b"<14>", "info"),
        (logging.DEBUG, b"<15>", "debug"),
    ],
)
def test_the_kernel_is_told_how_bad_it_is(
    buffer: LogBuffer, kernel: tuple[int, int], level: int, prefix: bytes, word: str
) -> None:
    JournalHandler(buffer, kernel[1]).emit(record("here", level))
    assert os.read(kernel[0], 2000) == prefix + f"[dozen] {word} dozen.x here".encode()
    assert buffer.tail(-1) == f"1970-01-01T00:00:00Z {word} dozen.x here\n".encode()


def test_each_line_is_a_record_that_the_kernel_takes_whole(buffer: LogBuffer, kernel: tuple[int, int]) -> None:
    JournalHandler(buffer, kernel[1]).emit(record("one\n" + "x" * 2000))
    assert os.read(kernel[0], 5000) == b"<14>[dozen] info dozen.x one"
    assert len(os.read(kernel[0], 5000)) == RECORD_BYTES
    assert b"x" * 2000 in buffer.tail(-1)


def test_a_traceback_comes_along(buffer: LogBuffer, kernel: tuple[int, int]) -> None:
    made = record("failed", logging.ERROR)
    try:
        raise OSError("no such disk")
    except OSError as error:
        made.exc_info = (OSError, error, error.__traceback__)
    JournalHandler(buffer, kernel[1]).emit(made)
    assert buffer.tail(1) == b"OSError: no such disk\n"
    assert os.read(kernel[0], 5000) == b"<11>[dozen] error dozen.x failed"


def test_a_kernel_that_takes_nothing_is_no_reason_to_fail(buffer: LogBuffer, kernel: tuple[int, int]) -> None:
    JournalHandler(buffer, kernel[0]).emit(record("here"))  # this end cannot be written to
    assert buffer.tail(-1).endswith(b"here\n")


def test_without_a_kernel_of_its_own_it_goes_to_whoever_started_the_machine(
    buffer: LogBuffer, capsys: pytest.CaptureFixture[str]
) -> None:
    JournalHandler(buffer, None).emit(record("here"))
    assert capsys.readouterr().err == "[dozen] info dozen.x here\n"


def test_everything_that_the_node_logs_goes_there(buffer: LogBuffer, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger("dozen")
    before = root.handlers[:], root.propagate, root.level
    try:
        attach_journal(buffer, to_kernel=False)
        attach_journal(buffer, to_kernel=False)  # a second time changes nothing
        logging.getLogger("dozen.deep.inside").info("key=%s", "value")
        logging.getLogger("dozen.deep.inside").debug("not this")
    finally:
        root.handlers[:], root.propagate = before[0], before[1]
        root.setLevel(before[2])
    assert capsys.readouterr().err == "[dozen] info dozen.deep.inside key=value\n"

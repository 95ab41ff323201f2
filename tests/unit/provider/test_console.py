"""Which console means which trouble (cases as data), and what a person is shown of a console."""

from pathlib import Path

import pytest
import yaml

from dozen.provider.console import find_panic, last_lines, read_console

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases/provider/panics.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_panic_is_told_from_its_console(case: dict) -> None:
    panic = find_panic(case["console"])
    if case["why"] is None:
        assert panic is None
    else:
        assert panic is not None
        assert (panic.why, panic.where, panic.emulator) == (case["why"], case["where"], case["emulator"])


def test_the_log_is_read_without_terminal_codes(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_bytes(b"\x1bc\x1b[2J\x1b[!p\x1b]104\x1b\\\x1b[?7h[    0.1] \x1b[1mhello\x1b[0m\r\n\x00\xffnext\n")
    assert read_console(log) == "[    0.1] hello\n\ufffdnext\n"


def test_a_log_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    assert read_console(tmp_path / "console.log") == ""


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_bytes(b"first\n" + b"x" * 1_000_000 + b"\nlast\n")
    text = read_console(log)
    assert "first" not in text
    assert text.endswith("\nlast\n")


def test_last_lines_leave_blank_ones_out() -> None:
    assert last_lines("a\n\n b \n   \nc\n", 2) == "  console:  b\n  console: c"

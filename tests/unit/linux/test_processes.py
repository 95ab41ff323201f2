"""Processes: names that try to fool the parser, and processes that vanish while being read."""

from pathlib import Path

import pytest

from dozen.linux.processes import parse_process_stat, read_processes

# Fields behind the name: state, ppid, …, utime=14th and stime=15th of all, threads=20th, vsize=23rd, rss=24th.
TAIL = "S 1 1 1 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 3 0 99 1048576 16 0"


@pytest.mark.parametrize("name", ["init", "a b", "(x) S 9", ")", ""])
def test_name_may_hold_anything(name: str) -> None:
    process = parse_process_stat(f"42 ({name}) {TAIL}", 4096)
    assert process == (42, 1, "S", 3, 3.0, 1048576, 65536, name, "", "", "")


@pytest.mark.parametrize("text", ["", "42", "42 (x) S 1", "x (y) " + TAIL])
def test_broken_lines_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a line"):
        parse_process_stat(text, 4096)


def make_process(proc: Path, pid: int, *, arguments: bytes = b"") -> Path:
    folder = proc / str(pid)
    (folder / "attr").mkdir(parents=True)
    (folder / "stat").write_text(f"{pid} (name) {TAIL}\n")
    (folder / "cmdline").write_bytes(arguments)
    return folder


def test_processes_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    make_process(tmp_path, 10, arguments=b"/sbin/init\0--flag\0a b\0").joinpath("exe").symlink_to("/sbin/init")
    make_process(tmp_path, 9).joinpath("attr", "current").write_text("unconfined\n")
    (tmp_path / "self").mkdir()
    (tmp_path / "11").mkdir()
    kernel, init = read_processes(tmp_path)
    assert (kernel.pid, kernel.args, kernel.executable, kernel.label) == (9, "", "", "unconfined")
    assert (init.pid, init.args, init.executable) == (10, "/sbin/init --flag a b", "/sbin/init")

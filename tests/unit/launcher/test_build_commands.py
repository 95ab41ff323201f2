"""What the launcher is compiled with: nothing of the machine, and everything that hardens it."""

from __future__ import annotations

import pytest

from dozen.compose.launcher import INIT_SOURCES, SOURCES, STAGE1_SOURCES, compile_commands


def test_the_commands_are_the_same_each_time() -> None:
    assert compile_commands() == compile_commands()


def test_every_source_file_is_compiled_into_something() -> None:
    assert {path.name for path in SOURCES.glob("*.c")} == {*INIT_SOURCES, *STAGE1_SOURCES}


@pytest.mark.parametrize(
    "flag", ["-Werror", "-D_FORTIFY_SOURCE=3", "-fstack-protector-strong", "-Wl,-z,now", "-Wl,--build-id=none"]
)
def test_both_programs_are_hardened(flag: str) -> None:
    assert all(flag in command for command in compile_commands())


def test_paths_are_the_toolroots() -> None:
    absolute = {word for command in compile_commands() for word in command if word.startswith("/")}
    assert all(word.startswith("/tmp/") for word in absolute)

"""Compiling: kept by source, and canonical. The toolroot is played by this interpreter."""

import contextlib
import io
import json
import marshal
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from dozen.compose.bytecode import COMPILER, Source, compile_all
from dozen.compose.errors import ComposeError, ToolError
from dozen.compose.objects import get_object, put_object


class Interpreter:
    """Runs the compiler's text in this process; counts the modules that it was given."""

    key = "fake"

    def __init__(self) -> None:
        self.compiled: list[str] = []

    def run(self, argv: Sequence[str], *, input: bytes) -> bytes:
        self.compiled += [name for name, _text in json.loads(input)]
        out = io.StringIO()
        before = sys.stdin
        sys.stdin = io.StringIO(input.decode())
        try:
            with contextlib.redirect_stdout(out):
                exec(compile(COMPILER, "compiler", "exec"), {})
        except SystemExit as error:
            raise ToolError("`python3.13` failed", str(error.code)) from error
        finally:
            sys.stdin = before
        return out.getvalue().encode()


@pytest.fixture
def interpreter() -> Any:
    return Interpreter()


def source(name: str, text: str) -> Source:
    return Source(name, put_object(text.encode()))


def test_one_changed_file_compiles_one_file(interpreter: Any) -> None:
    a, b = source("/a.py", "x = 1"), source("/b.py", "y = 2")
    compile_all([a, b], interpreter)
    compile_all([a, source("/b.py", "y = 3")], interpreter)
    assert interpreter.compiled == ["/a.py", "/b.py", "/b.py"]


def test_docstrings_and_assertions_are_gone_and_the_name_is_the_images(interpreter: Any) -> None:
    made = compile_all([source("/usr/lib/a.py", '"doc"\ndef f():\n    "doc of f"\n    assert 0\n')], interpreter)
    data = get_object(made["/usr/lib/a.py"])
    assert data[4:8] == b"\1\0\0\0"
    code = marshal.loads(data[16:])
    assert code.co_filename == "/usr/lib/a.py"
    assert b"doc" not in data
    assert b"AssertionError" not in data


def test_company_does_not_change_the_result(interpreter: Any, cache, monkeypatch, tmp_path) -> None:
    text = "X = ('shared', 'words', 1.5)\ndef shared(words=X): return [words, 'shared', 1.5]\n"
    alone = compile_all([source("/a.py", text)], interpreter)["/a.py"]
    monkeypatch.setenv("DOZEN_CACHE", str(tmp_path))
    crowd = [source(f"/{n}.py", f"words = {n}\n{text}") for n in range(20)]
    assert compile_all([*crowd, source("/a.py", text)], interpreter)["/a.py"] == alone


def test_a_mistake_is_named_with_its_line(interpreter: Any) -> None:
    with pytest.raises(ComposeError, match=r"/usr/lib/bad\.py:2: "):
        compile_all([source("/usr/lib/bad.py", "x = 1\nif:\n")], interpreter)

"""Reading ELF files."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.compose.elf import Optional, read_elf
from dozen.compose.errors import ComposeError

MakeElf = Callable[..., bytes]


def test_a_program(make_elf: MakeElf) -> None:
    elf = read_elf(make_elf(("liba.so.1", "libc.so.6"), program=True, interpreter="/lib64/ld.so", runpath="/a:/b"), "p")
    assert elf.needed == ("liba.so.1", "libc.so.6")
    assert elf.executable
    assert elf.interpreter == "/lib64/ld.so"
    assert elf.search == ("/a", "/b")


def test_a_library_with_an_interpreter_is_no_program(make_elf: MakeElf) -> None:
    elf = read_elf(make_elf(soname="libc.so.6", interpreter="/lib64/ld.so"), "libc.so.6")
    assert elf.soname == "libc.so.6"
    assert not elf.executable


def test_what_may_be_loaded_later(make_elf: MakeElf) -> None:
    elf = read_elf(make_elf(dlopen=(("libk.so.2",), ("libb.so.1", "libb.so.0"))), "lib")
    assert elf.optional[1] == Optional(("libb.so.1", "libb.so.0"), "f", "d", "suggested")


def test_other_architectures_are_refused(make_elf: MakeElf) -> None:
    data = bytearray(make_elf())
    data[4] = 1
    with pytest.raises(ComposeError, match="lib32"):
        read_elf(bytes(data), "lib32")


@given(data=st.data())
def test_damage_is_an_error_of_ours_or_harmless(make_elf: MakeElf, data: st.DataObject) -> None:
    content = bytearray(make_elf(("liba.so.1",), program=True, interpreter="/ld.so", dlopen=(("libk.so.2",),)))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ComposeError):
        read_elf(bytes(content), "damaged")

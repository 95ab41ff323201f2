"""Filters for captured frames, as people have them from tcpdump."""

from __future__ import annotations

import pytest

from dozen.machinery.bpf import LIMIT, Instruction, parse_program

# "arp" on Ethernet.
ARP = """
{ 0x28, 0, 0, 0x0000000c },
{ 0x15, 0, 1, 0x00000806 },
{ 0x6, 0, 0, 0x00040000 },
{ 0x6, 0, 0, 0x00000000 },
"""


def test_what_tcpdump_prints_is_read() -> None:
    assert parse_program(ARP) == (
        Instruction(0x28, 0, 0, 12),
        Instruction(0x15, 0, 1, 0x806),
        Instruction(6, 0, 0, 0x40000),
        Instruction(6, 0, 0, 0),
    )
    assert parse_program(" \n") == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tcp port 80", "line 1: expected an instruction"),
        ("{ 6, 0, 0, 0 }\n{ 6, 0, 0 }", "line 2: expected an instruction"),
        ("{ 6, 256, 0, 0 }", "line 1: jt is larger than 8 bits"),
        ("{ 6, 0, 0, 0x100000000 }", "line 1: k is larger than 32 bits"),
        ("{ 6, 0, 0, 0 }\n" * (LIMIT + 1), "at most 4096 instructions"),
    ],
)
def test_what_is_no_program_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_program(text)

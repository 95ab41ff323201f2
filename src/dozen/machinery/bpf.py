"""Programs of the kernel's classic BPF, in the text form that tcpdump -dd prints (pcap_compile(3), bpf_dump(3))."""

from __future__ import annotations

import re
from typing import NamedTuple

# Linux' BPF_MAXINSNS (include/uapi/linux/bpf_common.h).
LIMIT = 4096

_NUMBER = r"(0[xX][0-9a-fA-F]+|\d+)"
_LINE = re.compile(rf"\{{\s*{_NUMBER}\s*,\s*{_NUMBER}\s*,\s*{_NUMBER}\s*,\s*{_NUMBER}\s*\}}\s*,?")
_WIDTHS = {"op": 16, "jt": 8, "jf": 8, "k": 32}


class Instruction(NamedTuple):
    """What to do, how far to jump if so and if not, and with what (struct sock_filter)."""

    op: int
    jt: int
    jf: int
    k: int


def parse_program(text: str) -> tuple[Instruction, ...]:
    """The instructions of a text, one in each line; none for an empty one. Raises ValueError naming the line."""
    lines = [(at, line.strip()) for at, line in enumerate(text.splitlines(), 1) if line.strip()]
    if len(lines) > LIMIT:
        raise ValueError(f"a program has at most {LIMIT} instructions, and this one {len(lines)}")
    return tuple(_parse_line(at, line) for at, line in lines)


def _parse_line(at: int, line: str) -> Instruction:
    found = _LINE.fullmatch(line)
    if found is None:
        raise ValueError(f"line {at}: expected an instruction such as {{ 0x6, 0, 0, 0x40000 }}, found {line[:40]!r}")
    each = Instruction(*(int(part, 0) for part in found.groups()))
    for name, bits in _WIDTHS.items():
        if getattr(each, name) >> bits:
            raise ValueError(f"line {at}: {name} is larger than {bits} bits")
    return each

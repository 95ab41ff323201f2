"""The order of Debian's version numbers (deb-version(7)): ``[epoch:]upstream[-revision]``.

Needed to answer "which of these is the newest?" without dpkg, which a build machine need not have.
"""

from __future__ import annotations

import re
from typing import Any

PIECES = re.compile(r"([^0-9]*)([0-9]*)")


def version_key(version: str) -> tuple[Any, ...]:
    """A value that sorts as dpkg sorts versions.

    Runs of non-digits compare letter by letter with ``~`` before the end and letters before other characters; runs of
    digits compare as numbers.
    """
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return (int(epoch), _part_key(upstream), _part_key(revision or "0"))


def _part_key(part: str) -> tuple[Any, ...]:
    pieces = [piece for piece in PIECES.findall(part) if piece != ("", "")]
    return (*((_text_key(text), int(digits or "0")) for text, digits in pieces), (_text_key(""), 0))


def _text_key(text: str) -> tuple[int, ...]:
    return (*(_letter_order(letter) for letter in text), 0)


def _letter_order(letter: str) -> int:
    if letter == "~":
        return -1
    return ord(letter) if letter.isalpha() else ord(letter) + 256

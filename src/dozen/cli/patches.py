"""Patches as people name them on a command line: ``@file``, a file's name, or the patch itself."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dozen.machinery.config.patches import Patch

# A patch given in full has a line break or a space, or begins as JSON does; anything else is the name of a file.
_MARKS = ("[", "{")


def read_patches(values: Sequence[str]) -> list[Patch]:
    """Raises OSError for a file, ConfigError for a patch that cannot be read."""
    from dozen.machinery.config.patches import read_patch

    return [read_patch(*_text_of(value, at)) for at, value in enumerate(values, 1)]


def _text_of(value: str, number: int) -> tuple[str, str]:
    """The patch's text, and what complaints call it."""
    if value == "@-":
        return sys.stdin.read(), "input"
    if value.startswith("@"):
        return Path(value[1:]).read_text(), value[1:]
    if not value.startswith(_MARKS) and not any(char in value for char in " \n"):
        return Path(value).read_text(), value
    return value, f"patch {number}"

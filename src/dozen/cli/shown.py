"""Reads the data that says which tests show what: file → a text of tests, and below each the names that it shows."""

from __future__ import annotations

from collections.abc import Mapping


def tests_by_name(shown: Mapping[str, str]) -> dict[str, str]:
    """Name → the test that shows it, as pytest names it below ``tests``."""
    found: dict[str, str] = {}
    for file, text in shown.items():
        test = ""
        for words in map(str.split, text.strip().splitlines()):
            if words[0].startswith("test_"):
                test = f"{file}::{words[0]}"
            else:
                found |= dict.fromkeys(words, test)
    return found

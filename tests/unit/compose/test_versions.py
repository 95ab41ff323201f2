"""Debian's order of versions, on cases and on laws."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dozen.compose.versions import version_key

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases" / "compose" / "versions.yaml").read_text())


@pytest.mark.parametrize(("older", "newer"), CASES)
def test_the_newer_version_is_larger(older: str, newer: str) -> None:
    assert version_key(older) < version_key(newer)
    assert not version_key(newer) < version_key(older)


def test_leading_zeros_and_a_zero_revision_do_not_matter() -> None:
    assert version_key("1.02") == version_key("1.2")
    assert version_key("1.0") == version_key("1.0-0")
    assert version_key("0:1.0") == version_key("1.0")


@given(st.from_regex(r"\A[0-9][0-9a-z.+~]{0,8}(-[0-9a-z.+~]{1,4})?\Z"))
def test_a_tilde_comes_before_the_end(version: str) -> None:
    assert version_key(version + "~") < version_key(version)

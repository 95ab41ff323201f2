"""Databases of bbolt: what is written is read again by a reader that knows nothing of the writer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dozen.compose.bolt import Bucket, make_database
from dozen.testing.bolt import read_database


def plain(content: dict[bytes, Any]) -> dict[Any, Any]:
    return {
        key: {**plain(value.content), **({None: value.sequence} if value.sequence else {})}
        if isinstance(value, Bucket)
        else value
        for key, value in content.items()
    }


KEYS = st.binary(min_size=1, max_size=60)
VALUES = st.binary(max_size=300)
BUCKETS = st.recursive(
    st.dictionaries(KEYS, VALUES, max_size=8),
    lambda inner: st.dictionaries(KEYS, VALUES | st.builds(Bucket, inner, st.integers(0, 9)), max_size=8),
    max_leaves=40,
)


@settings(deadline=None)
@given(BUCKETS)
def test_what_was_written_is_read(content: dict[bytes, Any]) -> None:
    root = {b"v1": Bucket(content)}
    assert read_database(make_database(root)) == plain(root)


def test_a_bucket_of_many_pages_has_branches() -> None:
    many = {f"sha256:{number:064x}".encode(): Bucket({b"size": b"1", b"x": b"y" * 700}) for number in range(2000)}
    root = {b"v1": Bucket(many, 7), b"v2": Bucket({b"large": b"z" * 20_000, b"small": b"a"})}
    assert read_database(make_database(root)) == plain(root)


def test_the_same_content_gives_the_same_bytes() -> None:
    one, two = Bucket({b"a": b"1", b"b": b"2"}), Bucket({b"b": b"2", b"a": b"1"})
    assert make_database({b"v1": one}) == make_database({b"v1": two})


@pytest.mark.parametrize("key", [b"", b"x" * 32769])
def test_a_key_that_bbolt_refuses_is_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match="1 to 32768 bytes"):
        make_database({b"v1": Bucket({key: b""})})

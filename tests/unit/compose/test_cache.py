"""Naming and keeping results."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.compose.cache import fresh_directory, hash_sources, stage_key, write_whole


@given(st.lists(st.text()), st.lists(st.text()))
def test_different_inputs_have_different_names(one: list[str], two: list[str]) -> None:
    assert (stage_key(*one) == stage_key(*two)) == (one == two)


def test_a_directory_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def interrupted() -> None:
        with fresh_directory(tmp_path / "result") as part:
            (part / "half").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    assert list(tmp_path.iterdir()) == []
    with fresh_directory(tmp_path / "result") as part:
        (part / "file").touch()
        assert not (tmp_path / "result").exists()
    assert [path.name for path in (tmp_path / "result").iterdir()] == ["file"]


def test_who_comes_second_uses_the_first_ones_result(tmp_path: Path) -> None:
    with fresh_directory(tmp_path / "result") as slow:
        (slow / "slow").touch()
        with fresh_directory(tmp_path / "result") as fast:
            (fast / "fast").touch()
    assert [path.name for path in (tmp_path / "result").iterdir()] == ["fast"]


def test_names_and_contents_of_sources_count_and_caches_do_not(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.py", b"1")
    first = hash_sources(tmp_path, ("**/*.py",))
    write_whole(tmp_path / "__pycache__" / "a.py", b"2")
    assert hash_sources(tmp_path, ("**/*.py",)) == first
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert hash_sources(tmp_path, ("**/*.py",)) != first

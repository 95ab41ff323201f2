"""What is remembered about the image cache, so that it need not be read again."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from dozen.compose.image import describe_file
from dozen.compose.imagecache import Mark, read_mark


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "images.img"
    path.write_bytes(b"images")
    return path


@pytest.fixture
def mark(target: Path) -> Path:
    path = target.with_name(".mark")
    path.write_bytes(msgspec.json.encode(Mark("key", describe_file(target))))
    return path


def test_a_cache_of_the_same_inputs_is_described_without_reading_it(target: Path, mark: Path) -> None:
    assert read_mark(mark, "key", target) == describe_file(target)


@pytest.mark.parametrize("content", ["", "key", "{}"])
def test_a_mark_that_cannot_be_read_says_nothing(target: Path, mark: Path, content: str) -> None:
    mark.write_text(content)
    assert read_mark(mark, "key", target) is None


def test_a_cache_of_other_inputs_or_one_that_is_not_whole_is_made_anew(target: Path, mark: Path) -> None:
    assert read_mark(mark, "other", target) is None
    target.write_bytes(b"imag")
    assert read_mark(mark, "key", target) is None
    target.unlink()
    assert read_mark(mark, "key", target) is None

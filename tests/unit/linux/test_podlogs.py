"""Finding and reading the logs of pods' containers."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from dozen.linux import podlogs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    old = tmp_path / "kube-system_p_1111" / "c"
    new = tmp_path / "kube-system_p_2222" / "c"
    for folder in (old, new, tmp_path / "kube-system_p-q_3333" / "c", tmp_path / "kube-system_p_2222" / "d"):
        folder.mkdir(parents=True)
    times = [(old / "7.log", 1), (new / "0.log", 2), (new / "1.log", 3), (new / "0.log.20260101-000000", 9)]
    for path, time in times:
        path.write_text(path.name)
        os.utime(path, (time, time))
    return tmp_path


def test_the_newest_start_of_the_newest_pod_of_that_name_is_found(root: Path) -> None:
    assert podlogs.find_log("kube-system/p:c", str(root)) == str(root / "kube-system_p_2222" / "c" / "1.log")


@pytest.mark.parametrize("id", ["kube-system/p:d", "kube-system/p:x", "default/p:c", "kube-system/q:c"])
def test_what_is_not_there_is_not_found(root: Path, id: str) -> None:
    with pytest.raises(FileNotFoundError):
        podlogs.find_log(id, str(root))


@pytest.mark.parametrize("id", ["p", "kube-system/p", "../..:c", "kube-system/../p:c", "a/b:c/d", "a_b/c:d"])
def test_an_id_cannot_lead_elsewhere(root: Path, id: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError)):
        podlogs.find_log(id, str(root))


async def collect(path: Path, lines: int) -> bytes:
    return b"".join([piece async for piece in podlogs.read_log(str(path), lines, follow=False)])


@pytest.mark.parametrize("block", [1, 3, 64])
@pytest.mark.parametrize(
    ("text", "lines", "expected"),
    [
        ("a\nb\nc\n", 2, "b\nc\n"),
        ("a\nb\nc", 2, "b\nc"),
        ("a\nb\n", 5, "a\nb\n"),
        ("a\nb\n", 2, "a\nb\n"),
        ("a\nb\n", 0, ""),
        ("a\nb", 0, ""),
        ("a\nb\n", -1, "a\nb\n"),
        ("", 3, ""),
        ("\n\n\n", 2, "\n\n"),
    ],
)
def test_a_tail_begins_with_a_whole_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, block: int, text: str, lines: int, expected: str
) -> None:
    monkeypatch.setattr(podlogs, "BLOCK", block)
    path = tmp_path / "0.log"
    path.write_text(text)
    assert asyncio.run(collect(path, lines)).decode() == expected


def test_a_follower_sees_what_is_added_across_a_rotation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(podlogs, "PERIOD", 0.001)
    path = tmp_path / "0.log"
    path.write_text("one\n")

    async def run() -> list[bytes]:
        seen = []
        async for piece in podlogs.read_log(str(path), -1, follow=True):
            seen.append(piece)
            if len(seen) == 1:
                with path.open("a") as file:
                    file.write("two\n")
            elif len(seen) == 2:
                path.rename(tmp_path / "0.log.old")
                path.write_text("three\n")
            else:
                return seen
        return seen

    assert asyncio.run(run()) == [b"one\n", b"two\n", b"three\n"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "0.log").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        asyncio.run(collect(tmp_path / "0.log", -1))

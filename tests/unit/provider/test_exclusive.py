"""The lock of a cluster: one holder, who is named, and none that is left behind."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from dozen.provider.exclusive import exclusively
from dozen.provider.machines import ProviderError


def test_the_second_is_told_who_is_at_work(tmp_path: Path) -> None:
    lock = tmp_path / "clusters" / ".kube.lock"
    with exclusively(lock, "kube"):
        for _ in range(2):
            with pytest.raises(ProviderError, match="working on cluster kube") as raised, exclusively(lock, "kube"):
                pytest.fail("two hold it")
            assert raised.value.hint == f"wait for it, or end it: process {os.getpid()}"


def test_it_can_be_had_again_after_its_holder_failed(tmp_path: Path) -> None:
    lock = tmp_path / ".kube.lock"
    with pytest.raises(KeyboardInterrupt), exclusively(lock, "kube"):
        raise KeyboardInterrupt
    with exclusively(lock, "kube"):
        assert lock.read_text() == str(os.getpid())


def test_a_file_that_its_holder_removed_is_made_again(tmp_path: Path) -> None:
    lock = tmp_path / ".kube.lock"
    with exclusively(lock, "kube"):
        lock.unlink()
    with exclusively(lock, "kube"):
        assert lock.exists()


def test_who_opened_a_file_that_is_removed_meanwhile_locks_the_one_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / ".kube.lock"
    flock: Callable[..., None] = fcntl.flock
    calls: list[int] = []

    def removed_once(file: IO[str], how: int) -> None:
        if not calls:
            lock.unlink()
        calls.append(how)
        flock(file, how)

    monkeypatch.setattr("fcntl.flock", removed_once)
    with exclusively(lock, "kube"):
        assert lock.exists()
        assert len(calls) == 2

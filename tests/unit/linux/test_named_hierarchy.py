"""When a hierarchy of the first kind is mounted, and how."""

import builtins
import io
from pathlib import Path

import pytest

from dozen.linux import named_hierarchy
from dozen.linux import sys as linux

UNIFIED = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n"
NAMED = "cgroup /run/dozen/cgroups/systemd cgroup rw,name=systemd 0 0\n"


@pytest.mark.parametrize(("mounts", "expected"), [("", False), (UNIFIED, False), (UNIFIED + NAMED, True)])
def test_first_kind_is_recognized(mounts: str, expected: bool) -> None:
    assert named_hierarchy.has_first_kind(mounts) is expected


@pytest.mark.parametrize(("mounts", "count"), [(UNIFIED, 1), (UNIFIED + NAMED, 0)])
def test_mounted_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mounts: str, count: int) -> None:
    made: list[tuple[object, ...]] = []
    monkeypatch.setattr(builtins, "open", lambda path: io.StringIO(mounts))
    monkeypatch.setattr(linux, "mount", lambda *arguments: made.append(arguments))
    monkeypatch.setattr(named_hierarchy, "DIRECTORY", str(tmp_path))
    named_hierarchy.mount_named_hierarchy()
    assert [(target, kind, data) for _, target, kind, _, data in made] == [
        (f"{tmp_path}/systemd", "cgroup", "none,name=systemd")
    ] * count

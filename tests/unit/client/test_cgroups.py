"""Control groups out of an archive of the kernel's files."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from dozen.client.cgroups import PRESETS, bytes_text, read_groups, unpack
from dozen.rpc.status import Code, RpcError

FILES = {
    "cpu.stat": "usage_usec 3000000\nuser_usec 2000000\nsystem_usec 1000000\n",
    "podruntime/memory.current": "1073741824\n",
    "podruntime/memory.peak": "1610612736\n",
    "podruntime/memory.low": "3221225472\n",
    "podruntime/memory.max": "max\n",
    "podruntime/etcd/io.stat": "8:0 rbytes=1024 wbytes=2048 rios=1 wios=2\n8:16 rbytes=1024 wbytes=0 rios=3 wios=0\n",
    "podruntime/etcd/cpu.pressure": "some avg10=1.50 avg60=0.10 avg300=0.00 total=5\nfull avg10=0.00 avg60=0.00\n",
    "podruntime/etcd/pids.current": "7\n",
}


@pytest.fixture
def archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        for folder in (".", "podruntime", "podruntime/etcd"):
            member = tarfile.TarInfo(folder)
            member.type = tarfile.DIRTYPE
            packed.addfile(member)
        for name, text in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            packed.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def test_groups_come_before_what_is_in_them(archive: bytes) -> None:
    groups = unpack(archive)
    assert [(group.path, group.name, group.depth) for group in groups] == [
        ("", "/", 0),
        ("podruntime", "podruntime", 1),
        ("podruntime/etcd", "etcd", 2),
    ]


class Incomplete:
    """A node whose archive comes with an error behind it."""

    def __init__(self, archive: bytes, code: Code) -> None:
        self.archive, self.code = archive, code

    async def copy(self, path: str) -> AsyncIterator[bytes]:
        assert path == "/sys/fs/cgroup"
        yield self.archive
        raise RpcError(self.code, "the archive is complete but for /sys/fs/cgroup/x: not supported")


def test_a_file_that_cannot_be_read_keeps_no_other_away(archive: bytes) -> None:
    groups = asyncio.run(read_groups(cast("Any", Incomplete(archive, Code.DATA_LOSS))))
    assert groups == unpack(archive)
    with pytest.raises(RpcError, match="complete but"):
        asyncio.run(read_groups(cast("Any", Incomplete(archive, Code.UNAVAILABLE))))


@pytest.mark.parametrize(
    ("preset", "path", "cells"),
    [
        ("cpu", "", {"USER": "2.00s", "SYSTEM": "1.00s", "THROTTLED": "-", "MAX": "-"}),
        ("memory", "podruntime", {"CURRENT": "1.0 GiB", "PEAK": "1.5 GiB", "PEAK/LOW": "50.00%", "MAX": "max"}),
        ("io", "podruntime/etcd", {"READ": "2.0 KiB", "WRITTEN": "2.0 KiB", "READS": "4", "WRITES": "2"}),
        ("psi", "podruntime/etcd", {"CPU SOME(10s)": "1.50", "CPU FULL(60s)": "0.00", "IO SOME(10s)": "-"}),
        ("process", "podruntime/etcd", {"CURRENT": "7", "MAX": "-"}),
    ],
)
def test_columns(archive: bytes, preset: str, path: str, cells: dict[str, str]) -> None:
    files = next(group.files for group in unpack(archive) if group.path == path)
    shown = {title: show(files) for title, show in PRESETS[preset]}
    assert {title: shown[title] for title in cells} == cells


def test_every_preset_bears_groups_without_files() -> None:
    assert all(show({}) == "-" for columns in PRESETS.values() for _, show in columns)


def test_bytes() -> None:
    assert [bytes_text(text) for text in ("0", "1023", "1024", "max")] == ["0 B", "1023 B", "1.0 KiB", "max"]

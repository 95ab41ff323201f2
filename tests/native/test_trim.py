"""Trimming on a real file system: a sparse file takes less space afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dozen.linux.trim import trim
from native.privileges import needs_root

pytestmark = needs_root
SIZE = 48 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A file with an ext4 file system, and where that is mounted."""
    file, mounted = tmp_path / "disk", tmp_path / "mounted"
    mounted.mkdir()
    with file.open("wb") as stream:
        stream.truncate(2 * SIZE)
    maker = shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if maker is None:
        pytest.skip("this computer cannot make a file system: mkfs.ext4 is missing")
    subprocess.run([maker, "-q", "-F", "-E", "nodiscard", str(file)], check=True)
    done = subprocess.run(["mount", "-o", "loop", str(file), str(mounted)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this computer mounts no files: {done.stderr.strip()}")
    yield file, mounted
    subprocess.run(["umount", str(mounted)], check=True)


def test_unused_blocks_are_given_back(disk: tuple[Path, Path]) -> None:
    file, mounted = disk
    with (mounted / "data").open("wb") as stream:
        stream.write(os.urandom(SIZE))
        stream.flush()
        os.fsync(stream.fileno())
    os.sync()
    full = file.stat().st_blocks * 512
    assert full >= SIZE
    (mounted / "data").unlink()
    os.sync()
    assert trim(str(mounted)) >= SIZE
    assert file.stat().st_blocks * 512 <= full - SIZE // 2
    with pytest.raises(OSError, match=r"Inappropriate|not supported"):
        trim("/proc")

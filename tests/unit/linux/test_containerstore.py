"""containerd's store is begun from a prepared one, by links, and begun anew when that one is another."""

from __future__ import annotations

from pathlib import Path

import pytest

from dozen.linux.containerstore import DATABASE, ORIGIN, SMALL, install_programs, seed
from dozen.machinery.imagecache import BLOBS, SNAPSHOTS


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A prepared disk with a manifest, a layer's blob and the layer itself."""
    made = tmp_path / "disk"
    prepared = made / "containerd"
    files = {
        made / "images.json": b"[1]",
        prepared / DATABASE: b"db",
        prepared / SNAPSHOTS / "metadata.db": b"snapshots",
        prepared / BLOBS / "small": b"{}",
        prepared / BLOBS / "big": b"x" * (SMALL + 1),
        prepared / SNAPSHOTS / "snapshots/1/fs/bin/program": b"ELF",
    }
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return made


def test_databases_are_copied_and_layers_linked(disk: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    assert seed(disk, root)
    assert not (root / DATABASE).is_symlink()
    assert (root / DATABASE).read_bytes() == b"db"
    assert (root / DATABASE).stat().st_mode & 0o777 == 0o600
    assert not (root / BLOBS / "small").is_symlink()
    assert (root / BLOBS / "big").readlink() == disk / "containerd" / BLOBS / "big"
    assert (root / SNAPSHOTS / "snapshots/1").is_symlink()
    assert (root / SNAPSHOTS / "snapshots/1/fs/bin/program").read_bytes() == b"ELF"


def test_a_store_that_fits_is_left_as_it_is(disk: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    seed(disk, root)
    (root / DATABASE).write_bytes(b"grown")
    assert not seed(disk, root)
    assert (root / DATABASE).read_bytes() == b"grown"


def test_another_disk_begins_the_store_anew_and_touches_nothing_prepared(disk: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    seed(disk, root)
    (root / SNAPSHOTS / "snapshots/2").mkdir()
    (disk / "images.json").write_bytes(b"[2]")
    assert seed(disk, root)
    assert not (root / SNAPSHOTS / "snapshots/2").exists()
    assert (disk / "containerd" / SNAPSHOTS / "snapshots/1/fs/bin/program").exists()


def test_a_store_that_was_cut_off_is_begun_again(disk: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    seed(disk, root)
    (root / ORIGIN).unlink()
    (root / SNAPSHOTS / "metadata.db").unlink()
    assert seed(disk, root)
    assert (root / SNAPSHOTS / "metadata.db").read_bytes() == b"snapshots"


def test_links_that_lead_nowhere_any_more_are_removed(disk: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    seed(disk, root)
    assert seed(tmp_path / "no disk", root)
    assert list(root.iterdir()) == []


def test_without_a_disk_a_store_of_its_own_is_kept(tmp_path: Path) -> None:
    own = tmp_path / "root" / DATABASE
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    assert not seed(tmp_path / "no disk", tmp_path / "root")
    assert own.read_bytes() == b"mine"


def test_plugins_are_programs_and_replaced_whole(tmp_path: Path) -> None:
    source, target = tmp_path / "from", tmp_path / "to"
    source.mkdir()
    target.mkdir()
    (source / "bridge").write_bytes(b"new")
    (target / "bridge").write_bytes(b"old")
    (target / "other").write_bytes(b"theirs")
    assert install_programs(source, target) == 1
    assert (target / "bridge").read_bytes() == b"new"
    assert (target / "bridge").stat().st_mode & 0o777 == 0o755
    assert sorted(path.name for path in target.iterdir()) == ["bridge", "other"]
    assert install_programs(tmp_path / "nothing", target) == 0

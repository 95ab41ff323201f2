"""Reading Debian packages."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dozen.compose.debfile import extract_all, read_members, safe_join
from dozen.compose.errors import ComposeError

MakeDeb = Callable[..., bytes]


def test_files_modes_and_links_are_laid_out_without_set_id_bits(make_deb: MakeDeb, tmp_path: Path) -> None:
    deb = tmp_path / "a.deb"
    files = {"usr/bin/su": b"program", "usr/share/doc/a": b"text"}
    deb.write_bytes(make_deb(files, links={"usr/bin/other": "su"}, modes={"usr/bin/su": 0o4755}))
    root = tmp_path / "root"
    (root / "usr" / "bin").mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    extract_all(deb, root)
    assert (root / "bin" / "su").stat().st_mode & 0o7777 == 0o755
    assert (root / "usr/share/doc/a").stat().st_mode & 0o7777 == 0o644
    assert (root / "bin" / "other").read_bytes() == b"program"


def test_a_later_package_replaces_a_file(make_deb: MakeDeb, tmp_path: Path) -> None:
    for content in (b"one", b"two"):
        (tmp_path / "a.deb").write_bytes(make_deb({"etc/a": content}))
        extract_all(tmp_path / "a.deb", tmp_path / "root")
    assert (tmp_path / "root" / "etc" / "a").read_bytes() == b"two"


def test_members_of_odd_length_are_padded(make_deb: MakeDeb) -> None:
    members = dict(read_members(make_deb({"a": b"x"}), "a.deb"))
    assert members["control.tar.xz"] == b"odd"
    assert "data.tar.xz" in members


def test_paths_that_lead_outside_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ComposeError, match="outside"):
        safe_join(tmp_path, "./usr/../../etc/passwd")
    assert safe_join(tmp_path, "/etc/passwd") == tmp_path / "etc" / "passwd"


def test_something_else_is_no_package(tmp_path: Path) -> None:
    (tmp_path / "a.deb").write_bytes(b"<html>not found</html>")
    with pytest.raises(ComposeError, match=r"a\.deb is no ar archive"):
        extract_all(tmp_path / "a.deb", tmp_path / "root")

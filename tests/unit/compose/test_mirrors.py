"""Finding a mirror in apt's configuration, in each of the forms that it has."""

from pathlib import Path

import pytest

from dozen.compose.errors import SourceError
from dozen.compose.mirrors import find_mirrors

MAIN = "http://mirror.test/debian"
SECURITY = "http://mirror.test/debian-security"


def test_one_line_style(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(
        f"# deb http://old.test/debian trixie main\ndeb [signed-by=/a.gpg arch=amd64] {MAIN}/ bookworm main contrib\n"
        f"deb-src http://source.test/debian bookworm main\ndeb {SECURITY} bookworm-security main\n"
    )
    assert find_mirrors({}, tmp_path) == find_mirrors({}, tmp_path)
    mirrors = find_mirrors({}, tmp_path)
    assert mirrors.base("debian") == MAIN
    assert mirrors.base("debian-security") == SECURITY


def test_deb822_with_comments_between_fields_and_a_disabled_stanza(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "a.sources").write_text(
        "Types: deb\nURIs: http://off.test/debian\nSuites: trixie\nEnabled: no\n\n"
        f"Types: deb deb-src\n# http://snapshot.test/debian\nURIs: {MAIN}\nSuites: trixie trixie-updates\n"
        f"Components: main\nSigned-By:\n -----BEGIN\n .\n\n\nTypes: deb\nURIs: {SECURITY}\nSuites: trixie-security\n"
    )
    mirrors = find_mirrors({}, tmp_path)
    assert (mirrors.debian, mirrors.security) == (MAIN, SECURITY)


def test_a_list_of_mirrors_is_followed(tmp_path: Path) -> None:
    (tmp_path / "mirrors").write_text(f"# near\n{MAIN} priority:1\n")
    (tmp_path / "sources.list").write_text(f"deb mirror+file:{tmp_path}/mirrors bookworm main\n")
    assert find_mirrors({}, tmp_path).debian == MAIN


def test_the_setting_comes_first_and_security_is_guessed_beside_it(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(f"deb {MAIN} bookworm main\n")
    mirrors = find_mirrors({"DOZEN_DEBIAN_MIRROR": "http://own.test/debian/"}, tmp_path)
    assert (mirrors.debian, mirrors.security) == ("http://own.test/debian", "http://own.test/debian-security")


def test_other_distributions_name_no_mirror_and_the_error_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://archive.test/ubuntu noble main\n")
    with pytest.raises(SourceError, match="DOZEN_DEBIAN_MIRROR"):
        find_mirrors({}, tmp_path)

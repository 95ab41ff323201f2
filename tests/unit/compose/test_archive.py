"""Signed indexes: what is believed, and what is not."""

import hashlib
import lzma

import pytest

from dozen.compose import archive
from dozen.compose.archive import Index, load_index, read_packages, verify_inline
from dozen.compose.errors import SourceError

STANZAS = """Package: libkmod2
Source: kmod (34.2-1)
Version: 34.2-2
Depends: libc6 (>= 2.41), libcrypto-virtual
Provides: kmod-abi (= 2), other-abi
Filename: pool/main/k/kmod/libkmod2_34.2-2_amd64.deb
Size: 60000
SHA256: aa11

Package: libkmod2
Version: 34.10-1
Filename: pool/main/k/kmod/libkmod2_34.10-1_amd64.deb
Size: 60001
SHA256: bb22
"""
DATE = "Sat, 21 Nov 2026 09:15:44 UTC"
RELEASE = f"Version: 13.8\nDate: {DATE}\nSHA256:\n {{}} 1 main/binary-amd64/Packages.xz\n"


def sign(body: str) -> bytes:
    """The outer form of a clear-signed file."""
    begin, signature, end = archive.BEGIN, archive.SIGNATURE, archive.END
    return f"{begin}\nHash: SHA256\n\n{body}{signature}\n\nabcd\n{end}\n".encode()


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "run_verifier", lambda data, name: None)


def test_stanzas_carry_source_provides_and_dependencies() -> None:
    first = next(read_packages(STANZAS, "debian"))
    assert (first.name, first.source, first.size, first.sha256) == ("libkmod2", "kmod", 60000, "aa11")
    assert first.provides == ("kmod-abi", "other-abi")
    assert first.depends.startswith("libc6")


def test_the_newest_of_a_name_wins() -> None:
    assert Index(read_packages(STANZAS, "debian")).find("libkmod2").version == "34.10-1"
    with pytest.raises(SourceError, match="has no package nothing"):
        Index([]).find("nothing")


@pytest.mark.usefixtures("trusting")
def test_an_index_is_fetched_by_the_hash_that_was_signed() -> None:
    packed = lzma.compress(STANZAS.encode())
    name = hashlib.sha256(packed).hexdigest()
    asked = []

    def fetch(archive_name: str, path: str) -> bytes:
        asked.append(path)
        return sign(RELEASE.format(name)) if path.endswith("InRelease") else packed

    index, release = load_index(fetch, [("debian", "trixie")], now=0)
    assert asked[1] == f"dists/trixie/main/binary-amd64/by-hash/SHA256/{name}"
    assert release.epoch == 1795252544
    assert release.version == "13.8"
    assert index.find("libkmod2").archive == "debian"


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize(
    "data",
    [
        b"Origin: Debian\n",
        b"Origin: Evil\n" + sign("Origin: Debian\n"),
        sign("Origin: Debian\n") + b"Origin: Evil\n",
        sign("Origin: Debian\n") + sign("Origin: Evil\n"),
    ],
    ids=["unsigned", "before", "behind", "twice"],
)
def test_nothing_may_stand_around_the_signed_part(data: bytes) -> None:
    with pytest.raises(SourceError, match="not one clear-signed message"):
        verify_inline(data, "InRelease")


@pytest.mark.usefixtures("trusting")
def test_dashes_are_unescaped() -> None:
    assert verify_inline(sign("- -dash\nplain\n"), "InRelease") == "-dash\nplain\n"

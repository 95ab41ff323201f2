"""Whose signature makes an index believed: throw-away keys, and the program that really verifies."""

from __future__ import annotations

from email.utils import formatdate
from pathlib import Path

import pytest

from dozen.compose import archive
from dozen.compose.archive import load_index, verify_inline
from dozen.compose.errors import SourceError
from dozen.compose.mirrors import EXPIRED_SETTING, accepts_expired
from dozen.testing.openpgp import SigningKey, write_keyring

DAY = 86400
# 2020: whatever lasted a day then has ended, and what has no end is old, which is no fault.
THEN = 1_600_000_000
TEXT = "Origin: Debian\nSuite: stable\n- with a dash\n"

ARCHIVE = SigningKey("Archive", THEN)
STRANGER = SigningKey("Stranger", THEN)
EXPIRED = SigningKey("Archive of old", THEN, lifetime=DAY)


@pytest.fixture(autouse=True)
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The computer's archive keyring: the archive's key, and its one of old."""
    path = write_keyring(tmp_path / "keyring.gpg", ARCHIVE, EXPIRED)
    monkeypatch.setattr(archive, "KEYRINGS", (tmp_path / "missing.pgp", path))


@pytest.mark.parametrize(
    "data",
    [
        ARCHIVE.clear_sign(TEXT, when=THEN),
        ARCHIVE.clear_sign(TEXT, STRANGER, when=THEN),
        STRANGER.clear_sign(TEXT, ARCHIVE, when=THEN),
        EXPIRED.clear_sign(TEXT, ARCHIVE, when=THEN),
    ],
    ids=["the archive", "and a stranger", "a stranger first", "and an expired key"],
)
def test_one_good_signature_by_a_known_key_is_enough(data: bytes) -> None:
    assert verify_inline(data, "InRelease") == TEXT


@pytest.mark.parametrize(
    "data",
    [
        ARCHIVE.clear_sign(TEXT, when=THEN).replace(b"stable", b"staple"),
        ARCHIVE.clear_sign(TEXT, when=THEN).replace(b"Suite", b"Extra: line\nSuite"),
        STRANGER.clear_sign(TEXT, when=THEN),
        SigningKey("Archive", THEN).clear_sign(TEXT, when=THEN),
        EXPIRED.clear_sign(TEXT, when=THEN),
        ARCHIVE.clear_sign(TEXT, when=THEN, lifetime=DAY),
    ],
    ids=["another text", "more text", "a stranger", "a namesake", "an expired key", "an expired signature"],
)
def test_another_text_another_key_and_what_has_expired_are_refused(data: bytes) -> None:
    with pytest.raises(SourceError, match=r"InRelease is not signed by the Debian archive .* do not use this mirror"):
        verify_inline(data, "InRelease")


def test_without_a_keyring_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "KEYRINGS", ())
    with pytest.raises(SourceError, match="install the package debian-archive-keyring"):
        verify_inline(ARCHIVE.clear_sign(TEXT, when=THEN), "InRelease")


@pytest.mark.parametrize("expired", [False, True])
def test_an_index_of_the_past_is_refused_unless_it_is_wanted(expired: bool) -> None:
    """A mirror that withholds what is new could serve an old index for ever: its signature is good."""
    until = formatdate(THEN + 7 * DAY, usegmt=True)
    text = f"Date: {formatdate(THEN, usegmt=True)}\nValid-Until: {until}\n"

    def load(now: int) -> None:
        fetch = lambda _archive, _path: ARCHIVE.clear_sign(text, when=THEN)  # noqa: E731
        load_index(fetch, [("debian-security", "trixie-security")], now=now, expired=expired)

    with pytest.raises(SourceError, match=r"names no main/binary-amd64/Packages\.xz"):
        load(THEN + DAY)
    words = "names no" if expired else f"index of trixie-security was valid until {until} .* {EXPIRED_SETTING}=1"
    with pytest.raises(SourceError, match=words):
        load(THEN + 8 * DAY)


@pytest.mark.parametrize(("value", "accepted"), [("1", True), ("yes", True), ("0", False), ("", False), (None, False)])
def test_the_way_out_is_a_setting(value: str | None, accepted: bool) -> None:
    assert accepts_expired({} if value is None else {EXPIRED_SETTING: value}) is accepted

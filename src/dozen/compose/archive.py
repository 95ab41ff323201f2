"""Debian's archive: signed indexes, and what a package's stanza says.

Trust runs in one line: the archive keyring of this machine verifies ``InRelease``; that names the hash of
``Packages.xz``; that names the hash of each package. A mirror can therefore withhold or delay, but not alter; and for
how long it can is bounded where the suite says until when it is valid, as security updates do.
"""

from __future__ import annotations

import lzma
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Protocol

from dozen.compose.errors import SourceError
from dozen.compose.mirrors import EXPIRED_SETTING
from dozen.compose.versions import version_key

SUITE = "trixie"
KEYRINGS = tuple(Path(f"/usr/share/keyrings/debian-archive-keyring.{end}") for end in ("pgp", "gpg"))
BEGIN, SIGNATURE, END = (
    f"-----{words}-----" for words in ("BEGIN PGP SIGNED MESSAGE", "BEGIN PGP SIGNATURE", "END PGP SIGNATURE")
)


class Fetch(Protocol):
    """Gets a small file of an archive (``debian`` or ``debian-security``) by its path."""

    def __call__(self, archive: str, path: str) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Stanza:
    """One package of an index. ``depends`` keeps Debian's syntax (with Pre-Depends in front)."""

    name: str
    version: str
    archive: str
    path: str
    size: int
    sha256: str
    source: str
    depends: str
    provides: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """What a verified InRelease says: its date (seconds since 1970), its version, and the hashes of its indexes.

    ``until`` is the last moment of its being valid in Debian's words, empty when it has none.
    """

    epoch: int
    version: str
    hashes: dict[str, str]
    until: str = ""

    def is_valid(self, now: float) -> bool:
        return not self.until or parsedate_to_datetime(self.until).timestamp() >= now


class Index:
    """All packages of the suites that were read; of each name the newest version."""

    def __init__(self, stanzas: Iterable[Stanza]) -> None:
        self.packages: dict[str, Stanza] = {}
        self.providers: dict[str, list[str]] = {}
        for stanza in stanzas:
            known = self.packages.get(stanza.name)
            if known is None or version_key(stanza.version) > version_key(known.version):
                self.packages[stanza.name] = stanza
        for stanza in self.packages.values():
            for name in stanza.provides:
                self.providers.setdefault(name, []).append(stanza.name)

    def find(self, name: str) -> Stanza:
        """The newest of that name. Raises SourceError when the suites have none."""
        if name not in self.packages:
            raise SourceError(f"the suite {SUITE} has no package {name}: correct the recipe that names it")
        return self.packages[name]


def load_index(
    fetch: Fetch, suites: Sequence[tuple[str, str]], component: str = "main", *, now: float, expired: bool = False
) -> tuple[Index, Release]:
    """Read and verify ``(archive, suite)`` pairs, e.g. ``("debian", "trixie")``; the Release is the first one's.

    ``now`` in seconds since 1970; ``expired`` takes a suite that is no longer valid.
    """
    stanzas: list[Stanza] = []
    releases: list[Release] = []
    for archive, suite in suites:
        release = read_release(verify_inline(fetch(archive, f"dists/{suite}/InRelease"), f"InRelease of {suite}"))
        if not expired and not release.is_valid(now):
            raise SourceError(
                f"the index of {suite} was valid until {release.until} only: the mirror is behind or withholds newer "
                f"ones; use another mirror or, for a snapshot of that time on purpose, set {EXPIRED_SETTING}=1"
            )
        releases.append(release)
        path = f"{component}/binary-amd64/Packages.xz"
        wanted = release.hashes.get(path)
        if wanted is None:
            raise SourceError(
                f"InRelease of {suite} names no {path}: the mirror does not carry amd64, take another one"
            )
        folder = path.rpartition("/")[0]
        packed = fetch(archive, f"dists/{suite}/{folder}/by-hash/SHA256/{wanted}")
        stanzas += read_packages(lzma.decompress(packed).decode(), archive)
    return Index(stanzas), releases[0]


def read_release(text: str) -> Release:
    """The fields of a Release file that are used here. Raises SourceError."""
    try:
        return _read_release(text)
    except ValueError as error:
        raise SourceError(f"the suite's Release file is damaged ({error}): use another mirror") from None


def _read_release(text: str) -> Release:
    hashes: dict[str, str] = {}
    fields: dict[str, str] = {}
    section = ""
    for line in text.splitlines():
        if line.startswith(" "):
            if section == "SHA256":
                digest, _, path = line.split(maxsplit=2)
                hashes[path] = digest
        else:
            section, _, value = line.partition(":")
            fields[section] = value.strip()
    date = parsedate_to_datetime(fields.get("Date", ""))
    release = Release(int(date.timestamp()), fields.get("Version", SUITE), hashes, fields.get("Valid-Until", ""))
    release.is_valid(0)  # raises ValueError here rather than later
    return release


def read_packages(text: str, archive: str) -> Iterator[Stanza]:
    """The stanzas of a Packages file. Raises SourceError."""
    try:
        yield from _read_stanzas(text, archive)
    except (KeyError, ValueError) as error:
        raise SourceError(f"a list of packages of {archive} is damaged ({error}): use another mirror") from None


def _read_stanzas(text: str, archive: str) -> Iterator[Stanza]:
    for block in text.split("\n\n"):
        fields: dict[str, str] = dict(re.findall(r"(?m)^([A-Za-z0-9-]+): (.*)$", block))
        if "Package" not in fields:
            continue
        depends = ", ".join(fields[key] for key in ("Pre-Depends", "Depends") if key in fields)
        yield Stanza(
            name=fields["Package"],
            version=fields["Version"],
            archive=archive,
            path=fields["Filename"],
            size=int(fields["Size"]),
            sha256=fields["SHA256"],
            source=fields.get("Source", fields["Package"]).split(" ")[0],
            depends=depends,
            provides=tuple(re.findall(r"([a-z0-9][a-z0-9.+-]*)(?: \([^)]*\))?", fields.get("Provides", ""))),
        )


def verify_inline(data: bytes, name: str) -> str:
    """The signed text of a clear-signed file, after the archive keyring vouched for it.

    Nothing may stand before, between or after the signed part and its signature, so that what was verified and what is
    read are the same bytes. Raises SourceError otherwise.
    """
    text = data.decode("utf-8", errors="strict").rstrip("\n")
    lines = text.split("\n")
    marks = [lines.count(mark) for mark in (BEGIN, SIGNATURE, END)]
    if marks != [1, 1, 1] or lines[0] != BEGIN or lines[-1] != END or "" not in lines:
        raise SourceError(
            f"{name} is not one clear-signed message: the mirror served something else; try another mirror"
        )
    run_verifier(data, name)
    body = lines[lines.index("") + 1 : lines.index(SIGNATURE)]
    return "\n".join(line.removeprefix("- ") for line in body) + "\n"


def is_good(status: str) -> bool:
    """Whether gpgv's status lines tell of a good signature by a known key (doc/DETAILS of GnuPG).

    One is enough: an older machine's keyring lacks the newest of the several keys that sign. VALIDSIG alone says
    nothing, since an expired signature and one by an expired or revoked key have it too.
    """
    signatures = [set(re.findall(r"(?m)^\[GNUPG:\] (\w+)", part)) for part in status.split("[GNUPG:] NEWSIG")]
    return any({"GOODSIG", "VALIDSIG"} <= words for words in signatures) and not any(
        "BADSIG" in words for words in signatures
    )


def run_verifier(data: bytes, name: str) -> None:
    """Ask gpgv or sqv, whichever is here, for one good signature by a key of the archive keyring."""
    keyring = next((path for path in KEYRINGS if path.exists()), None)
    if keyring is None:
        raise SourceError("no archive keyring in /usr/share/keyrings: install the package debian-archive-keyring")
    with tempfile.TemporaryDirectory(prefix="dozen-release-") as scratch:
        signed = Path(scratch) / "InRelease"
        signed.write_bytes(data)
        if shutil.which("gpgv"):
            argv = ["gpgv", "--status-fd", "1", "--keyring", str(keyring), str(signed)]
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            good = is_good(done.stdout)
        elif shutil.which("sqv"):
            argv = ["sqv", f"--keyring={keyring}", f"--output={scratch}/text", "--cleartext", str(signed)]
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            good = done.returncode == 0
        else:
            raise SourceError("neither gpgv nor sqv is here to check Debian's signatures: install the package gpgv")
    if not good:
        last = (done.stderr.strip().splitlines() or ["no signature by a known key"])[-1]
        raise SourceError(f"{name} is not signed by the Debian archive ({last}): do not use this mirror")

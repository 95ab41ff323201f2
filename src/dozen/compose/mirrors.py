"""Finds a Debian mirror: the setting ``DOZEN_DEBIAN_MIRROR``, or the one that this machine's apt already uses.

No address of any archive is written down in this project. A machine that runs Debian knows one, in one of three forms:
one-line ``.list`` files, deb822 ``.sources`` files, and (in cloud images) a ``mirror+file:`` that names a list of them.
Which release that machine itself runs does not matter: the same mirror carries the suite that the image is made from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dozen.compose.errors import SourceError

SETTING = "DOZEN_DEBIAN_MIRROR"
SECURITY_SETTING = "DOZEN_DEBIAN_SECURITY_MIRROR"
# Takes indexes whose time is over: a snapshot of the archive has no others.
EXPIRED_SETTING = "DOZEN_DEBIAN_ACCEPT_EXPIRED"
APT = Path("/etc/apt")


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Base addresses (no slash at the end). ``security`` is where security updates would be, if anywhere."""

    debian: str
    security: str

    def base(self, archive: str) -> str:
        """The address behind an archive's name in the lock: ``debian`` or ``debian-security``."""
        return self.security if archive == "debian-security" else self.debian


def find_mirrors(environ: Mapping[str, str], apt: Path = APT) -> Mirrors:
    """The mirrors to use. Raises SourceError when neither the setting nor apt's configuration names one."""
    chosen = environ.get(SETTING, "").rstrip("/")
    security = environ.get(SECURITY_SETTING, "").rstrip("/")
    for address, suites in read_sources(apt):
        if is_security(address, suites):
            security = security or address
        elif re.search(r"/debian$", address):
            chosen = chosen or address
    if not chosen:
        raise SourceError(
            f"no Debian mirror is configured in {apt} (sources.list, sources.list.d/*): "
            f"set {SETTING} to the address of one that carries the suite trixie"
        )
    return Mirrors(chosen, security or chosen + "-security")


def accepts_expired(environ: Mapping[str, str]) -> bool:
    """Whether indexes are wanted that are no longer valid."""
    return environ.get(EXPIRED_SETTING, "").lower() in ("1", "yes", "true")


def is_security(address: str, suites: tuple[str, ...]) -> bool:
    return address.endswith("-security") or any(suite.endswith("-security") for suite in suites)


def read_sources(apt: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(address, suites) of each enabled binary source, in apt's order; ``mirror+file:`` is followed."""
    parts = apt / "sources.list.d"
    lists = [apt / "sources.list", *sorted(parts.glob("*.list"))]
    found: list[tuple[str, tuple[str, ...]]] = []
    for path in lists:
        if path.is_file():
            found += read_one_line_style(path.read_text(errors="replace"))
    for path in sorted(parts.glob("*.sources")):
        found += read_deb822(path.read_text(errors="replace"))
    for address, suites in found:
        yield from ((real, suites) for real in follow(address))


def read_one_line_style(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """``deb [options] ADDRESS SUITE COMPONENT...``"""
    for line in text.splitlines():
        words = re.sub(r"\[[^\]]*\]", " ", line.split("#", 1)[0]).split()
        if len(words) >= 3 and words[0] == "deb":
            yield words[1], (words[2],)


def read_deb822(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Stanzas of ``Types:``, ``URIs:``, ``Suites:``, ``Enabled:``."""
    for stanza in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n?", "", text)):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line[:1].isspace():
                fields[name] = fields.get(name, "") + " " + line.strip()
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() not in ("no", "false"):
            suites = tuple(fields.get("suites", "").split())
            yield from ((address, suites) for address in fields.get("uris", "").split())


def follow(address: str) -> Iterator[str]:
    """The http(s) addresses behind one that apt was given."""
    if address.startswith("mirror+file:"):
        path = Path("/" + address.removeprefix("mirror+file:").lstrip("/"))
        if path.is_file():
            for line in path.read_text(errors="replace").splitlines():
                words = line.split("#", 1)[0].split()
                if words:
                    yield from follow(words[0])
    elif address.startswith(("http://", "https://")):
        yield address.rstrip("/")

"""Unpacking what a node sent. Nothing in an archive may lead out of the folder that a person named.

Python's own filters for that are not in the 3.11.2 that Debian 12 has.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO


def unpack(stream: IO[bytes], folder: Path, tell: Callable[[str], None]) -> None:
    """Unpack a .tar.gz into a folder that is there; ``tell`` hears of each member that is left out, and why.

    Owners are not kept; files stay writable for us, and for nobody else. Raises tarfile.TarError, OSError and EOFError
    for an archive that is none, or breaks off.
    """
    root = os.path.realpath(folder)
    with tarfile.open(fileobj=stream, mode="r:gz") as archive:
        # Newer Pythons would look a second time, and warn without this.
        archive.extraction_filter = lambda member, _: member
        for member in archive:
            reason = why_not(member, root)
            if reason:
                tell(f"left out: {member.name}: {reason}")
            else:
                archive.extract(_plain(member), root)


def why_not(member: tarfile.TarInfo, root: str) -> str:
    """Why a member may not be unpacked below ``root``, a real path; empty when it may.

    Links that were unpacked before it count: they may be on its path.
    """
    place = os.path.join(root, member.name.lstrip("/"))
    if not _is_inside(place if not member.issym() else os.path.dirname(place), root):
        return "it is outside of the folder"
    if member.issym():
        if os.path.isabs(member.linkname):
            return f"a link to {member.linkname} leads to this computer's, not the node's"
        if not _is_inside(os.path.join(os.path.dirname(place), member.linkname), root):
            return f"a link to {member.linkname} leads out of the folder"
        return ""
    if member.islnk():
        inside = _is_inside(os.path.join(root, member.linkname), root)
        return "" if inside else f"a link to {member.linkname} leads out of the folder"
    return "" if member.isfile() or member.isdir() else "it is no file and no folder"


def _is_inside(path: str, root: str) -> bool:
    real = os.path.realpath(path)
    return real == root or real.startswith(f"{root.rstrip('/')}/")


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """As a file of ours: nothing of it belongs to others, may be changed by others, or runs as somebody else."""
    member.name = member.name.lstrip("/") or "."
    member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), "", ""
    member.mode = 0o755 if member.isdir() else member.mode & 0o755 | 0o600
    return member

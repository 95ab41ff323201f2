"""Control groups of a node: what each uses and may use, read from the kernel's own files.

A control group (cgroup v2) is a folder below /sys/fs/cgroup; what it uses and may use stands in files of one line or of
``name value`` lines (Documentation/admin-guide/cgroup-v2.rst). A *preset* is a choice of columns; a column says which
file it reads and how it is shown.
"""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

from dozen.client.errors import ClientError
from dozen.client.machine import Node, copy_what_is_there

ROOT = "/sys/fs/cgroup"
Files = Mapping[str, str]
"""The files of one group: name → content."""


class Group(NamedTuple):
    """``path`` is relative to the root, which itself is empty."""

    path: str
    files: Files

    @property
    def depth(self) -> int:
        return self.path.count("/") + 1 if self.path else 0

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2] or "/"


Show = Callable[[Files], str]


async def read_groups(node: Node) -> list[Group]:
    """All groups, each before those in it. A file that could not be read counts as one that is not there."""
    chunks: list[bytes] = []
    await copy_what_is_there(node, ROOT, chunks.append)
    return unpack(b"".join(chunks))


def unpack(archive: bytes) -> list[Group]:
    """The groups of an archive of the root folder. Raises ClientError."""
    try:
        return _unpack(archive)
    except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error) as error:
        raise ClientError(f"the node gave no archive of its control groups: {error}") from None


def _unpack(archive: bytes) -> list[Group]:
    groups: dict[str, dict[str, str]] = {}
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as packed:
        for member in packed:
            path = member.name.removeprefix("./").strip("/")
            if member.isdir():
                groups.setdefault("" if path == "." else path, {})
            elif member.isfile() and (file := packed.extractfile(member)) is not None:
                folder, _, name = path.rpartition("/")
                groups.setdefault(folder, {})[name] = file.read().decode(errors="replace").strip()
    return [Group(path, groups[path]) for path in sorted(groups, key=lambda path: path.split("/") if path else [])]


async def name_containers(node: Node) -> dict[str, str]:
    """What people call the containers whose ids are names of groups."""
    names = {}
    for kubernetes in (False, True):
        for each in await node.containers(kubernetes=kubernetes):
            names[each.internal_id] = each.id
    return names


# -- Columns.


def whole(file: str, form: Callable[[str], str] = str) -> Show:
    """The file's one value."""
    return lambda files: form(files[file]) if file in files else "-"


def line(file: str, key: str, form: Callable[[str], str] = str) -> Show:
    """The value behind ``key`` in a file of such lines."""
    return lambda files: form(_lines(files, file).get(key, "")) or "-"


def total(file: str, key: str, form: Callable[[str], str]) -> Show:
    """The sum over all lines of ``name=value`` words, as io.stat has one for each device."""

    def show(files: Files) -> str:
        words = (word.partition("=") for word in files.get(file, "").split())
        values = [int(value) for name, _, value in words if name == key and value.isdigit()]
        return form(str(sum(values))) if values else "-"

    return show


def pressure(file: str, kind: str, key: str) -> Show:
    """``some`` or ``full`` of a pressure file: avg10, avg60, total."""

    def show(files: Files) -> str:
        for text in files.get(file, "").splitlines():
            first, *words = text.split()
            if first == kind:
                return dict(word.partition("=")[::2] for word in words).get(key, "-")
        return "-"

    return show


def share(file: str, of: str) -> Show:
    """One file's number as percents of another's."""

    def show(files: Files) -> str:
        part, full = files.get(file, ""), files.get(of, "")
        return f"{100 * int(part) / int(full):.2f}%" if part.isdigit() and full.isdigit() and int(full) else "-"

    return show


def _lines(files: Files, file: str) -> dict[str, str]:
    return dict(each.partition(" ")[::2] for each in files.get(file, "").splitlines())


def bytes_text(text: str) -> str:
    """Bytes in powers of 1024, as the kernel gives and takes them; words (max) as they are."""
    if not text.isdigit():
        return text
    value, unit = float(text), 0
    while value >= 1024 and unit < 4:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} B" if unit == 0 else f"{value:.1f} {' KMGT'[unit]}iB"


def seconds_text(text: str) -> str:
    """Microseconds as seconds."""
    return f"{int(text) / 1e6:.2f}s" if text.isdigit() else text


PRESETS: dict[str, tuple[tuple[str, Show], ...]] = {
    "cpu": (
        ("WEIGHT", whole("cpu.weight")),
        ("NICE", whole("cpu.weight.nice")),
        ("MAX", whole("cpu.max")),
        ("USER", line("cpu.stat", "user_usec", seconds_text)),
        ("SYSTEM", line("cpu.stat", "system_usec", seconds_text)),
        ("THROTTLED", line("cpu.stat", "nr_throttled")),
    ),
    "cpuset": (
        ("CPUS", whole("cpuset.cpus")),
        ("CPUS(EFFECTIVE)", whole("cpuset.cpus.effective")),
        ("MEMS", whole("cpuset.mems")),
        ("MEMS(EFFECTIVE)", whole("cpuset.mems.effective")),
    ),
    "io": (
        ("READ", total("io.stat", "rbytes", bytes_text)),
        ("WRITTEN", total("io.stat", "wbytes", bytes_text)),
        ("READS", total("io.stat", "rios", str)),
        ("WRITES", total("io.stat", "wios", str)),
        ("PRESSURE(10s)", pressure("io.pressure", "some", "avg10")),
        ("PRESSURE(60s)", pressure("io.pressure", "some", "avg60")),
    ),
    "memory": (
        ("CURRENT", whole("memory.current", bytes_text)),
        ("PEAK", whole("memory.peak", bytes_text)),
        ("LOW", whole("memory.low", bytes_text)),
        ("PEAK/LOW", share("memory.peak", "memory.low")),
        ("HIGH", whole("memory.high", bytes_text)),
        ("MIN", whole("memory.min", bytes_text)),
        ("CURRENT/MIN", share("memory.current", "memory.min")),
        ("MAX", whole("memory.max", bytes_text)),
    ),
    "process": (
        ("CURRENT", whole("pids.current")),
        ("PEAK", whole("pids.peak")),
        ("MAX", whole("pids.max")),
    ),
    "psi": tuple(
        (f"{name.upper()} {kind.upper()}({key[3:]}s)", pressure(f"{name}.pressure", kind, key))
        for name in ("cpu", "io", "memory")
        for kind in ("some", "full")
        for key in ("avg10", "avg60")
    ),
    "swap": (
        ("CURRENT", whole("memory.swap.current", bytes_text)),
        ("PEAK", whole("memory.swap.peak", bytes_text)),
        ("HIGH", whole("memory.swap.high", bytes_text)),
        ("MAX", whole("memory.swap.max", bytes_text)),
    ),
}

"""Answers "why is this file here?" from a manifest, in words: what `dozenctl why PATH` prints."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from dozen.compose.errors import ComposeError
from dozen.compose.manifest import Manifest, Record

LINKS = 16
PROGRAMS = ("/bin/", "/sbin/")


class Unexplained(ComposeError):
    """The image has no such path; ``hint`` says what to ask for instead."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Explanation:
    """A path's record; ``through`` are the symbolic links that were followed from the path that was asked for.

    ``programs`` are those that want the file by way of other libraries, where no program wants it itself.
    """

    record: Record
    programs: tuple[str, ...]
    through: tuple[Record, ...]


def explain(manifest: Manifest, path: str) -> Explanation:
    """Find a path, through links, and who wanted it. Raises Unexplained when the image has no such path."""
    records = {record.path: record for record in manifest.files}
    asked = posixpath.normpath(path)
    through: list[Record] = []
    if asked == "/":
        raise Unexplained("/ is the image's root", "ask for a path below it")
    record = records.get(asked) or records.get(follow_links(records, asked, through))
    if record is None:
        raise Unexplained(f"no recipe put {asked} into the image", _suggest(records, asked))
    return Explanation(record, _programs_behind(records, record), tuple(through))


def follow_links(records: dict[str, Record], path: str, through: list[Record]) -> str:
    """The path with all links on its way resolved; those that were met are appended to ``through``."""
    done = ""
    rest = [part for part in path.split("/") if part]
    while rest and len(through) < LINKS:
        done = posixpath.normpath(f"{done}/{rest.pop(0)}")
        record = records.get(done)
        if record is not None and record.kind == "link":
            through.append(record)
            base = "" if record.target.startswith("/") else posixpath.dirname(done).rstrip("/")
            rest = [part for part in record.target.split("/") if part] + rest
            done = base
    return posixpath.normpath("/".join([done, *rest]))


def describe(found: Explanation) -> list[tuple[str, str]]:
    """(label, text) pairs for a person, in the order to print them."""
    record = found.record
    kinds = {"link": f"link to {record.target}", "hardlink": f"another name of {record.target}"}
    size = f", {record.size} bytes" if record.size else ""
    rows = [
        ("path", record.path),
        *(("through", f"{link.path} -> {link.target}") for link in found.through),
        ("what", f"{kinds.get(record.kind, record.kind)}, mode {record.mode}{size}"),
        ("why", record.reason),
        ("recipe", record.recipe),
        ("package", f"{record.package} {record.version}".strip()),
        ("licence", record.licence),
        ("sha256", record.sha256),
        ("wanted by", ", ".join([*record.wanted_by, *(f"(through those) {name}" for name in found.programs)])),
    ]
    return [(label, text) for label, text in rows if text]


def _programs_behind(records: dict[str, Record], record: Record) -> tuple[str, ...]:
    if any(name.startswith(PROGRAMS) for name in record.wanted_by):
        return ()
    seen, ahead = set(record.wanted_by), list(record.wanted_by)
    while ahead:
        wanting = records.get(ahead.pop())
        fresh = [name for name in wanting.wanted_by if name not in seen] if wanting is not None else []
        seen.update(fresh)
        ahead += fresh
    return tuple(sorted(name for name in seen if name.startswith(PROGRAMS)))


def _suggest(records: dict[str, Record], path: str) -> str:
    import difflib

    name = posixpath.basename(path)
    same = [each for each in records if posixpath.basename(each) == name]
    near = same or difflib.get_close_matches(path, list(records), n=1)
    return f"did you mean {near[0]}?" if near else "`dozenctl list -r /` shows what there is"

"""Answers "why is this file here?" from a manifest, in words: what `dozenctl why PATH` prints."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from dozen.compose.errors import ComposeError
from dozen.compose.manifest import Manifest, Record

LINKS = 16


@dataclass(frozen=True, slots=True)
class Explanation:
    """A path's record; ``chain`` leads from it over those that wanted it to one that a recipe lists.

    ``through`` are the symbolic links that were followed on the way from the path that was asked for.
    """

    record: Record
    chain: tuple[Record, ...]
    through: tuple[Record, ...]


def explain(manifest: Manifest, path: str) -> Explanation:
    """Find a path, through links, and who wanted it. Raises ComposeError when the image has no such path."""
    records = {record.path: record for record in manifest.files}
    asked = posixpath.normpath(path)
    through: list[Record] = []
    if asked == "/":
        raise ComposeError("/ is the image's root: ask for a path below it")
    record = records.get(asked)
    if record is None:
        real = follow_links(records, asked, through)
        record = records.get(real)
    if record is None:
        raise ComposeError(f"the image has no {asked}: `dozenctl list {posixpath.dirname(asked)}` shows what there is")
    chain: list[Record] = []
    seen = {record.path}
    step = record
    while step.wanted_by and step.wanted_by[0] not in seen:
        step = records[step.wanted_by[0]]
        seen.add(step.path)
        chain.append(step)
    return Explanation(record, tuple(chain), tuple(through))


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
    rows = [("path", record.path)]
    rows += [("through", f"{link.path} -> {link.target}") for link in found.through]
    kinds = {"link": f"link to {record.target}", "hardlink": f"another name of {record.target}"}
    size = f", {record.size} bytes" if record.kind == "file" else ""
    rows.append(("what", f"{kinds.get(record.kind, record.kind)}, mode {record.mode}{size}"))
    rows.append(("why", record.reason))
    if record.wanted_by:
        more = f" and {len(record.wanted_by) - 5} more" if len(record.wanted_by) > 5 else ""
        rows.append(("wanted by", ", ".join(record.wanted_by[:5]) + more))
    rows += [("which is", f"{step.path}: {step.reason}") for step in found.chain[:3]]
    rows.append(("recipe", f"recipes/{record.recipe}"))
    if record.package:
        rows.append(("package", f"{record.package} {record.version}"))
    if record.licence:
        rows.append(("licence", record.licence))
    if record.sha256:
        rows.append(("sha256", record.sha256))
    return rows


def compare_hash(record: Record, actual: str) -> str:
    """What the hash of a running node's file says about it, as a sentence."""
    if not record.sha256:
        return "the manifest holds no hash of this path (it is no file, or the manifest itself)"
    if record.sha256 == actual:
        return "the node's file is the one that was built"
    return f"THE NODE'S FILE DIFFERS: it has sha256 {actual}, {record.sha256} was built"

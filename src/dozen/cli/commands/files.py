"""Files of a node: list, read, copy, usage, mounts."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dozen.cli.output import output_option, print_answers, write_bytes
from dozen.cli.session import Session, command
from dozen.cli.tables import moment, size

if TYPE_CHECKING:
    from dozen.client.machine import Node

# The mode of a file on the wire is Go's: type bits at the top, permissions at the bottom.
_GO_DIRECTORY, _GO_SYMLINK, _GO_DEVICE, _GO_PIPE, _GO_SOCKET, _GO_CHARACTER = (
    1 << 31,
    1 << 27,
    1 << 26,
    1 << 25,
    1 << 24,
    1 << 21,
)
_GO_SETUID, _GO_SETGID, _GO_STICKY = 1 << 23, 1 << 22, 1 << 20
_TYPES = {"f": "REGULAR", "d": "DIRECTORY", "l": "SYMLINK", "L": "SYMLINK"}


def mode_text(mode: int) -> str:
    """A Go file mode as ``ls -l`` shows modes."""
    kind = stat.S_IFREG
    if mode & _GO_DIRECTORY:
        kind = stat.S_IFDIR
    elif mode & _GO_SYMLINK:
        kind = stat.S_IFLNK
    elif mode & _GO_DEVICE:
        kind = stat.S_IFCHR if mode & _GO_CHARACTER else stat.S_IFBLK
    elif mode & _GO_PIPE:
        kind = stat.S_IFIFO
    elif mode & _GO_SOCKET:
        kind = stat.S_IFSOCK
    special = (
        (stat.S_ISUID if mode & _GO_SETUID else 0)
        | (stat.S_ISGID if mode & _GO_SETGID else 0)
        | (stat.S_ISVTX if mode & _GO_STICKY else 0)
    )
    return stat.filemode(kind | special | (mode & 0o777))


@command("list")
@click.argument("paths", nargs=-1)
@click.option("-l", "--long", is_flag=True, help="Show mode, owner, size and time.")
@click.option("-H", "--humanize", is_flag=True, help="Show sizes in units that keep them short.")
@click.option("-r", "--recurse", is_flag=True, help="Go into folders.")
@click.option("-d", "--depth", type=click.IntRange(min=0), default=None, help="How deep to go into folders.")
@click.option("-t", "--type", "kinds", multiple=True, type=click.Choice(list(_TYPES)), help="Only this kind.")
@output_option
def list_files(
    session: Session,
    paths: tuple[str, ...],
    long: bool,
    humanize: bool,
    recurse: bool,
    depth: int | None,
    kinds: tuple[str, ...],
    output: str,
) -> None:
    """List the files under PATHS, each folder itself first."""
    levels = depth if depth is not None else 0 if recurse else 1
    several = len(paths) > 1

    async def work(node: Node) -> list[tuple[str, Any]]:
        types = sorted({_TYPES[kind] for kind in kinds})
        return [
            (path if several else "", entry)
            for path in paths or ("/",)
            async for entry in node.list_files(path, depth=levels, types=types)
        ]

    def rows(_: str, entries: list[tuple[str, Any]]) -> Iterable[tuple[object, ...]]:
        return _list_rows(session, entries, long, humanize)

    sized = "SIZE" if humanize else "SIZE(B)"
    titles = ("MODE", "UID", "GID", sized, "LASTMOD", "NAME") if long else ("NAME",)

    def show(answers: list[tuple[str, list[tuple[str, Any]]]]) -> None:
        if output == "table":
            print_answers(output, answers, titles, rows)
        else:
            print_answers(output, [(node, [each for _, each in found]) for node, found in answers], titles, rows)

    session.each(work, show)


def _list_rows(
    session: Session, entries: list[tuple[str, Any]], long: bool, humanize: bool
) -> Iterable[tuple[object, ...]]:
    for folder, entry in entries:
        if entry.error:
            _complain(session, f"{entry.name}: {entry.error}")
            continue
        name = _shown_name(folder, entry.relative_name)
        if long:
            name += f" -> {entry.link}" if entry.link else ""
            count = size(entry.size) if humanize else entry.size
            yield mode_text(entry.mode), entry.uid, entry.gid, count, moment(entry.modified), name
        else:
            yield (name,)


def _shown_name(folder: str, name: str) -> str:
    """With several folders in one list, whole paths."""
    return name if not folder else folder if name == "." else f"{folder.rstrip('/')}/{name}"


@command("read")
@click.argument("path")
def read(session: Session, path: str) -> None:
    """Print the file at PATH."""

    async def work(node: Node) -> None:
        async for chunk in node.read(path):
            write_bytes(chunk)

    session.each_in_turn(work)


@command("copy")
@click.argument("source")
@click.argument("destination", default="-")
def copy(session: Session, source: str, destination: str) -> None:
    """Copy the file or folder SOURCE from a node.

    DESTINATION is a folder to unpack into; "-" (the default) writes the archive, a .tar.gz, to the output.
    """

    async def work(node: Node) -> None:
        if destination == "-":
            if sys.stdout.isatty():
                raise click.UsageError("An archive is nothing for a terminal: redirect it, or name a DESTINATION.")
            async for chunk in node.copy(source):
                write_bytes(chunk)
        else:
            await _unpack(node, source, Path(destination))

    session.each_in_turn(work)


async def _unpack(node: Node, source: str, folder: Path) -> None:
    """Unpack the archive, also when files are missing in it."""
    import tempfile

    from dozen.client.machine import copy_what_is_there
    from dozen.client.unpacking import unpack

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile() as spool:
        incomplete = await copy_what_is_there(node, source, spool.write)
        spool.seek(0)
        unpack(spool, folder, lambda text: click.echo(f"dozenctl: {text}", err=True))
    if incomplete is not None:
        raise incomplete


@command("usage")
@click.argument("paths", nargs=-1)
@click.option("-a", "--all", "everything", is_flag=True, help="Count files too, not only folders.")
@click.option("-d", "--depth", type=click.IntRange(min=0), default=0, help="How deep to show.")
@click.option("-H", "--humanize", is_flag=True, help="Show sizes in units that keep them short.")
@click.option("-t", "--threshold", type=int, default=0, help="Leave out what is smaller (negative: larger) than this.")
@output_option
def usage(
    session: Session,
    paths: tuple[str, ...],
    everything: bool,
    depth: int,
    humanize: bool,
    threshold: int,
    output: str,
) -> None:
    """Show what PATHS take on the disk."""

    async def work(node: Node) -> list[Any]:
        entries = node.disk_usage(paths or ("/",), depth=depth, everything=everything, threshold=threshold)
        return [entry async for entry in entries]

    def rows(_: str, entries: list[Any]) -> Iterable[tuple[object, ...]]:
        for entry in entries:
            if entry.error:
                _complain(session, f"{entry.name}: {entry.error}")
            else:
                yield (size(entry.size) if humanize else entry.size), entry.relative_name or entry.name

    session.each(work, lambda answers: print_answers(output, answers, ("SIZE", "NAME"), rows))


@command("mounts")
@output_option
def mounts(session: Session, output: str) -> None:
    """List what is mounted where."""

    def rows(_: str, stats: list[Any]) -> Iterable[tuple[object, ...]]:
        for each in stats:
            used = each.size - each.available
            share = 100 * used / each.size if each.size else 0.0
            gigabytes = [f"{count / 1e9:.2f}" for count in (each.size, used, each.available)]
            yield each.filesystem, *gigabytes, f"{share:.2f}%", each.mounted_on

    titles = ("FILESYSTEM", "SIZE(GB)", "USED(GB)", "AVAILABLE(GB)", "PERCENT USED", "MOUNTED ON")
    session.each(lambda node: node.mounts(), lambda answers: print_answers(output, answers, titles, rows))


def _complain(session: Session, words: str) -> None:
    from dozen.cli.failures import Failure

    session.fail(Failure(words))

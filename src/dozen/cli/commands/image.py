"""Images: a node's container images, debug containers run from them, and the system image compared with others."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dozen.cli.output import output_option, print_answers, write_bytes
from dozen.cli.session import Session, command
from dozen.cli.tables import moment, size, table

if TYPE_CHECKING:
    from dozen.client.machine import Node

namespace_option = click.option(
    "--namespace",
    type=click.Choice(("system", "cri")),
    default="system",
    show_default=True,
    help="The node's own images, or Kubernetes'.",
)


@click.group("image")
def image() -> None:
    """Container images of nodes; the system image compared with others."""


@command("list")
@namespace_option
@output_option
def list_images(session: Session, namespace: str, output: str) -> None:
    """List container images."""
    from dozen.client import images

    def rows(_: str, found: list[Any]) -> Iterable[tuple[object, ...]]:
        for each in sorted(found, key=lambda one: one.name):
            yield each.name, each.digest, size(each.size), moment(each.created_at.seconds)

    async def work(node: Node) -> list[Any]:
        return [each async for each in images.list_images(node, namespace)]

    titles = ("IMAGE", "DIGEST", "SIZE", "CREATED")
    session.each(work, lambda answers: print_answers(output, answers, titles, rows))


@command("default")
@click.option("--provenance", is_flag=True, help="Say what each is for.")
def default(session: Session, provenance: bool) -> None:
    """List the images that a node of this version uses by itself."""
    from dozen.machinery.kubernetes import versions

    for name, image in sorted(vars(versions).items()):
        if name.endswith("_IMAGE") and name != "AGNHOST_IMAGE":
            what = name.removesuffix("_IMAGE").lower().replace("_", "-")
            click.echo(f"{image}\t{what}" if provenance else image)


@command("pull")
@click.argument("reference")
@namespace_option
def pull(session: Session, reference: str, namespace: str) -> None:
    """Let nodes pull the image REFERENCE."""
    from dozen.client import images

    async def work(node: Node) -> None:
        async for step in images.pull_image(node, reference, namespace):
            if step.WhichOneof("response") == "name":
                click.echo(f"{node.label}: {step.name}")

    session.each_in_turn(work)


@command("import")
@click.argument("archive", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@namespace_option
def import_archive(session: Session, archive: Path, namespace: str) -> None:
    """Hand the OCI archive ARCHIVE (a tar file) over to nodes."""

    async def work(node: Node) -> None:
        click.echo(f"{node.label}: {await _import(node, archive, namespace)}")

    session.each_in_turn(work)


@command("remove")
@click.argument("reference")
@namespace_option
def remove(session: Session, reference: str, namespace: str) -> None:
    """Remove the image REFERENCE from nodes."""
    from dozen.client import images

    session.each_in_turn(lambda node: images.remove_image(node, reference, namespace))


async def _import(node: Node, archive: Path, namespace: str) -> str:
    from dozen.client import images

    def chunks() -> Iterator[bytes]:
        with archive.open("rb") as file:
            while chunk := file.read(images.CHUNK):
                yield chunk

    return await images.import_image(node, chunks(), namespace)


@command("compare")
@click.option("--image", "folder", type=click.Path(path_type=Path), help="A composed image (default: the newest).")
def compare(session: Session, folder: Path | None) -> None:
    """Compare how many programs are in the image with other systems; with -n, counted on a running node."""
    if session.nodes:
        session.each_in_turn(_compare_node)
        return
    from dozen.cli.commands.why import local_manifest

    manifest, where = local_manifest(folder)
    _print_counts(f"the image in {where}", (manifest.names, manifest.binaries))


async def _compare_node(node: Node) -> None:
    _print_counts(node.label, await _count_on_node(node))


async def _count_on_node(node: Node) -> tuple[int, int]:
    """(names, unique programs) in /bin and /sbin, counted over the API: hard links have one file's content."""
    from dozen.cli.commands.why import _hash

    names, digests = 0, set()
    for folder in ("/bin", "/sbin"):
        async for entry in node.list_files(folder):
            if entry.is_dir:
                continue
            names += 1
            if not entry.link:
                digests.add(await _hash(node, entry.name))
    return names, len(digests)


def _print_counts(who: str, counts: tuple[int, int]) -> None:
    from dozen.compose.compare import compare_systems, read_baseline

    found = compare_systems(*counts, who, read_baseline())
    rows = [(row.system, row.names, row.binaries or "", row.source) for row in found]
    click.echo("\n".join(table(("SYSTEM", "NAMES ON PATH", "UNIQUE PROGRAMS", "COUNTED"), rows)))


@command("debug")
@click.argument("image_name", metavar="IMAGE.tar|NAME")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("--env", multiple=True, metavar="KEY=VALUE", help="A variable for the program.")
@namespace_option
def debug(session: Session, image_name: str, arguments: tuple[str, ...], env: tuple[str, ...], namespace: str) -> None:
    """Run a container on a node, with your terminal as its own, and remove it when it ends.

    IMAGE.tar is an OCI archive on this computer that is handed over first; NAME an image that the node has or can
    pull. What is behind -- goes to the program.
    """
    from dozen.client.errors import ClientError

    if len(session.node_names()) > 1:
        raise ClientError("a debug container runs on one node", "choose one with --nodes")
    pairs = dict(each.partition("=")[::2] for each in env)
    codes: list[int] = []

    async def work(node: Node) -> None:
        name = image_name
        if image_name.endswith(".tar"):
            name = await _import(node, Path(image_name), namespace)
            click.echo(f"{node.label}: {name} is handed over", err=True)
        codes.append(await _run(node, name, arguments, pairs, namespace))

    session.each_in_turn(work)
    sys.exit(codes[0] if codes else 1)


async def _run(node: Node, name: str, arguments: tuple[str, ...], env: dict[str, str], namespace: str) -> int:
    from dozen.client import images

    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    measured = shutil.get_terminal_size()
    with _raw_terminal(terminal):
        return await images.run_container(
            node,
            name,
            arguments,
            keys=_input(),
            output=write_bytes,
            environment={"TERM": os.environ.get("TERM", "linux"), **env} if terminal else env,
            size=(measured.columns, measured.lines) if terminal else None,
            namespace=namespace,
        )


async def _input() -> AsyncIterator[bytes]:
    """What comes in on our input, as it comes, without a thread that could not be stopped."""
    import asyncio

    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    descriptor = sys.stdin.fileno()
    try:
        loop.add_reader(descriptor, lambda: arrived.put_nowait(os.read(descriptor, 1 << 16)))
    except PermissionError:
        # A regular file is always ready, which epoll refuses to watch.
        while data := os.read(descriptor, 1 << 16):
            yield data
        return
    try:
        while data := await arrived.get():
            yield data
    finally:
        loop.remove_reader(descriptor)


@contextmanager
def _raw_terminal(wanted: bool) -> Iterator[None]:
    """Every key goes to the container, Ctrl-C too."""
    if not wanted:
        yield
        return
    import termios
    import tty

    saved = termios.tcgetattr(sys.stdin)
    tty.setraw(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, saved)


for each in (list_images, default, pull, import_archive, remove, compare):
    image.add_command(each)

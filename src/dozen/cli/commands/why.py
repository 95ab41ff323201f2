"""``dozenctl why PATH``: why a file is in the image, asked of the build or of a running node.

The image's manifest has a reason for every file. Without ``-n`` the manifest of a composed image on this computer
answers. With it, the node's own copy does, after the node's file has been read and hashed: an answer about a file
that is not the one that was built would be worth nothing, so that is said instead.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dozen.cli.output import description_option, print_data
from dozen.cli.session import Session, command
from dozen.cli.tables import printable

if TYPE_CHECKING:
    from dozen.client.machine import Node
    from dozen.compose.manifest import Manifest, Record

NODE_MANIFEST = "/usr/share/dozen/manifest.json"


@command("why")
@click.argument("path")
@click.option("--image", type=click.Path(path_type=Path), help="The composed image to ask (default: the newest).")
@description_option
def why(session: Session, path: str, image: Path | None, output: str) -> None:
    """Explain why the file at PATH is in the image; with -n, of a running node, whose file is compared."""
    if session.nodes and image is None:
        session.each_in_turn(lambda node: _ask_node(node, path, output))
        return
    manifest, folder = local_manifest(image)
    _print(manifest, path, output, [("image", str(folder))])


def local_manifest(image: Path | None) -> tuple[Manifest, Path]:
    """The manifest of a composed image: the given one, or the one that was composed last."""
    from dozen.client.errors import ClientError
    from dozen.compose.manifest import decode_manifest

    folders = [image] if image else sorted(_image_folders(), key=lambda each: -(each / "image.json").stat().st_mtime)
    for folder in folders:
        if (found := folder / "manifest.json").exists():
            return decode_manifest(found.read_bytes()), folder
    where = str(image) if image else "build/"
    raise ClientError(
        f"there is no composed image in {where}", "compose one with `make image`, or ask a node with --nodes"
    )


def _image_folders() -> list[Path]:
    from dozen.compose.packages import project_root

    roots = [Path(os.environ["DOZEN_IMAGE"])] if "DOZEN_IMAGE" in os.environ else []
    for base in dict.fromkeys((Path.cwd(), project_root())):
        roots += sorted(each.parent for each in base.glob("build/*/image.json"))
    return [each for each in roots if (each / "image.json").exists()]


async def _ask_node(node: Node, path: str, output: str) -> None:
    from dozen.compose.explain import explain
    from dozen.compose.manifest import decode_manifest

    manifest = decode_manifest(await node.read_whole(NODE_MANIFEST))
    record = explain(manifest, path).record
    facts = [("node", node.label)]
    if record.sha256:
        actual = await _hash(node, record.path)
        if actual != record.sha256:
            _refuse(node.label, record, actual)
        facts.append(("verified", "the node's file has this hash"))
    _print(manifest, path, output, facts)


async def _hash(node: Node, path: str) -> str:
    import hashlib

    digest = hashlib.sha256()
    async for chunk in node.read(path):
        digest.update(chunk)
    return digest.hexdigest()


def _refuse(label: str, record: Record, actual: str) -> None:
    from dozen.client.errors import ClientError

    said = f"it has sha256 {actual}, the manifest says {record.sha256}"
    raise ClientError(
        f"{label}: {record.path} is not the file of the image: {said}",
        "do not trust this node; boot it from a fresh image",
    )


def _print(manifest: Manifest, path: str, output: str, facts: list[tuple[str, str]]) -> None:
    from dozen.compose.explain import describe, explain

    found = explain(manifest, path)
    if output in ("json", "yaml"):
        import msgspec

        print_data(output, [{**dict(facts), **msgspec.to_builtins(found.record)}])
        return
    for title, words in (*describe(found), *facts):
        click.echo(f"{title + ':':<12} {printable(words)}")

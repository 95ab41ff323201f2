"""Giving nodes another configuration: a file, a patch of the one they have, or an editor's result."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dozen.cli.session import Session, command, greet

if TYPE_CHECKING:
    from dozen.client.machine import Node

MODES = ("auto", "no-reboot", "reboot", "staged", "try")
KIND, NAMESPACE, ACTIVE = "MachineConfigs.config.talos.dev", "config", "v1alpha1"
ONLY = "Only the machine configuration can be changed: TYPE is mc, and ID is left out."

mode_option = click.option(
    "-m", "--mode", type=click.Choice(MODES), default="auto", show_default=True, help="When it takes effect."
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Only show what would change.")
timeout_option = click.option("--timeout", default="1m", show_default=True, help="How long a trial (--mode try) lasts.")


@command("apply-config")
@click.option("-f", "--file", "path", required=True, help="The configuration; - reads the input.")
@click.option("-p", "--config-patch", "patches", multiple=True, metavar="PATCH", help="Lay over it: @file or text.")
@mode_option
@dry_run_option
@timeout_option
@click.option("-i", "--insecure", is_flag=True, help="To a node that has no configuration yet.")
@click.option("--cert-fingerprint", "fingerprints", multiple=True, help="The key that an --insecure node must have.")
def apply_config(
    session: Session,
    path: str,
    patches: tuple[str, ...],
    mode: str,
    dry_run: bool,
    timeout: str,
    fingerprints: tuple[str, ...],
) -> None:
    """Apply a machine configuration to nodes. It is checked here and by the node, before anything changes."""
    from dozen.machinery.config import load

    source = "input" if path == "-" else path
    text = sys.stdin.read() if path == "-" else Path(path).read_text()
    if patches:
        from dozen.cli.patches import read_patches
        from dozen.machinery.config.patches import patch as lay_over

        text, source = lay_over(text, read_patches(patches), source), f"{source}, patched"
    load(text, source)
    session.fingerprints = [each.strip() for value in fingerprints for each in value.split(",") if each.strip()]
    if session.fingerprints and not session.insecure:
        raise click.UsageError("--cert-fingerprint goes with --insecure: otherwise the context's authority vouches.")
    seconds = _seconds(timeout)
    session.each_in_turn(lambda node: _apply(node, text, mode, dry_run, seconds))


def _seconds(text: str) -> float:
    from dozen.machinery.config.scalars import parse_duration

    try:
        return float(parse_duration(text))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--timeout") from None


async def _apply(node: Node, text: str, mode: str, dry_run: bool, seconds: float) -> None:
    """Apply, and print what the node says."""
    answer = await node.apply_configuration(text, mode.replace("-", "_").upper(), dry_run=dry_run, seconds=seconds)
    for warning in answer.warnings:
        click.echo(f"{node.label}: warning: {warning}", err=True)
    if answer.mode_details:
        click.echo(answer.mode_details if dry_run else f"{node.label}: {answer.mode_details}")


@command("patch")
@click.argument("type", metavar="TYPE")
@click.argument("id", default="")
@click.option("-p", "--patch", "patches", multiple=True, metavar="PATCH", help="The patch itself, or @file.")
@click.option("--patch-file", "files", multiple=True, type=click.Path(), help="A file with a patch.")
@mode_option
@dry_run_option
@timeout_option
def patch(
    session: Session,
    type: str,
    id: str,
    patches: tuple[str, ...],
    files: tuple[str, ...],
    mode: str,
    dry_run: bool,
    timeout: str,
) -> None:
    """Patch the machine configuration (TYPE: mc) of nodes."""
    from dozen.cli.patches import read_patches
    from dozen.machinery.config.patches import patch as lay_over

    _check_id(id)
    if not patches and not files:
        raise click.UsageError("Give a patch with --patch or --patch-file.")
    read = read_patches([*patches, *(f"@{name}" for name in files)])
    seconds = _seconds(timeout)

    async def work(node: Node) -> None:
        old = await _read(node, type)
        new = lay_over(old, read, f"configuration of {node.label}")
        await _apply(node, new, mode, dry_run, seconds)

    session.each_in_turn(work)


def _check_id(id: str) -> None:
    if id not in ("", ACTIVE):
        raise click.UsageError(ONLY)


async def _read(node: Node, type: str) -> str:
    """The text of the configuration that the node runs with. Raises UsageError for another type of resource."""
    from dozen.client.state import definitions, get_record, resolve

    await greet(node)
    if resolve(type, await definitions(node)).type != KIND:
        raise click.UsageError(ONLY)
    spec = (await get_record(node, KIND, NAMESPACE, ACTIVE)).spec
    return spec if isinstance(spec, str) else _text_of(spec)


def _text_of(spec: Any) -> str:
    """Nodes that tell the configuration as data instead of as text."""
    from dozen.machinery.yaml import dump

    return dump(spec)


@command("edit")
@click.argument("type", metavar="TYPE")
@click.argument("id", default="")
@mode_option
@dry_run_option
@timeout_option
def edit(session: Session, type: str, id: str, mode: str, dry_run: bool, timeout: str) -> None:
    """Edit the machine configuration (TYPE: mc) of nodes, in $EDITOR, one node after another."""
    _check_id(id)
    seconds = _seconds(timeout)

    async def work(node: Node) -> None:
        old = await _read(node, type)
        new = edit_text(old, lambda text: run_editor(text, node.label))
        if new is None:
            click.echo(f"{node.label}: nothing was changed", err=True)
            return
        await _apply(node, new, mode, dry_run, seconds)

    session.each_one_by_one(work)


def edit_text(old: str, ask: Callable[[str], str]) -> str | None:
    """Ask until the text is a configuration; its problems are on top of the next attempt. None: left as it was."""
    from dozen.machinery.config import ConfigError, load

    text = old
    while True:
        answer = ask(text)
        bare = without_notes(answer)
        if not bare.strip() or bare == old or (text != old and answer == text):
            return None
        try:
            load(bare, "edited configuration")
        except ConfigError as error:
            notes = [NOTE + line for line in str(error).splitlines()]
            text = "\n".join([*notes, f"{NOTE}Leave the text as it is to give up.", bare])
            continue
        return bare


NOTE = "#! "


def without_notes(text: str) -> str:
    """The text without our own lines on top of it."""
    lines = text.splitlines(keepends=True)
    while lines and lines[0].startswith(NOTE.strip()):
        del lines[0]
    return "".join(lines)


def run_editor(text: str, name: str) -> str:
    """What a person makes of the text. Raises click.ClickException when the editor fails."""
    chosen: Sequence[str] = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory(prefix="dozenctl-") as folder:
        path = Path(folder) / f"{name.replace('/', '_').replace(':', '_')}.yaml"
        # A configuration has keys in it: only its owner may read the copy.
        path.touch(0o600)
        path.write_text(text)
        try:
            ended = subprocess.run([*chosen, str(path)], check=False)
        except OSError as error:
            raise click.ClickException(f"the editor {chosen[0]} cannot be started: {error.strerror}") from None
        if ended.returncode != 0:
            raise click.ClickException(f"the editor {chosen[0]} ended with {ended.returncode}; nothing was changed")
        return path.read_text()

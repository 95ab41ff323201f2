"""Machine configurations as files: checking, patching and generating them, without any node."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dozen.cli.commands.gen import generate
from dozen.cli.commands.gen_pki import write
from dozen.cli.session import Session, command, guarded

if TYPE_CHECKING:
    from dozen.machinery.config import Config

MODES = ("metal", "cloud", "container", "metal-agent")


@command("validate")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("-c", "--config", "more", multiple=True, type=click.Path(path_type=Path), help="A file; as an argument.")
@click.option("-m", "--mode", default="metal", type=click.Choice(MODES), help="Where the machine runs.")
@click.option("--strict", is_flag=True, help="Refuse what a node would warn of.")
def validate(session: Session, files: tuple[Path, ...], more: tuple[Path, ...], mode: str, strict: bool) -> None:
    """Check machine configurations (- reads the input); tells everything that is wrong, with lines."""
    from dozen.machinery.config import ConfigError, load
    from dozen.machinery.config.support import warnings

    refused = 0
    paths = [*files, *more]
    if not paths:
        raise click.UsageError("Name at least one file.")
    for path in paths:
        name = "input" if str(path) == "-" else str(path)
        text = sys.stdin.read() if str(path) == "-" else path.read_text()
        try:
            config = load(text, name)
        except ConfigError as error:
            refused += 1
            click.echo(str(error), err=True)
            continue
        found = [*warnings(config), *_complaints(config, mode)]
        for each in found:
            click.echo(f"{name}: {'' if strict else 'warning: '}{each}", err=True)
        if strict and found:
            refused += 1
            continue
        kind = config.machine_type if config.is_complete else "incomplete"
        click.echo(f"{name} is valid ({kind}, {len(config.parts) + config.is_complete} documents)")
    if refused:
        sys.exit(1)


def _complaints(config: Config, mode: str) -> list[str]:
    """What does not go with the place that the machine runs in."""
    machine = config.machine
    if mode == "container" and machine is not None and machine.install is not None and machine.install.disk:
        return ["machine.install: a container is not installed to a disk"]
    return []


@click.group("machineconfig")
def machineconfig() -> None:
    """Machine configurations as files: generate and patch them."""


machineconfig.add_command(generate, "gen")


@machineconfig.command("patch")
@click.argument("file", metavar="FILE")
@click.option("-p", "--patch", "patches", multiple=True, required=True, help="@file, or the patch itself.")
@click.option("-o", "--output", default="-", help="Where to write the result; - prints it.")
def patch(file: str, patches: tuple[str, ...], output: str) -> None:
    """Lay patches over the configuration FILE (- reads the input)."""

    def work() -> None:
        from dozen.cli.patches import read_patches
        from dozen.machinery.config import load
        from dozen.machinery.config.patches import patch as apply

        source = "input" if file == "-" else file
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
        result = apply(text, read_patches(patches), source)
        load(result, f"{source}, patched")
        write(Path(output), result, force=True)

    guarded(work)

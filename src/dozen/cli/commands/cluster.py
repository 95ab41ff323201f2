"""Clusters on this computer: machines of a provider, a context of the client configuration for each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dozen.cli.session import Session, command
from dozen.cli.tables import printable, table

if TYPE_CHECKING:
    from dozen.provider.cluster import Cluster
    from dozen.provider.machines import Step

DEFAULT_NAME = "dozen"

name_option = click.option("--name", default=DEFAULT_NAME, show_default=True, help="The cluster's name.")


@click.group("cluster")
def cluster() -> None:
    """Create, show and destroy clusters of machines on this computer."""


@command("create")
@name_option
@click.option(
    "--image", type=click.Path(path_type=Path), default=Path("build/dev"), show_default=True, help="A composed image."
)
@click.option("--cpus", type=click.IntRange(1), default=2, show_default=True, help="Processors.")
@click.option("--memory", type=click.IntRange(256), default=2048, show_default=True, help="Memory in MiB.")
@click.option("--disk", type=click.IntRange(0), default=8192, show_default=True, help="Data disk in MiB; 0 for none.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="A machine configuration of your own.")
@click.option("--kernel-argument", "arguments", multiple=True, help="One more argument for the kernel.")
def create(
    session: Session,
    name: str,
    image: Path,
    cpus: int,
    memory: int,
    disk: int,
    config_file: Path | None,
    arguments: tuple[str, ...],
) -> None:
    """Create a cluster and wait until it answers; one that is there is brought up to date."""
    from dozen.provider.cluster import Clusters, Options

    options = Options(
        cpus=cpus,
        memory_mib=memory,
        disk_mib=disk,
        arguments=arguments,
        config=_checked(config_file) if config_file else None,
        talosconfig=session.config_path.read_text() if config_file and session.config_path.exists() else None,
    )
    made = session.run(Clusters().create(name, image, Progress(), options))
    _remember(session, made)
    click.echo(f"{name} runs {made.version}; its context is selected in {session.config_path}")


def _checked(path: Path) -> str:
    """The file's text, once it is known to be a configuration: a machine that refuses it later is harder to read."""
    from dozen.machinery.config import load

    text = path.read_text()
    load(text, str(path))
    return text


def _remember(session: Session, made: Cluster) -> None:
    """Put the cluster's context into the person's configuration under the cluster's name, and select it."""
    from dozen.machinery.talosconfig import Talosconfig, merge, parse

    known = session.read_config()
    theirs = parse(made.talosconfig.read_text(), str(made.talosconfig))
    old = known.contexts.get(theirs.context)
    if old is not None and old.ca == theirs.select().ca:
        merged = Talosconfig(theirs.context, {**known.contexts, theirs.context: theirs.select()})
    else:
        merged, renamed = merge(known, theirs)
        for before, now in renamed.items():
            click.echo(f"its context is called {now}, because there is another {before}")
    session.write_config(merged)


def _forget(session: Session, ca: str) -> None:
    """Take the contexts of a destroyed cluster, known by its authority, out of the person's configuration."""
    from dozen.machinery.talosconfig import Talosconfig

    known = session.read_config()
    left = {name: each for name, each in known.contexts.items() if each.ca != ca}
    if len(left) < len(known.contexts):
        session.write_config(Talosconfig(known.context if known.context in left else "", left))


@command("show")
@click.option("--name", default="", help="Only this one.")
def show(session: Session, name: str) -> None:
    """List the clusters on this computer."""
    from dozen.client.errors import ClientError
    from dozen.provider.cluster import Clusters

    clusters = Clusters()
    found = [clusters.show(name)] if name else list(clusters.list())
    rows = [
        (each.name, each.state, each.machine.address if each.machine else "", each.folder) for each in found if each
    ]
    if name and not rows:
        raise ClientError(f'there is no cluster "{name}"', "`dozenctl cluster show` lists what there is")
    click.echo("\n".join(table(("NAME", "STATE", "ADDRESS", "FOLDER"), rows)))


@command("destroy")
@name_option
def destroy(session: Session, name: str) -> None:
    """End a cluster's machines and remove what is kept of it, its disk included."""
    from dozen.machinery.talosconfig import TalosconfigError, parse
    from dozen.provider.cluster import Clusters

    clusters = Clusters()
    known = clusters.show(name)
    try:
        ca = parse(known.talosconfig.read_text()).select().ca if known else ""
    except (OSError, TalosconfigError):
        ca = ""
    if not session.run(clusters.destroy(name, Progress())):
        click.echo(f"there is no cluster {name}")
    if ca:
        _forget(session, ca)


class Progress:
    """Steps with their times: a line for each that ended, and on a terminal one for what is under way."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()

    def __call__(self, step: Step) -> None:
        from dozen.provider.machines import StepState

        clear = "\r\x1b[K" if self._live else ""
        words = f": {printable(step.text)}" if step.text else ""
        if step.state in (StepState.STARTED, StepState.NOTE):
            if self._live:
                click.echo(f"{clear}  …  {step.name}{words}", err=True, nl=False)
            return
        mark = "ok" if step.state is StepState.DONE else "failed"
        click.echo(f"{clear}{mark:>6} {step.seconds:6.1f} s  {step.name}{words}", err=True)


for each in (create, show, destroy):
    cluster.add_command(each)

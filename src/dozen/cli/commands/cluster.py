"""Clusters on this computer: machines of a provider, a context of the client configuration for each."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dozen.cli.output import output_option, print_data
from dozen.cli.session import Session, command, write_private
from dozen.cli.tables import printable, table

if TYPE_CHECKING:
    from dozen.provider.cluster import Cluster, Options
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
@click.option("--controlplanes", type=click.IntRange(1), default=1, show_default=True, help="Control planes.")
@click.option("--workers", type=click.IntRange(0), default=0, show_default=True, help="Workers.")
@click.option("--cpus", type=click.IntRange(1), default=2, show_default=True, help="Processors of each machine.")
@click.option("--memory", type=click.IntRange(256), help="Memory in MiB; by default what the machine's role needs.")
@click.option("--disk", type=click.IntRange(0), default=8192, show_default=True, help="Data disk in MiB; 0 for none.")
@click.option("--kubernetes-version", default="", help="Another Kubernetes than the image's own, from a registry.")
@click.option(
    "--config-patch", "patches", multiple=True, metavar="YAML|@FILE", help="Change the machines' configuration."
)
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="A machine configuration of your own.")
@click.option("--kernel-argument", "arguments", multiple=True, help="One more argument for the kernel.")
@click.option("--kubernetes/--no-kubernetes", default=True, help="Bring Kubernetes up, or end when machines answer.")
def create(
    session: Session,
    name: str,
    image: Path,
    controlplanes: int,
    workers: int,
    cpus: int,
    memory: int | None,
    disk: int,
    kubernetes_version: str,
    patches: tuple[str, ...],
    config_file: Path | None,
    arguments: tuple[str, ...],
    kubernetes: bool,
) -> None:
    """Create a cluster and wait until it works; one that is there is brought up to date.

    Asking for more machines than a cluster has adds them. Interrupted, it goes on when it is run again.
    """
    from dozen.provider.cluster import Options

    options = Options(
        control_planes=controlplanes,
        workers=workers,
        cpus=cpus,
        memory_mib=memory or 0,
        disk_mib=disk,
        arguments=arguments,
        patches=tuple(_patch_text(patch) for patch in patches),
        version=kubernetes_version,
        kubernetes=kubernetes,
        config=_checked(config_file) if config_file else None,
        talosconfig=session.config_path.read_text() if config_file and session.config_path.exists() else None,
    )
    _bring_up(session, name, image, options)


def _bring_up(session: Session, name: str, image: Path, options: Options) -> None:
    from dozen.provider.cluster import Clusters

    clusters = Clusters()
    try:
        made = session.run(clusters.create(name, image, Progress(), options))
    except BaseException:
        # Whoever wants to find out what went wrong needs the context more than anybody.
        if (begun := clusters.show(name)) and begun.talosconfig.exists():
            _remember(session, begun)
        raise
    _remember(session, made)
    click.echo(f"{name} runs {made.version}; its context is selected in {session.config_path}")
    if made.kubernetes:
        click.echo(f"Kubernetes: context {_remember_kubernetes(made)} is selected in {kubeconfig_path()}")
    _tell_profile(made)


def _tell_profile(cluster: Cluster) -> None:
    """Whoever measures or judges a cluster has to know that its limits are not the usual ones."""
    from dozen.provider.layout import PROFILES

    if cluster.profile:
        click.echo(f"{cluster.name} has the profile `{cluster.profile}`: {PROFILES.get(cluster.profile, 'unknown')}")


def _patch_text(given: str) -> str:
    """A patch is given as it is, or as @ and a file's name."""
    return Path(given[1:]).read_text() if given.startswith("@") else given


def kubeconfig_path() -> Path:
    """Kubernetes' own rule: the first file of KUBECONFIG, or the one at home."""
    named = next((name for name in os.environ.get("KUBECONFIG", "").split(os.pathsep) if name), "")
    return Path(named) if named else Path.home() / ".kube" / "config"


def _remember_kubernetes(made: Cluster) -> str:
    """Put the cluster into the person's kubeconfig and select it; gives its context's name."""
    from dozen.machinery.kubeconfig import merge, parse, render

    path = kubeconfig_path()
    known = parse(path.read_text() if path.exists() else "", str(path))
    theirs = parse(made.kubeconfig.read_text(), str(made.kubeconfig))
    write_private(path, render(merge(known, theirs)))
    return str(theirs.get("current-context", ""))


def _forget_kubernetes(text: str) -> None:
    """Take a destroyed cluster, known by its authority, out of the person's kubeconfig."""
    from dozen.machinery.kubeconfig import KubeconfigError, forget, parse, render, selected

    path = kubeconfig_path()
    if not path.exists():
        return
    try:
        known = parse(path.read_text(), str(path))
        left = forget(known, selected(parse(text)).ca)
    except KubeconfigError:
        # A file that nobody understands is nobody's to change; the cluster is gone all the same.
        return
    if left != known:
        write_private(path, render(left))


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
@output_option
def show(session: Session, name: str, output: str) -> None:
    """List the clusters on this computer."""
    from dozen.client.errors import ClientError
    from dozen.provider.cluster import Clusters

    clusters = Clusters()
    found = [each for each in ([clusters.show(name)] if name else clusters.list()) if each]
    if name and not found:
        raise ClientError(f'there is no cluster "{name}"', "`dozenctl cluster show` lists what there is")
    if output != "table":
        print_data(output, [_describe(each) for each in found])
        return
    rows = [(each["name"], *node.values()) for each in map(_describe, found) for node in each["nodes"]]
    click.echo("\n".join(table(("CLUSTER", "NODE", "ROLE", "STATE", "ADDRESS", "API"), rows)))
    for each in found:
        click.echo(f"{each.name}: {each.folder}" + ("" if each.nodes else " (incomplete: nothing runs)"))
        _tell_profile(each)


def _describe(found: Cluster) -> dict[str, Any]:
    nodes = [
        {
            "name": node.member.name,
            "role": node.member.role,
            "state": node.state,
            "address": node.place.address,
            "api": f"127.0.0.1:{node.place.api}",
        }
        for node in found.nodes
    ]
    about = {"name": found.name, "folder": str(found.folder), "kubernetes": found.kubernetes}
    return about | {"profile": found.profile, "nodes": nodes}


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
    kubernetes = known.kubeconfig.read_text() if known and known.kubernetes else ""
    if not session.run(clusters.destroy(name, Progress())):
        click.echo(f"there is no cluster {name}")
    if ca:
        _forget(session, ca)
    if kubernetes:
        _forget_kubernetes(kubernetes)


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

"""The cluster's kubeconfig: printed, written, or merged into a person's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dozen.cli.session import Session, command, write_private

if TYPE_CHECKING:
    from dozen.client.machine import Node


@command("kubeconfig")
@click.argument("path", required=False)
@click.option("-f", "--force", is_flag=True, help="Replace a file, or entries of the same names.")
@click.option(
    "-m", "--merge/--no-merge", default=True, show_default=True, help="Merge into the file instead of replacing it."
)
@click.option("--force-context-name", default="", metavar="NAME", help="What to call context, cluster and user.")
def kubeconfig(session: Session, path: str | None, force: bool, merge: bool, force_context_name: str) -> None:
    """Get an administrator's kubeconfig and merge it into PATH, by default ~/.kube/config; "-" prints it."""
    from dozen.client.errors import ClientError
    from dozen.machinery import kubeconfig as files

    if len(session.node_names()) != 1:
        raise ClientError("a kubeconfig comes from one node", "name one control plane with --nodes")

    async def work(node: Node) -> None:
        theirs = files.parse(await node.kubeconfig(), f"the kubeconfig of {node.label}")
        if force_context_name:
            theirs = rename(theirs, force_context_name)
        if path == "-":
            click.echo(files.render(theirs), nl=False)
            return
        target = choose_target(path)
        write(target, theirs, force=force, merge=merge)
        click.echo(f"{target}: context {theirs['current-context']} is selected")

    session.each_in_turn(work)


def choose_target(path: str | None) -> Path:
    """The file; a folder gets one called ``kubeconfig``. Without a path the person's own."""
    if path is None:
        first = os.environ.get("KUBECONFIG", "").split(":")[0]
        return Path(first) if first else Path.home() / ".kube" / "config"
    target = Path(path)
    return target / "kubeconfig" if target.is_dir() else target


def write(target: Path, theirs: dict[str, Any], *, force: bool, merge: bool) -> None:
    """Raises ClientError when something would be lost that nobody said may be."""
    from dozen.client.errors import ClientError
    from dozen.machinery import kubeconfig as files

    exists = target.exists() and target.stat().st_size > 0
    if exists and not merge and not force:
        raise ClientError(f"{target} exists", "replace it with --force, or merge into it with --merge")
    if not exists or not merge:
        write_private(target, files.render(theirs))
        return
    base = files.parse(target.read_text(), str(target))
    if not force and (taken := conflicts(base, theirs)):
        step = "replace the entries with --force, or choose another name with --force-context-name"
        raise ClientError(f"{target} has another entry called {', '.join(taken)}", step)
    write_private(target, files.render(files.merge(base, theirs)))


def conflicts(base: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Names of clusters that both have, of different authorities. What is of the same cluster may be renewed."""
    own = {entry["name"]: _authority(entry) for entry in base["clusters"]}
    return [
        entry["name"]
        for entry in theirs["clusters"]
        if entry["name"] in own and own[entry["name"]] != _authority(entry)
    ]


def _authority(entry: dict[str, Any]) -> str:
    return str((entry.get("cluster") or {}).get("certificate-authority-data", ""))


def rename(config: dict[str, Any], name: str) -> dict[str, Any]:
    """The one cluster, user and context under another name."""
    context = {"cluster": name, "user": name}
    return {
        **config,
        "clusters": [{**entry, "name": name} for entry in config["clusters"]],
        "users": [{**entry, "name": name} for entry in config["users"]],
        "contexts": [
            {**entry, "name": name, "context": {**entry.get("context", {}), **context}} for entry in config["contexts"]
        ],
        "current-context": name,
    }

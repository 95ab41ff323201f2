"""Access to the machine API for workloads."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dozen.cli.session import Session, command, split_commas


@click.group("inject")
def inject() -> None:
    """Add access to the machine API to manifests of Kubernetes."""


@command("serviceaccount")
@click.argument("source", default="", metavar="[FILE]")
@click.option("-f", "--file", "path", default="", help="The manifests; - reads the input.")
@click.option("-r", "--roles", multiple=True, default=("os:reader",), show_default=True, help="Roles, with commas.")
def serviceaccount(session: Session, source: str, path: str, roles: tuple[str, ...]) -> None:
    """Print the manifests with an account of the machine API mounted into each workload.

    The control planes' configuration has to allow the roles, and the namespace (features.kubernetesTalosAPIAccess).
    """
    from dozen.machinery import yaml
    from dozen.machinery.kubernetes.injection import inject as give_access

    name = path or source
    if not name:
        raise click.UsageError("Name the manifests; - reads the input.")
    text = sys.stdin.read() if name == "-" else Path(name).read_text()
    documents = [yaml.plain(each) for each in yaml.load_documents(text, name)]
    click.echo(yaml.dump_documents(give_access(documents, split_commas(roles))), nl=False)


inject.add_command(serviceaccount)

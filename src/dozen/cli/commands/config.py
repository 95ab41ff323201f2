"""Client configuration: the contexts that a person works in."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dozen.cli.output import description_option, print_data
from dozen.cli.session import Session, command, write_private
from dozen.cli.tables import moment, since, table

if TYPE_CHECKING:
    from dozen.client.machine import Node
    from dozen.machinery.talosconfig import Context


@click.group("config")
def config() -> None:
    """Client configuration: contexts, endpoints, nodes, identities."""


@command("contexts")
def contexts(session: Session) -> None:
    """List all contexts; the selected one is marked."""
    known = session.read_config()
    rows = [
        ("*" if name == known.context else "", name, ",".join(each.endpoints), ",".join(each.nodes))
        for name, each in sorted(known.contexts.items())
    ]
    click.echo("\n".join(table(("CURRENT", "NAME", "ENDPOINTS", "NODES"), rows)))


@command("context")
@click.argument("name")
def context(session: Session, name: str) -> None:
    """Select the context NAME."""
    from dozen.machinery.talosconfig import Talosconfig

    known = session.read_config()
    known.select(name)
    session.write_config(Talosconfig(name, known.contexts))
    click.echo(f"context {name} is selected")


@command("endpoint")
@click.argument("hosts", nargs=-1)
def endpoint(session: Session, hosts: tuple[str, ...]) -> None:
    """Set the endpoints of the selected context (none: remove them)."""
    from dozen.client.connection import endpoint_address

    for host in hosts:
        endpoint_address(host)
    _change(session, endpoints=hosts)


@command("node")
@click.argument("names", nargs=-1)
def node(session: Session, names: tuple[str, ...]) -> None:
    """Set the nodes that the selected context asks by default (none: remove them)."""
    _change(session, nodes=names)


def _change(session: Session, **fields: tuple[str, ...]) -> None:
    import msgspec

    known = session.read_config()
    name = session.context_name or known.context
    changed = msgspec.structs.replace(known.select(name), **fields)
    session.write_config(known.with_context(name, changed))


@command("add")
@click.argument("name")
@click.option("--ca", type=click.Path(path_type=Path), required=True, help="The authority's certificate (PEM).")
@click.option("--crt", type=click.Path(path_type=Path), required=True, help="Your certificate (PEM).")
@click.option("--key", type=click.Path(path_type=Path), required=True, help="Its key (PEM).")
def add(session: Session, name: str, ca: Path, crt: Path, key: Path) -> None:
    """Add the context NAME from certificate files and select it."""
    from dozen.client.errors import ClientError
    from dozen.machinery.pki import Keypair, certificate, matches
    from dozen.machinery.talosconfig import Context, Talosconfig

    made = Context(endpoints=tuple(session.endpoints), ca=ca.read_text(), crt=crt.read_text(), key=key.read_text())
    certificate(made.ca)
    if not matches(Keypair(made.crt, made.key)):
        raise ClientError(f"{key} is not the key of {crt}")
    known = session.read_config()
    session.write_config(Talosconfig(name, {**known.contexts, name: made}))
    click.echo(f"context {name} is added and selected")


@command("merge")
@click.argument("source", type=click.Path(path_type=Path))
def merge(session: Session, source: Path) -> None:
    """Add the contexts of the file SOURCE to yours and select its selected one."""
    from dozen.machinery.talosconfig import merge as merge_configs
    from dozen.machinery.talosconfig import parse

    merged, renamed = merge_configs(session.read_config(), parse(source.read_text(), str(source)))
    session.write_config(merged)
    for old, new in renamed.items():
        click.echo(f"context {old} is called {new} here, because {old} is there already")
    click.echo(f"context {merged.context} is selected")


@command("remove")
@click.argument("name")
def remove(session: Session, name: str) -> None:
    """Remove the context NAME."""
    from dozen.machinery.talosconfig import Talosconfig

    known = session.read_config()
    known.select(name)
    left = {key: each for key, each in known.contexts.items() if key != name}
    session.write_config(Talosconfig(known.context if known.context != name else "", left))
    click.echo(f"context {name} is removed")


@command("info")
@description_option
def info(session: Session, output: str) -> None:
    """Show the selected context: endpoints, nodes, roles, and until when its certificate is good."""
    known = session.read_config()
    name = session.context_name or known.context
    facts = describe_context(name, session.context())
    if output in ("json", "yaml"):
        print_data(output, [{key.lower().replace(" ", "_"): value for key, value in facts.items()}])
        return
    facts["File"] = str(session.config_path)
    for title, value in facts.items():
        click.echo(f"{title + ':':<22} {value}")


def describe_context(name: str, chosen: Context) -> dict[str, str]:
    from dozen.machinery.pki import certificate

    facts = {
        "Current context": name,
        "Nodes": ", ".join(chosen.nodes) or "not defined (the endpoint itself is asked)",
        "Endpoints": ", ".join(chosen.endpoints) or "not defined",
        "Roles": "not defined",
    }
    if chosen.crt:
        mine = certificate(chosen.crt)
        facts["Roles"] = ", ".join(mine.subject.organizations) or "none"
        left = mine.not_after - time.time()
        words = f"{since(left)} left" if left > 0 else f"expired {since(-left)} ago"
        facts["Certificate expires"] = f"{moment(mine.not_after)} ({words})"
    return facts


@command("new")
@click.argument("destination", type=click.Path(path_type=Path), default="talosconfig")
@click.option("--roles", default="os:admin", show_default=True, help="Roles of the new identity, with commas.")
@click.option("--crt-ttl", default="8760h", show_default=True, help="How long it is good.")
def new(session: Session, destination: Path, roles: str, crt_ttl: str) -> None:
    """Let the node make a client configuration with other roles; write it to DESTINATION."""
    from dozen.machinery.config.scalars import parse_duration

    seconds = int(parse_duration(crt_ttl))

    async def work(node: Node) -> None:
        made = await node.client_configuration([role.strip() for role in roles.split(",")], seconds)
        write_private(destination, made.talosconfig if isinstance(made.talosconfig, str) else made.talosconfig.decode())
        click.echo(f"{destination} is written")

    if destination.exists():
        raise FileExistsError(17, "exists already", str(destination))
    session.each_in_turn(work)


for each in (contexts, context, endpoint, node, add, merge, remove, info, new):
    config.add_command(each)
for alias, each in (("get-contexts", contexts), ("endpoints", endpoint), ("nodes", node)):
    config.add_command(each, alias)

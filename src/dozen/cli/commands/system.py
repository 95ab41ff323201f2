"""A node's figures: version, memory, processes, containers, time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from dozen.cli.output import output_option, plain, print_answers, print_data
from dozen.cli.session import Session, command
from dozen.cli.tables import moment, printable, since, size

if TYPE_CHECKING:
    from dozen.client.machine import Node

_SORTS = {"rss": "resident_memory", "cpu": "cpu_time"}

kubernetes_option = click.option("-k", "--kubernetes", is_flag=True, help="Kubernetes' containers, not the node's own.")


@command("version")
@click.option("--client", "client_only", is_flag=True, help="Only the client's version.")
@click.option("--short", is_flag=True, help="Only the tags.")
@click.option("-i", "--insecure", is_flag=True, help="Ask a node that has no configuration yet.")
@output_option
def version(session: Session, client_only: bool, short: bool, output: str) -> None:
    """Show the versions of the client and of nodes."""
    from dozen import __version__

    if output != "table":
        documents: list[Any] = [] if not client_only else [{"client": {"tag": f"v{__version__}"}}]
        if not client_only:
            session.each(
                lambda node: node.version(),
                lambda answers: print_data(output, [{"node": label, **plain(reply)} for label, reply in answers]),
            )
        print_data(output, documents)
        return
    click.echo(f"Client v{__version__}" if short else f"Client:\n    Tag:         v{__version__}")
    if not client_only:
        session.each(lambda node: node.version(), lambda answers: _print_versions(answers, short))


def _print_versions(answers: list[tuple[str, Any]], short: bool) -> None:
    if not short:
        click.echo("Server:")
    for label, reply in answers:
        info = reply.version
        if short:
            click.echo(f"Server {label} {printable(info.tag)}")
            continue
        lines = [
            ("NODE", label),
            ("Tag", info.tag),
            ("SHA", info.sha),
            ("Built", info.built),
            ("Runtime", info.go_version),
            ("OS/Arch", f"{info.os}/{info.arch}"),
            ("Platform", f"{reply.platform.name} ({reply.platform.mode})" if reply.platform.mode else ""),
            ("Enabled", "RBAC" if reply.features.rbac else ""),
        ]
        for title, value in lines:
            if value:
                click.echo(f"    {title + ':':<12} {printable(value)}")


@command("memory")
@click.option("-v", "--verbose", is_flag=True, help="All that the kernel says.")
@output_option
def memory(session: Session, verbose: bool, output: str) -> None:
    """Show what memory is used for, in MB."""

    def rows(_: str, info: Any) -> Iterable[tuple[object, ...]]:
        used = info.memtotal - info.memfree - info.cached - info.buffers
        figures = (info.memtotal, used, info.memfree, info.shmem, info.buffers, info.cached, info.memavailable)
        yield tuple(figure // 1024 for figure in figures)

    def all_rows(_: str, info: Any) -> Iterable[tuple[object, ...]]:
        return ((field.name, f"{getattr(info, field.name)} kB") for field in info.DESCRIPTOR.fields)

    titles = ("TOTAL", "USED", "FREE", "SHARED", "BUFFERS", "CACHE", "AVAILABLE")
    session.each(
        lambda node: node.memory(),
        lambda answers: print_answers(
            output, answers, ("FIELD", "VALUE") if verbose else titles, all_rows if verbose else rows
        ),
    )


@command("processes")
@click.option("-s", "--sort", type=click.Choice(list(_SORTS)), default="rss", help="By what to sort.")
@click.option("-w", "--watch", is_flag=True, help="Again and again, until interrupted.")
@output_option
def processes(session: Session, sort: str, watch: bool, output: str) -> None:
    """List processes, the largest first."""
    import asyncio

    def rows(_: str, found: list[Any]) -> Iterable[tuple[object, ...]]:
        for each in sorted(found, key=lambda process: -getattr(process, _SORTS[sort])):
            yield (
                each.pid,
                each.state,
                each.threads,
                f"{each.cpu_time:.2f}",
                size(each.virtual_memory),
                size(each.resident_memory),
                each.args or each.executable or each.command,
            )

    titles = ("PID", "STATE", "THREADS", "CPU-TIME", "VIRTMEM", "RESMEM", "COMMAND")

    def show(answers: list[tuple[str, Any]]) -> None:
        if watch:
            click.echo("\x1b[H\x1b[2J", nl=False)
        print_answers(output, answers, titles, rows)

    session.each(lambda node: node.processes(), show)
    while watch:
        session.run(asyncio.sleep(1))
        session.each(lambda node: node.processes(), show)


@command("containers")
@kubernetes_option
@output_option
def containers(session: Session, kubernetes: bool, output: str) -> None:
    """List containers."""

    def rows(_: str, found: list[Any]) -> Iterable[tuple[object, ...]]:
        for each in sorted(found, key=lambda container: (container.pod_id, container.id)):
            yield each.namespace, _nested(each), each.image, each.pid or "", each.status

    session.each(
        lambda node: node.containers(kubernetes=kubernetes),
        lambda answers: print_answers(output, answers, ("NAMESPACE", "ID", "IMAGE", "PID", "STATUS"), rows),
    )


@command("stats")
@kubernetes_option
@output_option
def stats(session: Session, kubernetes: bool, output: str) -> None:
    """Show the memory and the processor time that containers use."""

    def rows(_: str, found: list[Any]) -> Iterable[tuple[object, ...]]:
        for each in sorted(found, key=lambda stat: (stat.pod_id, stat.id)):
            yield each.namespace, _nested(each), f"{each.memory_usage / 1e6:.2f}", since(each.cpu_usage / 1e9)

    session.each(
        lambda node: node.stats(kubernetes=kubernetes),
        lambda answers: print_answers(output, answers, ("NAMESPACE", "ID", "MEMORY(MB)", "CPU"), rows),
    )


def _nested(container: Any) -> str:
    """Containers of a pod hang under it."""
    inside = container.pod_id and container.id != container.pod_id
    return f"└─ {container.id}" if inside else str(container.id)


@command("time")
@click.option("-c", "--check", default="", metavar="SERVER", help="Ask this time server instead of the node's own.")
@output_option
def time(session: Session, check: str, output: str) -> None:
    """Show the node's time beside that of its time server."""

    def rows(_: str, reply: Any) -> Iterable[tuple[object, ...]]:
        yield reply.server, *(_moment(each) for each in (reply.localtime, reply.remotetime))

    async def work(node: Node) -> Any:
        return await node.time(check)

    titles = ("NTP-SERVER", "NODE-TIME", "NTP-SERVER-TIME")
    session.each(work, lambda answers: print_answers(output, answers, titles, rows))


def _moment(stamp: Any) -> str:
    return moment(stamp.seconds) if stamp.seconds else "unknown"

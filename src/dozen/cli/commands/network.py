"""What goes on in a node's network: its sockets, and the frames of an interface."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

import click

from dozen.cli.output import output_option, print_answers
from dozen.cli.session import Session, command

if TYPE_CHECKING:
    from dozen.client.machine import Node

PROTOCOLS = ("tcp", "udp", "udplite", "raw")


@command("netstat")
@click.option("-a", "--all", "everything", is_flag=True, help="Listening sockets as well as connected ones.")
@click.option("-l", "--listening", is_flag=True, help="Listening sockets only.")
@click.option("-t", "--tcp", is_flag=True, help="TCP.")
@click.option("-u", "--udp", is_flag=True, help="UDP.")
@click.option("-U", "--udplite", is_flag=True, help="UDP-Lite.")
@click.option("-w", "--raw", is_flag=True, help="Raw sockets.")
@click.option("-4", "--ipv4", is_flag=True, help="IPv4 only.")
@click.option("-6", "--ipv6", is_flag=True, help="IPv6 only.")
@click.option("-p", "--programs", is_flag=True, help="The processes that hold the sockets.")
@click.option("-x", "--extend", is_flag=True, help="Users, queues and inodes.")
@click.option("-k", "--pods", is_flag=True, help="Also the sockets of pods.")
@output_option
def netstat(session: Session, everything: bool, listening: bool, output: str, **chosen: bool) -> None:
    """List sockets: connected ones unless told otherwise."""
    wanted = {
        "filter": "ALL" if everything else "LISTENING" if listening else "CONNECTED",
        "feature": {"pid": chosen["programs"]},
        "l4proto": _protocols(chosen),
        "netns": {"hostnetwork": True, "allnetns": chosen["pods"]},
    }
    extra = ("USER", "RX-QUEUE", "TX-QUEUE", "INODE") if chosen["extend"] else ()
    titles = ("PROTO", "LOCAL ADDRESS", "FOREIGN ADDRESS", "STATE", *extra)
    titles += ("PROCESS",) if chosen["programs"] else ()
    titles += ("NETNS",) if chosen["pods"] else ()

    def rows(_: str, found: list[Any]) -> Iterable[tuple[object, ...]]:
        return (_row(each, chosen) for each in found)

    session.each(lambda node: node.sockets(**wanted), lambda answers: print_answers(output, answers, titles, rows))


def _protocols(chosen: dict[str, bool]) -> dict[str, bool]:
    """All protocols and both families, unless some are chosen."""
    names = [name for name in PROTOCOLS if chosen[name]] or PROTOCOLS
    both = chosen["ipv4"] == chosen["ipv6"]
    suffixes = [suffix for suffix, wanted in (("", chosen["ipv4"]), ("6", chosen["ipv6"])) if wanted or both]
    return {name + suffix: True for name in names for suffix in suffixes}


def _row(each: Any, chosen: dict[str, bool]) -> tuple[object, ...]:
    local = _end(each.localip, each.localport)
    remote = _end(each.remoteip, each.remoteport)
    row: tuple[object, ...] = (each.l4proto, local, remote, _state(each))
    if chosen["extend"]:
        row += (each.uid, each.rxqueue, each.txqueue, each.inode)
    if chosen["programs"]:
        row += (f"{each.process.pid}/{each.process.name}" if each.process.pid else "-",)
    return (*row, each.netns or "-") if chosen["pods"] else row


def _end(address: str, port: int) -> str:
    return f"[{address}]:{port or '*'}" if ":" in address else f"{address}:{port or '*'}"


def _state(each: Any) -> str:
    """Only TCP has states worth a word."""
    return each.State.Name(each.state) if each.l4proto.startswith("tcp") else ""


@command("pcap")
@click.option("-i", "--interface", default="eth0", show_default=True, help="Whose frames.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, allow_dash=True), default="-", help="File; - is stdout."
)
@click.option("--promiscuous", is_flag=True, help="Also frames that are not for this interface.")
@click.option("-s", "--snaplen", type=click.IntRange(0, 262144), default=0, help="Bytes to keep of each frame; 0: all.")
@click.option("--duration", default="", metavar="DURATION", help="End after this time (30s, 5m); without, on Ctrl-C.")
@click.option("--bpf-filter", default="", metavar="PROGRAM", help="Only frames that this accepts: `tcpdump -dd`.")
def pcap(
    session: Session, interface: str, output: str, promiscuous: bool, snaplen: int, duration: str, bpf_filter: str
) -> None:
    """Capture frames of a node's interface as a pcap file.

    `dozenctl pcap -i eth0 | tcpdump -r -` shows them; with --bpf-filter "$(tcpdump -dd tcp port 6443)" the node sends
    only what is asked for.
    """
    import asyncio

    from dozen.machinery.bpf import parse_program
    from dozen.machinery.config.scalars import parse_duration

    try:
        program = parse_program(bpf_filter)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--bpf-filter") from None
    seconds = parse_duration(duration) if duration else None
    if output == "-" and sys.stdout.isatty():
        raise click.UsageError("a pcap file is not for a terminal: name a file with -o, or pipe it to `tcpdump -r -`")

    async def write_to(file: IO[bytes], node: Node) -> None:
        async for chunk in node.capture(interface, promiscuous=promiscuous, keep=snaplen, program=program):
            file.write(chunk)
            file.flush()

    async def work(node: Node) -> None:
        with click.open_file(output, "wb") as file, suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await write_to(file, node)

    if len(session.node_names()) > 1:
        raise click.UsageError("frames of several nodes make no one file: name one with --nodes")
    session.each_in_turn(work)

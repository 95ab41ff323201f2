"""etcd's upkeep: who its members are, how they do, copies of the data, and what to do when one is lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dozen.cli.output import output_option, print_answers
from dozen.cli.session import Session, command
from dozen.cli.tables import size

if TYPE_CHECKING:
    from dozen.client.machine import Node

_SUM_BYTES = 32


@click.group("etcd")
def etcd() -> None:
    """Look after etcd, which holds all that Kubernetes knows."""


@command("members")
@output_option
def members(session: Session, output: str) -> None:
    """List the members, as each node sees them."""

    def rows(node: str, found: Any) -> Iterator[Sequence[object]]:
        for each in found:
            urls = ", ".join(each.peer_urls), ", ".join(each.client_urls)
            yield f"{each.id:016x}", each.hostname, *urls, str(each.is_learner).lower()

    session.each(
        lambda node: node.etcd_members(),
        lambda answers: print_answers(output, answers, ("ID", "HOSTNAME", "PEER URLS", "CLIENT URLS", "LEARNER"), rows),
    )


@command("status")
@output_option
def status(session: Session, output: str) -> None:
    """Show how the member on each node does."""
    titles = ("MEMBER", "DB SIZE", "IN USE", "LEADER", "RAFT INDEX", "TERM", "APPLIED", "LEARNER", "PROTOCOL", "ERRORS")

    def rows(node: str, found: Any) -> Iterator[Sequence[object]]:
        share = 100 * found.db_size_in_use / found.db_size if found.db_size else 0
        yield (
            f"{found.member_id:016x}",
            size(found.db_size),
            f"{size(found.db_size_in_use)} ({share:.0f}%)",
            f"{found.leader:016x}",
            found.raft_index,
            found.raft_term,
            found.raft_applied_index,
            str(found.is_learner).lower(),
            found.protocol_version,
            "; ".join(found.errors),
        )

    session.each(lambda node: node.etcd_status(), lambda answers: print_answers(output, answers, titles, rows))


@command("snapshot")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
def snapshot(session: Session, path: Path) -> None:
    """Copy etcd's data to the file PATH; `dozenctl bootstrap --recover-from PATH` begins a cluster with it."""
    from dozen.client.errors import ClientError

    if len(session.node_names()) != 1:
        raise ClientError("a snapshot is of one node's member", "name one control plane with --nodes")

    async def work(node: Node) -> None:
        taken = await save_snapshot(node, path)
        click.echo(f"{node.label}: snapshot of {size(taken)} in {path}")

    session.each_in_turn(work)


async def save_snapshot(node: Node, path: Path) -> int:
    """Bytes written. The file appears when it is whole and its checksum is right. Raises ClientError otherwise."""
    import hashlib

    from dozen.client.errors import ClientError

    draft = path.with_name(f".{path.name}.part")
    digest, tail, total = hashlib.sha256(), b"", 0
    try:
        with draft.open("wb") as file:
            async for chunk in node.etcd_snapshot():
                file.write(chunk)
                total += len(chunk)
                tail += chunk
                digest.update(tail[:-_SUM_BYTES])
                tail = tail[-_SUM_BYTES:]
        if digest.digest() != tail:
            raise ClientError("the snapshot arrived damaged: its checksum is not right", "take it again")
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return total


def _simple(name: str, method: str, request: str, help: str, done: str) -> click.Command:
    """A command that makes one call for each node and says that it is done."""

    @command(name, help=help)
    def run(session: Session) -> None:
        from dozen.machinery.messages import message

        async def work(node: Node) -> None:
            await node.ask(method, message(request)())
            click.echo(f"{node.label}: {done}")

        session.each_in_turn(work)

    return run


@command("remove-member")
@click.argument("member")
def remove_member(session: Session, member: str) -> None:
    """Remove the MEMBER (an id of `members`) of a machine that is gone for good."""
    from dozen.machinery.messages import message

    number = parse_member(member)

    async def work(node: Node) -> None:
        await node.ask("EtcdRemoveMemberByID", message("machine.EtcdRemoveMemberByIDRequest")(member_id=number))
        click.echo(f"{node.label}: member {number:016x} is removed")

    session.each_in_turn(work)


def parse_member(text: str) -> int:
    """A member's id: 16 hexadecimal digits. Raises ClientError."""
    from dozen.client.errors import ClientError

    try:
        number = int(text, 16)
    except ValueError:
        number = -1
    if not 0 < number < 1 << 64:
        raise ClientError(f'"{text}" is not the id of a member', "`dozenctl etcd members` lists them")
    return number


@command("forfeit-leadership")
def forfeit_leadership(session: Session) -> None:
    """Make another member the leader."""
    from dozen.machinery.messages import message

    async def work(node: Node) -> None:
        answer = await node.ask("EtcdForfeitLeadership", message("machine.EtcdForfeitLeadershipRequest")())
        click.echo(f"{node.label}: {answer.member + ' leads now' if answer.member else 'does not lead'}")

    session.each_in_turn(work)


@click.group("alarm")
def alarm() -> None:
    """Show and clear alarms: a database that is full, or data that differs between members."""


def _print_alarms(answers: list[tuple[str, Any]]) -> None:
    def rows(node: str, answer: Any) -> Iterator[Sequence[object]]:
        for each in answer.member_alarms:
            yield f"{each.member_id:016x}", type(each).AlarmType.Name(each.alarm)

    print_answers("table", answers, ("MEMBER", "ALARM"), rows)


@command("list")
def alarm_list(session: Session) -> None:
    """List alarms."""
    session.each(lambda node: node.ask("EtcdAlarmList"), _print_alarms)


@command("disarm")
def alarm_disarm(session: Session) -> None:
    """Clear all alarms; those that were, are listed."""
    session.each(lambda node: node.ask("EtcdAlarmDisarm"), _print_alarms)


alarm.add_command(alarm_list)
alarm.add_command(alarm_disarm)
for each in (
    members,
    status,
    snapshot,
    _simple(
        "defrag",
        "EtcdDefragment",
        "google.protobuf.Empty",
        "Give back the room of what was deleted. The member answers nobody meanwhile: one node after another.",
        "defragmented",
    ),
    _simple(
        "leave",
        "EtcdLeaveCluster",
        "machine.EtcdLeaveClusterRequest",
        "Have the node's member leave the cluster and forget its data.",
        "left the cluster",
    ),
    remove_member,
    forfeit_leadership,
    alarm,
):
    etcd.add_command(each)

"""Disks of a node: the space that is left, and forgetting what is on them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from dozen.cli.output import print_data, print_table
from dozen.cli.session import Session, command
from dozen.cli.tables import size

if TYPE_CHECKING:
    from dozen.client.lifecycle import Space
    from dozen.client.machine import Node

insecure_option = click.option("-i", "--insecure", is_flag=True, help="On a node that has no configuration yet.")


@command("diskfree")
@click.option("-i", "--inodes", is_flag=True, help="Inodes instead of bytes.")
@click.option("-b", "--bytes", "plain_bytes", is_flag=True, help="Whole numbers of bytes.")
@click.option(
    "-o", "--output", type=click.Choice(("table", "json", "yaml")), default="table", help="Form of the output."
)
def diskfree(session: Session, inodes: bool, plain_bytes: bool, output: str) -> None:
    """Show the space of the volumes that are mounted."""
    from dozen.client.lifecycle import measure_mounts

    show: Callable[[int], str] = str if plain_bytes else size

    def rows(label: str, found: list[Space]) -> Iterable[tuple[object, ...]]:
        for each in found:
            info = each.info
            counts = (
                (info.inodes, info.inodes_used, info.inodes_free) if inodes else (info.size, info.used, info.available)
            )
            share = f"{100 * counts[1] / counts[0]:.0f}%" if counts[0] else "-"
            cells = counts if inodes else tuple(show(count) for count in counts)
            yield label, each.source, each.filesystem, *cells, share, each.target

    def print_spaces(answers: list[tuple[str, list[Space]]]) -> None:
        if output != "table":
            print_data(output, [as_data(label, each) for label, found in answers for each in found])
            return
        counted = ("INODES", "USED", "FREE") if inodes else ("SIZE", "USED", "AVAILABLE")
        titles = ("SOURCE", "FILESYSTEM", *counted, "USE", "MOUNTED ON")
        print_table(titles, (row for label, found in answers for row in rows(label, found)))

    session.each(measure_mounts, print_spaces)


def as_data(label: str, space: Space) -> dict[str, Any]:
    """A volume's space as tools print it."""
    names = ("size", "used", "available", "inodes", "inodes_used", "inodes_free")
    counts = {name: int(getattr(space.info, name)) for name in names}
    return {"node": label, "source": space.source, "mountedOn": space.target, "filesystem": space.filesystem, **counts}


@click.group("wipe")
def wipe() -> None:
    """Forget what disks hold."""


def _act(session: Session, work: Callable[[Node], Awaitable[None]], done: str) -> None:
    async def act(node: Node) -> None:
        await work(node)
        click.echo(f"{node.label}: {done}")

    session.each_in_turn(act)


@command("disk")
@click.argument("devices", nargs=-1, required=True, metavar="DEVICE...")
@click.option("--method", type=click.Choice(("FAST", "ZEROES"), case_sensitive=False), default="FAST",
              show_default=True, help="The marks of formats alone, or every byte.")  # fmt: skip
@click.option("--skip-volume-check", is_flag=True, help="Even if a volume of the system is there.")
@click.option("--skip-secondary-check", is_flag=True, help="Even if other devices are made of it.")
@click.option("--drop-partition", is_flag=True, help="Remove the partition from the disk's table, too.")
@insecure_option
def wipe_disk(session: Session, devices: tuple[str, ...], method: str, **options: bool) -> None:
    """Make disks or partitions (vdb, vdc1) blank. What is in use is refused, with what uses it."""
    from dozen.client import lifecycle

    names = ", ".join(devices)
    _act(session, lambda node: lifecycle.wipe(node, devices, method.upper(), **options), f"wiped {names}")


@command("logical-volume")
@click.argument("group")
@click.argument("volume")
@insecure_option
def wipe_logical_volume(session: Session, group: str, volume: str) -> None:
    """Remove the logical volume VOLUME of the volume group GROUP."""
    from dozen.client import lifecycle

    _act(session, lambda node: lifecycle.remove_logical_volume(node, group, volume), f"removed {group}/{volume}")


@command("volume-group")
@click.argument("group")
@insecure_option
def wipe_group(session: Session, group: str) -> None:
    """Remove the volume group GROUP, when it has no volumes any more."""
    from dozen.client import lifecycle

    _act(session, lambda node: lifecycle.remove_group(node, group), f"removed {group}")


@command("physical-volume")
@click.argument("device")
@insecure_option
def wipe_physical_volume(session: Session, device: str) -> None:
    """Remove LVM's label from DEVICE, when no volume group uses it any more."""
    from dozen.client import lifecycle

    _act(session, lambda node: lifecycle.remove_physical_volume(node, device), f"removed the label of {device}")


for each in (wipe_disk, wipe_logical_volume, wipe_group, wipe_physical_volume):
    wipe.add_command(each)

"""META: the node's small persistent values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dozen.cli.session import Session, command

if TYPE_CHECKING:
    from dozen.client.machine import Node


class Key(click.ParamType[int]):
    """A key's number: decimal, or hexadecimal with 0x."""

    name = "key"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            number = int(str(value), 0)
        except ValueError:
            self.fail(f'"{value}" is not a number like 12 or 0x0c', param, ctx)
        return number


@click.group("meta")
def meta() -> None:
    """Write and delete META keys. `dozenctl get metakeys` shows them."""


@command("write")
@click.argument("key", type=Key())
@click.argument("value")
def write(session: Session, key: int, value: str) -> None:
    """Give META key KEY the value VALUE."""

    async def work(node: Node) -> None:
        await node.write_meta(key, value.encode())

    session.each_in_turn(work)


@command("delete")
@click.argument("key", type=Key())
def delete(session: Session, key: int) -> None:
    """Delete META key KEY."""

    async def work(node: Node) -> None:
        await node.delete_meta(key)

    session.each_in_turn(work)


meta.add_command(write)
meta.add_command(delete)

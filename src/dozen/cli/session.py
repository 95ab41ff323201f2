"""What every command that talks to nodes has: whom to ask, with which identity, and how failures end.

Options that choose nodes may be given before the command's name or behind it, as people are used to. A command is an
async function over one node; `Session.each` runs it for all nodes at once, prints what they give in the order that
they were named, and turns a node's failure into a line of its own while the others go on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dozen.cli.failures import FAILED, INTERRUPTED, Failure, explain

if TYPE_CHECKING:
    from dozen.client.connection import Connection
    from dozen.client.machine import Node
    from dozen.machinery.talosconfig import Context, Talosconfig

ResultT = TypeVar("ResultT")
CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def default_path() -> Path:
    return Path(os.environ.get("TALOSCONFIG") or Path.home() / ".talos" / "config")


class Session:
    """The choices of one command line. Empty ones are taken from the selected context."""

    def __init__(self) -> None:
        self.nodes: list[str] = []
        self.endpoints: list[str] = []
        self.path: Path | None = None
        self.context_name = ""
        self.insecure = False
        self.fingerprints: list[str] = []
        self.failed: Failure | None = None
        self.connect: Callable[[Session], Connection] = connect

    @property
    def config_path(self) -> Path:
        return self.path or default_path()

    def read_config(self) -> Talosconfig:
        """The client configuration; an absent file is an empty one."""
        from dozen.machinery.talosconfig import Talosconfig, parse

        try:
            return parse(self.config_path.read_text(), str(self.config_path))
        except FileNotFoundError:
            return Talosconfig()

    def write_config(self, config: Talosconfig) -> None:
        from dozen.machinery.talosconfig import render

        write_private(self.config_path, render(config))

    def context(self) -> Context:
        from dozen.client.errors import ClientError

        if not self.config_path.exists():
            step = "merge one with `dozenctl config merge FILE`, or name it with --talosconfig or TALOSCONFIG"
            raise ClientError(f"there is no client configuration at {self.config_path}", step)
        return self.read_config().select(self.context_name)

    def node_names(self) -> list[str]:
        """Whom to ask; one empty name means the endpoint itself."""
        if self.nodes or self.insecure:
            return self.nodes
        return list(self.context().nodes) or [""]

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        import asyncio

        return asyncio.run(work)

    def each(
        self, work: Callable[[Node], Awaitable[ResultT]], show: Callable[[list[tuple[str, ResultT]]], None]
    ) -> None:
        """``work`` on every node at once; ``show`` gets (label, result) of those that succeeded."""
        results = self.run(self._gather(work))
        if results or not self.failed:
            show(results)
        self.finish()

    def each_in_turn(self, work: Callable[[Node], Awaitable[None]]) -> None:
        """``work``, which prints by itself as it goes, on every node at once."""
        self.run(self._gather(work))
        self.finish()

    def each_one_by_one(self, work: Callable[[Node], Awaitable[None]]) -> None:
        """``work``, which talks with the person as it goes, on one node after another."""
        for name in self.node_names():
            self.nodes = [name] if name else []
            self.run(self._gather(work))
        self.finish()

    def finish(self) -> None:
        if self.failed:
            sys.exit(self.failed.code)

    async def _gather(self, work: Callable[[Node], Awaitable[ResultT]]) -> list[tuple[str, ResultT]]:
        from dozen.client.errors import ClientError

        names = self.node_names()
        if self.insecure and not names:
            raise ClientError("with --insecure a node has to be named", "name it with --nodes")
        if self.insecure:
            return await self._gather_insecure(work, names)
        async with self.connect(self) as connection:
            return await self._gather_on([(connection, name) for name in names], work)

    async def _gather_insecure(
        self, work: Callable[[Node], Awaitable[ResultT]], names: Sequence[str]
    ) -> list[tuple[str, ResultT]]:
        """A node in maintenance is asked directly, without the metadata that a proxy would want."""
        from dozen.client.connection import Connection

        connections = [Connection.insecure(name, fingerprints=self.fingerprints) for name in names]
        try:
            return await self._gather_on([(connection, "") for connection in connections], work)
        finally:
            for connection in connections:
                await connection.close()

    async def _gather_on(
        self, targets: Sequence[tuple[Connection, str]], work: Callable[[Node], Awaitable[ResultT]]
    ) -> list[tuple[str, ResultT]]:
        import asyncio

        from dozen.client.machine import Node

        async def one(node: Node) -> tuple[str, ResultT] | None:
            try:
                return node.label, await work(node)
            except Exception as error:
                failure = explain(error, node.label if len(targets) > 1 else "")
                if failure is None:
                    raise
                self.fail(failure)
                return None

        done = await asyncio.gather(*(one(Node(connection, name)) for connection, name in targets))
        return [result for result in done if result is not None]

    def fail(self, failure: Failure) -> None:
        click.echo(f"dozenctl: {failure}", err=True)
        self.failed = self.failed or failure


def connect(session: Session) -> Connection:
    from dozen.client.connection import Connection

    return Connection.from_context(session.context(), endpoints=session.endpoints)


def node_options(command: CommandT) -> CommandT:
    """The options that choose nodes and identity; what they say reaches the command as its `Session`."""
    for option in (
        click.option("--context", "context_name", default="", help="Context to use instead of the selected one."),
        click.option("--talosconfig", type=click.Path(path_type=Path), help="Client configuration file."),
        click.option(
            "-e", "--endpoints", multiple=True, metavar="HOST", help="Where to connect, instead of the context's."
        ),
        click.option("-n", "--nodes", multiple=True, metavar="NODE", help="Whom to ask; several with commas."),
    ):
        command = option(command)
    return command


def take_options(session: Session, values: dict[str, Any]) -> None:
    """Move the values of `node_options` into the session; what was said later wins."""
    nodes, endpoints = values.pop("nodes", ()), values.pop("endpoints", ())
    path, context_name = values.pop("talosconfig", None), values.pop("context_name", "")
    session.nodes = split_commas(nodes) or session.nodes
    session.endpoints = split_commas(endpoints) or session.endpoints
    session.path = path or session.path
    session.context_name = context_name or session.context_name
    session.insecure = values.pop("insecure", False) or session.insecure


def split_commas(values: Sequence[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


class Command(click.Command):
    """A command whose switches may also be written as ``--wait=false``, as people know it from elsewhere."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        switches = {name: each for each in self.params if isinstance(each, click.Option) for name in each.opts}
        return super().parse_args(ctx, [word for arg in args for word in _read_switch(arg, switches)])


def _read_switch(arg: str, switches: dict[str, click.Option]) -> list[str]:
    """An argument as click wants it: switches lose their value, and turn into their opposite for ``false``."""
    name, equals, value = arg.partition("=")
    option = switches.get(name)
    if option is None or not equals or not option.is_flag or value not in ("true", "false"):
        return [arg]
    if value == "true":
        return [name]
    return option.secondary_opts[:1]


def command(*arguments: Any, **options: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """`click.command` with `node_options`, whose function gets the `Session` first and errors explained."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        import functools

        @functools.wraps(function)
        def run(**values: Any) -> None:
            session = click.get_current_context().find_object(Session) or Session()
            take_options(session, values)
            guarded(lambda: function(session, **values))

        options.setdefault("cls", Command)
        made: click.Command = click.command(*arguments, **options)(node_options(run))
        return made

    return decorate


async def greet(node: Node) -> None:
    """Ask what the node runs before asking for more: one that is older than this client may not know all of it."""
    from dozen import __version__

    tag = str((await node.version()).version.tag)
    if _parts(tag) < _parts(__version__):
        click.echo(f"{node.label}: warning: the node runs {tag}, older than this client (v{__version__})", err=True)


def _parts(version: str) -> tuple[int, ...]:
    """Major, minor and patch; what comes behind them does not count."""
    numbers = version.lstrip("v").partition("-")[0].split(".")
    return tuple(int(number) for number in numbers if number.isdigit())


def guarded(work: Callable[[], Any]) -> None:
    """Run ``work``; exceptions that are failures end the program with their sentence and code."""
    try:
        work()
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has seen enough. Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except Exception as error:
        failure = explain(error)
        if failure is None:
            raise
        click.echo(f"dozenctl: {failure}", err=True)
        sys.exit(failure.code)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise

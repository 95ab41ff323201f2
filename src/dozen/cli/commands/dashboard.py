"""``dozenctl dashboard``: the node's screen, fed over the API.

Figures are asked for every few seconds, all calls at once; the kernel's log and the resources that are shown are
followed beside. What the node does not answer stays unknown on the screen; only when nothing answers does the screen
say so. Keys: q ends, arrow keys or n go to the next node.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

from dozen.cli.session import Session, command
from dozen.machinery.figures import CALLS, CALLS_ONCE, RESOURCES, make_figures

if TYPE_CHECKING:
    from dozen.client.machine import Node
    from dozen.machinery.screen import Figures

RETRY_SECONDS = 2.0
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"


@command("dashboard")
@click.option("-d", "--update-interval", "interval", default="3s", show_default=True, help="Time between two looks.")
def dashboard(session: Session, interval: str) -> None:
    """Watch a node on one screen; q ends it."""
    from dozen.client.errors import ClientError
    from dozen.machinery.config.scalars import parse_duration

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ClientError("the dashboard needs a terminal", "`dozenctl services` and `memory` print the same figures")
    session.run(_show(session, max(0.5, parse_duration(interval))))


async def _show(session: Session, interval: float) -> None:
    from dozen.client.machine import Node

    async with session.connect(session) as connection:
        nodes = [Node(connection, name) for name in session.node_names()]
        at = 0
        with _screen():
            while at >= 0:
                at = await _show_node(nodes[at % len(nodes)], at, len(nodes), interval)


async def _show_node(node: Node, at: int, count: int, interval: float) -> int:
    """Draw until a key is pressed; gives the next node's number, -1 for the end."""
    log: deque[str] = deque(maxlen=200)
    specs: dict[str, Any] = {}
    sampler = Sampler(node, specs, f"q quits{'   n next node' if count > 1 else ''}   {node.label}")
    async with _background(follow_log(node, log), *(follow_resource(node, specs, name) for name in RESOURCES)):
        with _keys() as keys:
            while True:
                figures = await sampler.sample(tuple(log))
                _draw(figures)
                try:
                    key = await asyncio.wait_for(keys.get(), interval)
                except TimeoutError:
                    continue
                if key in ("q", "\x03", "\x04"):
                    return -1
                if key in ("n", "\x1b[C", "\x1b[B"):
                    return at + 1
                if key in ("\x1b[D", "\x1b[A"):
                    return at + count - 1


class Sampler:
    """Asks a node and makes rates of what only grows; ``specs`` of resources are somebody else's to keep."""

    def __init__(self, node: Node, specs: dict[str, Any], note: str) -> None:
        self._node = node
        self._specs = specs
        self._note = note
        self._once: dict[str, Any] = {}
        self._before: tuple[float, dict[str, Any]] | None = None

    async def sample(self, log: tuple[str, ...]) -> Figures:
        names = (*(name for name in CALLS_ONCE if self._once.get(name) is None), *CALLS)
        found = await asyncio.gather(*(self._ask(self._node.ask(name)) for name in names))
        answers = self._once | dict(zip(names, found, strict=True))
        self._once = {name: answers[name] for name in CALLS_ONCE}
        now = time.monotonic()
        before, self._before = self._before, (now, answers)
        note = (
            self._note if any(answers[name] for name in CALLS) else f"no answer from {self._node.label}   {self._note}"
        )
        return make_figures(answers, self._specs, before, now, log, note)

    async def _ask(self, work: Any) -> Any:
        from dozen.client.errors import ClientError
        from dozen.rpc.status import RpcError

        try:
            return await asyncio.wait_for(work, 5)
        except (RpcError, ClientError, TimeoutError):
            return None


async def follow_log(node: Node, log: deque[str]) -> None:
    async def follow() -> None:
        async for chunk in node.dmesg(follow=True):
            log.extend(chunk.decode("utf-8", "replace").rstrip("\n").split("\n"))

    await _again_and_again(follow)


async def follow_resource(node: Node, specs: dict[str, Any], name: str) -> None:
    """Keep the spec of one of `RESOURCES` as the node has it now."""
    from dozen.client.state import watch

    async def follow() -> None:
        async for change in watch(node, *RESOURCES[name]):
            there = change.record if change.kind != "DESTROYED" else None
            specs[name] = there.spec if there else {}

    await _again_and_again(follow)


async def _again_and_again(follow: Callable[[], Awaitable[None]]) -> None:
    """What a node tells goes on when the node is back."""
    from dozen.client.errors import ClientError
    from dozen.rpc.status import RpcError

    while True:
        with suppress(RpcError, ClientError):
            await follow()
        await asyncio.sleep(RETRY_SECONDS)


def _draw(figures: Figures) -> None:
    from dozen.machinery.screen import draw

    columns, rows = shutil.get_terminal_size()
    sys.stdout.write("\x1b[H" + "\r\n".join(line + "\x1b[K" for line in draw(figures, columns, rows)))
    sys.stdout.flush()


@contextmanager
def _screen() -> Iterator[None]:
    """The terminal's other screen without echo, restored whatever happens."""
    import termios
    import tty

    saved = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    sys.stdout.write(_ENTER)
    try:
        yield
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, saved)


@contextmanager
def _keys() -> Iterator[asyncio.Queue[str]]:
    keys: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    descriptor = sys.stdin.fileno()
    loop.add_reader(descriptor, lambda: keys.put_nowait(os.read(descriptor, 16).decode("utf-8", "replace")))
    try:
        yield keys
    finally:
        loop.remove_reader(descriptor)


@asynccontextmanager
async def _background(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

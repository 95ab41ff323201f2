"""``dashboard``: the screen on the console's second terminal (Alt-F2), for whoever stands in front of the machine.

It asks machined over the machine socket, like any client, and draws with plain ANSI. It reads nothing from the
keyboard: there is nothing to type into here.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from dozen.machinery.figures import CALLS, CALLS_ONCE, RESOURCES, make_figures
from dozen.machinery.messages import message
from dozen.machinery.screen import draw
from dozen.node.machine import MACHINE_SOCKET
from dozen.rpc.client import Channel
from dozen.rpc.status import RpcError

TTY = "/dev/tty2"
PERIOD = 3.0
# A picture costs a good part of a second of an emulated processor, most of it for looking at every process. So while
# another terminal is in front, one a minute is drawn, which is there at once when somebody switches to this one.
UNWATCHED_PERIOD = 60.0
LOOK_EVERY = 1.0
ACTIVE = Path("/sys/class/tty/tty0/active")
LOG_LINES = 50
NOTE = "Dozen Linux   managed over its API: dozenctl --help"
_SETUP = "\x1b[2J\x1b[?25l"


async def run() -> int:
    """Draw for ever; 1 when there is no terminal to draw on."""
    try:
        terminal = os.open(TTY, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        print(f"dashboard: {error}", flush=True)  # noqa: T201 -- to the service's log
        return 1
    os.write(terminal, _SETUP.encode())
    before: tuple[float, dict[str, Any]] | None = None
    async with Channel(f"unix:{MACHINE_SOCKET}") as channel:
        while True:
            answers = {name: await _ask(channel, name) for name in (*CALLS_ONCE, *CALLS)}
            specs = {name: await _read_spec(channel, *where) for name, where in RESOURCES.items()}
            now = time.monotonic()
            log = await _read_log(channel)
            figures = make_figures(answers, specs, before, now, log, NOTE)
            before = (now, answers)
            columns, rows = _size_of(terminal)
            text = "\x1b[H" + "\r\n".join(line + "\x1b[K" for line in draw(figures, columns, rows))
            await asyncio.to_thread(os.write, terminal, text.encode())
            await _until_due(now)


async def _until_due(drawn: float) -> None:
    """Until the next picture should be drawn, after the one of the moment ``drawn``."""
    await asyncio.sleep(PERIOD)
    # Nothing announces a switch between terminals but this file.
    while not is_in_front() and time.monotonic() < drawn + UNWATCHED_PERIOD:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_EVERY)


def is_in_front(active: Path = ACTIVE) -> bool:
    """Whether the terminal is the one that the screen shows; so too where nothing tells."""
    try:
        return active.read_text().strip() == Path(TTY).name
    except OSError:
        return True


def _size_of(terminal: int) -> tuple[int, int]:
    size = os.get_terminal_size(terminal)
    return size.columns or 80, size.lines or 25


async def _ask(channel: Channel, name: str) -> Any:
    """The first message of a reply, or None: what is not known stays blank on the screen."""
    try:
        reply = await channel.unary(
            f"/machine.MachineService/{name}", b"", message(f"machine.{name}Response"), timeout=5
        )
    except RpcError:
        return None
    return reply.messages[0] if reply.messages else None


async def _read_spec(channel: Channel, type_: str, namespace: str, id: str) -> Any:
    """A resource's spec as plain values."""
    from dozen.machinery import yaml

    request = message("cosi.resource.GetRequest")(type=type_, namespace=namespace, id=id)
    try:
        reply = await channel.unary(
            "/cosi.resource.State/Get", request, message("cosi.resource.GetResponse"), timeout=5
        )
    except RpcError:
        return {}
    return yaml.load(reply.resource.spec.yaml_spec) or {}


async def _read_log(channel: Channel) -> tuple[str, ...]:
    """The last lines of machined's log."""
    request = message("machine.LogsRequest")(namespace="system", id="machined", tail_lines=LOG_LINES)
    text = b""
    try:
        async for chunk in channel.server_stream(
            "/machine.MachineService/Logs", request, message("common.Data"), timeout=5
        ):
            text += chunk.bytes
    except RpcError:
        return ()
    return tuple(text.decode(errors="replace").splitlines())

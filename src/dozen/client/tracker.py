"""Following a node through a reboot or a shutdown, until it is known to have happened.

The node answers such a call at once, with an *actor id*; what follows is told as events that carry it. So the tracker
listens before it acts. A reboot takes the connection away in between: it is made again until the node says that it
runs, and the kernel's boot id, which must have changed, is the proof. Who may not read the boot id does without the
proof.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from dozen.client.errors import ClientError, NodeError
from dozen.client.lifecycle import Reset, reset
from dozen.client.machine import BOOT_ID, Node
from dozen.machinery.messages import UnknownName, message
from dozen.rpc.status import Code, RpcError

NOTE = "note"
RETRY_SECONDS = 0.5
# A node that has booted and is still not ready after this waits for something that may never come (a time server).
READY_SECONDS = 20.0
_PREFIX = "talos/runtime/"
_LOST = (Code.UNAVAILABLE, Code.CANCELLED, Code.UNKNOWN, Code.INTERNAL, Code.DEADLINE_EXCEEDED)


class Happening(NamedTuple):
    """An event in words: ``subject`` is a phase, task, service or the machine; ``state`` what became of it.

    A ``note`` is the tracker's own word and has only a text.
    """

    kind: str
    subject: str
    state: str
    text: str = ""

    def __str__(self) -> str:
        if self.kind == NOTE:
            return self.text
        words = f"{self.kind} {self.subject}: {self.state}" if self.subject else f"{self.kind}: {self.state}"
        return f"{words} ({self.text})" if self.text else words


Report = Callable[[Happening], None]


def describe(event: Any) -> Happening:
    """An event of the node in words; one of a kind that is not known keeps its name."""
    payload = unpack(event)
    if payload is None:
        return Happening("event", "", event.data.type_url)
    name = payload.DESCRIPTOR.name
    action = _enum_name(payload, "action") if "action" in payload.DESCRIPTOR.fields_by_name else ""
    if name == "MachineStatusEvent":
        unmet = ", ".join(f"{each.name}: {each.reason}" for each in payload.status.unmet_conditions)
        state = _enum_name(payload, "stage").lower().replace("_", " ") + (" and ready" * payload.status.ready)
        return Happening("machine", "", state, unmet)
    table = {
        "SequenceEvent": ("sequence", "sequence"),
        "PhaseEvent": ("phase", "phase"),
        "TaskEvent": ("task", "task"),
        "ServiceStateEvent": ("service", "service"),
    }
    if name in table:
        kind, field = table[name]
        text = payload.error.message if name == "SequenceEvent" else getattr(payload, "message", "")
        return Happening(kind, getattr(payload, field), action.lower(), text)
    if name == "AddressEvent":
        return Happening("address", payload.hostname, ", ".join(payload.addresses))
    if name == "RestartEvent":
        return Happening("restart", "", f"command {payload.cmd}")
    return Happening(name.removesuffix("Event"), "", getattr(payload, "error", ""))


def unpack(event: Any) -> Any:
    """The event's own message, or None for a kind that this client does not know."""
    name = event.data.type_url.removeprefix(_PREFIX)
    try:
        return message(name).FromString(event.data.value)
    except (UnknownName, ValueError):
        return None


async def track_reboot(node: Node, report: Report, *, mode: str = "DEFAULT", timeout: float = 1800) -> None:
    """Reboot and wait until the node runs again, with another boot id. Raises ClientError when it does not."""
    await track(node, report, lambda: node.reboot(mode), timeout=timeout)


async def track(node: Node, report: Report, act: Callable[[], Awaitable[str]], *, timeout: float = 1800) -> None:
    """Follow what ``act`` begins, which gives an actor id and ends in another boot."""
    try:
        async with asyncio.timeout(timeout):
            before = await _boot_id(node)
            async with _Listener(node) as listener:
                await _until_running(node, listener, await act(), before, report)
    except TimeoutError:
        raise ClientError(f"{node.label} was not back within {timeout:g} s", "look at its console") from None


async def track_reset(node: Node, report: Report, wish: Reset, *, timeout: float = 1800) -> None:
    """Reset, and wait until the node is down; with a reboot, until another boot is there.

    A machine that has forgotten its configuration comes back as a stranger, who lets nobody of before in: then that is
    the end of what can be seen from here.
    """
    try:
        async with asyncio.timeout(timeout):
            before = await _boot_id(node)
            async with _Listener(node) as listener:
                actor = await reset(node, wish)
                await _until_stopped(listener, actor, report)
                if wish.reboot and before:
                    await _until_another_boot(node, before, report)
    except TimeoutError:
        raise ClientError(f"{node.label} was not reset within {timeout:g} s", "look at its console") from None


async def _until_another_boot(node: Node, before: str, report: Report) -> None:
    while True:
        try:
            if await _boot_id(node) not in ("", before):
                report(Happening(NOTE, "", "", "boot id is a new one"))
                return
        except RpcError as error:
            if "certificate" not in error.message.lower():
                raise
            report(Happening(NOTE, "", "", "the node has another identity now: it waits for a configuration"))
            return
        await asyncio.sleep(RETRY_SECONDS)


async def track_shutdown(node: Node, report: Report, *, force: bool = False, timeout: float = 600) -> None:
    """Shut down and wait until services are stopped or the node is gone."""
    try:
        async with asyncio.timeout(timeout):
            async with _Listener(node) as listener:
                actor = await node.shutdown(force=force)
                await _until_stopped(listener, actor, report)
    except TimeoutError:
        raise ClientError(f"{node.label} did not stop within {timeout:g} s", "look at its console") from None


async def _until_running(node: Node, listener: _Listener, actor: str, before: str, report: Report) -> None:
    """Until the node runs and is ready; or has booted, and is not ready some time later, which is said."""
    lost, patience, waits_for = False, None, "something"
    while True:
        try:
            event = await asyncio.wait_for(listener.queue.get(), patience)
        except TimeoutError:
            report(Happening(NOTE, "", "", f"it runs, but is not ready yet: it waits for {waits_for}"))
            return
        if event is None:
            if not lost:
                report(Happening(NOTE, "", "", "the connection is gone, as it should be; waiting for the node"))
            lost = True
            continue
        happening = describe(event)
        if lost or event.actor_id == actor:
            report(happening)
        if not lost:
            continue
        if happening.kind == "machine":
            waits_for = happening.text or waits_for
        if (_is_ready(event) or _has_booted(happening)) and (not before or await _boot_id(node) != before):
            if _is_ready(event):
                report(Happening(NOTE, "", "", "boot id is a new one" if before else "node runs"))
                return
            patience = READY_SECONDS


async def _until_stopped(listener: _Listener, actor: str, report: Report) -> None:
    while True:
        event = await listener.queue.get()
        if event is None:
            report(Happening(NOTE, "", "", "the node is gone"))
            return
        if event.actor_id != actor:
            continue
        happening = describe(event)
        report(happening)
        if happening.kind == "sequence" and happening.text:
            raise NodeError(listener.node.label, happening.text)


def _has_booted(happening: Happening) -> bool:
    return (happening.kind, happening.subject, happening.state) == ("sequence", "boot", "stop")


def _is_ready(event: Any) -> bool:
    payload = unpack(event)
    if payload is None or payload.DESCRIPTOR.name != "MachineStatusEvent":
        return False
    return payload.stage == payload.RUNNING and bool(payload.status.ready)


async def _boot_id(node: Node) -> str:
    """Empty for who may not read it."""
    try:
        return (await node.read_whole(BOOT_ID)).decode().strip()
    except RpcError as error:
        if "certificate" not in error.message.lower() and error.code in (Code.PERMISSION_DENIED, *_LOST):
            return ""
        raise


class _Listener:
    """Events into a queue, whatever happens to the connection; None in the queue says that it was lost."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> _Listener:
        self._task = asyncio.create_task(self._listen())
        hello = asyncio.create_task(self._ready.wait())
        await asyncio.wait((self._task, hello), return_when=asyncio.FIRST_COMPLETED)
        hello.cancel()
        if self._task.done():
            self._task.result()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait((self._task,))

    async def _listen(self) -> None:
        tail = 0
        while True:
            try:
                request = message("machine.EventsRequest")(tail_events=tail)
                async for event in self.node.listen("Events", request):
                    self._ready.set()
                    if event.data.type_url:
                        self.queue.put_nowait(event)
            except RpcError as error:
                if error.code not in _LOST or not self._ready.is_set():
                    raise
            if self._ready.is_set() and tail == 0:
                self.queue.put_nowait(None)
                tail = -1
            await asyncio.sleep(RETRY_SECONDS)


def _enum_name(payload: Any, field: str) -> str:
    values = payload.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number
    number = getattr(payload, field)
    return str(values[number].name) if number in values else str(number)

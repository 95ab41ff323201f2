"""Sends logs and events to where the configuration says, and follows it when it says something else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from dozen.machinery.resources import config
from dozen.machinery.resources import receivers as kinds
from dozen.node.configuration import parse

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store
    from dozen.linux.kmsg import Record
    from dozen.node.machine import Machine
    from dozen.node.sending.outbox import Outbox

SERVICES, KERNEL, EVENTS = "services", "kernel", "events"

log = logging.getLogger("dozen.sending")


class Receiver(NamedTuple):
    """``kind`` says what it gets; ``place`` is a URL, or host and port for events."""

    kind: str
    place: str
    tags: tuple[tuple[str, str], ...] = ()


class SendingWatcher:
    """MachineConfig, KmsgLogConfig, EventSinkConfig → messages to receivers."""

    name = "sending"
    outputs = ()

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def run(self, publish: Publisher) -> None:
        changed = asyncio.Event()
        followed = (config.MACHINE_CONFIG, kinds.KMSG_LOG_CONFIG, kinds.EVENT_SINK_CONFIG)
        stops = [self._machine.store.listen(kind, lambda _: changed.set()) for kind in followed]
        running: dict[Receiver, asyncio.Task[None]] = {}
        try:
            while True:
                changed.clear()
                wanted = set(receivers(self._machine.store))
                await _end([running.pop(each) for each in running.keys() - wanted])
                for each in wanted - running.keys():
                    running[each] = asyncio.create_task(self._serve(each), name=f"sending-{each.place}")
                await changed.wait()
        finally:
            for stop in stops:
                stop()
            await _end(list(running.values()))

    async def _serve(self, receiver: Receiver) -> None:
        """Collect what it is to get, and send that."""
        from dozen.node.sending.outbox import Outbox
        from dozen.node.sending.sender import Sender, line_to

        outbox = Outbox()
        if receiver.kind == EVENTS:
            from dozen.node.sending.events import EventLine

            async def open_line() -> EventLine:
                return EventLine(receiver.place)

            sender = Sender(receiver.place, outbox, open_line)
        else:
            sender = Sender(receiver.place, outbox, line_to(receiver.place))
        with self._collecting(receiver, outbox):
            await sender.run()

    @contextlib.contextmanager
    def _collecting(self, receiver: Receiver, outbox: Outbox) -> Iterator[None]:
        collect = {SERVICES: self._tap_services, KERNEL: self._tap_kernel, EVENTS: self._tap_events}[receiver.kind]
        stop = collect(receiver, outbox)
        try:
            yield
        finally:
            stop()

    def _tap_services(self, receiver: Receiver, outbox: Outbox) -> Callable[[], None]:
        """What is remembered of each log, and each line from now on."""
        from dozen.machinery.logrecords import service_record

        tags = dict(receiver.tags)

        def take(id: str, line: bytes) -> None:
            outbox.put(service_record(id, line, _now(), tags))

        for id in self._machine.logs.ids():
            for line in self._machine.logs.get(id).tail(-1).splitlines():
                take(id, line)
        return self._machine.logs.tap(take)

    def _tap_kernel(self, receiver: Receiver, outbox: Outbox) -> Callable[[], None]:
        from dozen.linux.kmsg import LogReader, format_time, read_boot_time
        from dozen.machinery.logrecords import kernel_record

        loop, booted = asyncio.get_running_loop(), round(read_boot_time() * 1_000_000)
        try:
            reader = LogReader()
        except OSError as error:
            log.warning("receiver=%s the kernel's log cannot be read here: %s", receiver.place, error)
            return lambda: None

        def message(record: Record) -> bytes:
            stamp = format_time(booted + record.microseconds)
            tags = dict(receiver.tags)
            return kernel_record(
                record.text, record.facility, record.level, record.sequence, record.microseconds, stamp, tags
            )

        def readable() -> None:
            # Some at a time: others want their turn while a long log is read.
            for _ in range(100):
                try:
                    record = reader.read()
                except ValueError:
                    continue
                if record is None:
                    return
                outbox.put(message(record))

        loop.add_reader(reader.fileno(), readable)

        def stop() -> None:
            loop.remove_reader(reader.fileno())
            reader.close()

        return stop

    def _tap_events(self, receiver: Receiver, outbox: Outbox) -> Callable[[], None]:
        from dozen.node.sending.events import encode_event

        async def collect() -> None:
            async for event in self._machine.events.subscribe(tail=-1):
                outbox.put(encode_event(event))

        collecting = asyncio.create_task(collect(), name="sending-events")

        def stop() -> None:
            collecting.cancel()

        return stop


def receivers(store: Store) -> Iterator[Receiver]:
    """Whom the configuration names."""
    active = store.find(config.MACHINE_CONFIG, config.ACTIVE)
    if active is not None:
        given = parse(active.spec.text)
        for each in given.machine.logging.destinations if given.machine else ():
            yield Receiver(SERVICES, each.endpoint, tuple(sorted(each.extra_tags.items())))
    kernel = store.find(kinds.KMSG_LOG_CONFIG, kinds.KMSG_LOG)
    if kernel is not None:
        yield from (Receiver(KERNEL, each.full_path) for each in kernel.spec.destinations)
    sink = store.find(kinds.EVENT_SINK_CONFIG, kinds.EVENT_SINK)
    if sink is not None:
        yield Receiver(EVENTS, sink.spec.endpoint)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _now() -> str:
    from dozen.linux.kmsg import format_time

    return format_time(round(time.time() * 1_000_000))

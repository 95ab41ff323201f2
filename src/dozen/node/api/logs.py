"""What was said: Logs, LogsContainers, Dmesg and Events. All but one of them may go on for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from dozen.linux import kmsg
from dozen.linux.pipes import wait_readable
from dozen.machinery.messages import message
from dozen.rpc.router import Router
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.node.api.ports import Event, Machine

SERVICE = "/machine.MachineService"

# Clients expect logs in chunks of at most this size and put lines together themselves.
_CHUNK = 1024
# So many records of the kernel are read before others get their turn.
_RECORDS_AT_ONCE = 64
_CRI = 1


def register(router: Router, machine: Machine) -> None:
    """Serve the calls of this theme."""

    async def logs_containers(call: object, request: Any) -> Any:
        return message("machine.LogsContainersResponse")(messages=[{"ids": list(machine.logs.ids())}])

    def logs(call: object, request: Any) -> AsyncIterator[Any]:
        return read_log(machine, request)

    def events(call: object, request: Any) -> AsyncIterator[Any]:
        return read_events(machine, request)

    router.stream(f"{SERVICE}/Logs", "machine.LogsRequest", logs)
    router.unary(f"{SERVICE}/LogsContainers", "google.protobuf.Empty", logs_containers)
    router.stream(f"{SERVICE}/Dmesg", "machine.DmesgRequest", read_kernel_log)
    router.stream(f"{SERVICE}/Events", "machine.EventsRequest", events)


async def read_log(machine: Machine, request: Any) -> AsyncIterator[Any]:
    """A service's log, or that of a pod's container, as bytes."""
    # The kubelet is a service although it has to do with containers; clients ask for it with either.
    if request.id != "kubelet" and (request.driver == _CRI or request.namespace == "k8s.io"):
        async with aclosing(read_pod_log(request)) as pieces:
            async for piece in pieces:
                yield piece
        return
    try:
        log = machine.logs.get(request.id)
    except KeyError:
        raise RpcError(Code.NOT_FOUND, f'log "{request.id}" was not registered') from None
    data = message("common.Data")
    pieces_of = log.follow if request.follow else log.read
    async with aclosing(_as_generator(pieces_of(request.tail_lines))) as news:
        async for piece in news:
            for chunk in _cut(piece):
                yield data(bytes=chunk)


async def read_pod_log(request: Any) -> AsyncGenerator[Any, None]:
    """The log of ``namespace/pod:container`` as the container runtime writes it: time and stream before each line."""
    from dozen.linux import podlogs

    data = message("common.Data")
    try:
        path = await asyncio.to_thread(podlogs.find_log, request.id)
        async with aclosing(_as_generator(podlogs.read_log(path, request.tail_lines, follow=request.follow))) as news:
            async for piece in news:
                for chunk in _cut(piece):
                    yield data(bytes=chunk)
    except FileNotFoundError:
        raise RpcError(Code.NOT_FOUND, f'log "{request.id}" was not registered: no such container') from None
    except ValueError as error:
        raise RpcError(Code.INVALID_ARGUMENT, str(error)) from None
    except OSError as error:
        raise RpcError(Code.UNKNOWN, f"the log of {request.id} cannot be read: {error.strerror}") from None


def _cut(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _CHUNK):
        yield data[start : start + _CHUNK]


async def _as_generator(items: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
    """An async iterator that can be closed, whatever the given one is."""
    try:
        async for item in items:
            yield item
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()


async def read_kernel_log(call: object, request: Any) -> AsyncIterator[Any]:
    """The kernel's log, a record to a message."""
    try:
        reader = kmsg.LogReader(new_only=request.tail)
    except OSError as error:
        raise RpcError(Code.UNAVAILABLE, f"the kernel's log cannot be read here: {error.strerror}") from None
    data = message("common.Data")
    booted = kmsg.read_boot_time()
    count = 0
    try:
        while True:
            record = reader.read()
            if record is not None:
                yield data(bytes=kmsg.format_record(record, booted).encode())
                count += 1
                if count % _RECORDS_AT_ONCE == 0:
                    await asyncio.sleep(0)
            elif request.follow:
                await wait_readable(reader.fileno())
            else:
                return
    finally:
        reader.close()


async def read_events(machine: Machine, request: Any) -> AsyncIterator[Any]:
    """A greeting, the past that was asked for, then every event as it happens."""
    if sum(map(bool, (request.tail_events, request.tail_id, request.tail_seconds))) > 1:
        raise RpcError(Code.INVALID_ARGUMENT, "only one of tail_events, tail_id and tail_seconds may be set")
    event_message = message("machine.Event")
    events = machine.events.subscribe(
        tail=request.tail_events,
        since_id=request.tail_id,
        since_seconds=float(request.tail_seconds),
        actor_id=request.with_actor_id,
    )
    # The subscription begins with its first step. It must have begun when the greeting is sent: whoever has received
    # that may cause an event and expects to see it.
    upcoming = asyncio.ensure_future(_next(events))
    await asyncio.sleep(0)
    try:
        yield event_message(id=machine.events.new_id(), data={})
        while True:
            event = await upcoming
            if event is None:
                return
            upcoming = asyncio.ensure_future(_next(events))
            yield describe_event(event)
    finally:
        upcoming.cancel()
        await asyncio.wait({upcoming})
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()


async def _next(events: AsyncIterator[Event]) -> Event | None:
    async for event in events:
        return event
    return None


def describe_event(event: Event) -> Any:
    """An event as a message. Its payload is an Any whose type URL is not protobuf's usual one."""
    return message("machine.Event")(
        id=event.id, actor_id=event.actor_id, data={"type_url": event.type_url, "value": event.data}
    )

"""Events for a receiver of events: each is a call of its own, in the order in which they happened.

The service is ``events.EventSinkService`` of the protocol that fleets of nodes are managed by (siderolink,
api/events/events.proto): ``EventRequest`` has the event as an Any (field 1) and its id (field 2). Plain HTTP/2; the
address is of a network that whoever set it trusts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dozen.machinery.resources.proto import varint
from dozen.rpc.client import Channel
from dozen.rpc.status import RpcError

if TYPE_CHECKING:
    from dozen.node.events import Event

METHOD = "/events.EventSinkService/Publish"
# For one event, seconds.
PATIENCE = 10.0


class EventLine:
    """Calls to a receiver; a `dozen.node.sending.sender.Line`."""

    def __init__(self, endpoint: str) -> None:
        self._channel = Channel(endpoint, connect_timeout=PATIENCE)

    async def send(self, message: bytes) -> None:
        try:
            await self._channel.unary(METHOD, message, timeout=PATIENCE)
        except RpcError as error:
            raise ConnectionError(error.message) from None

    async def close(self) -> None:
        await self._channel.close()


def encode_event(event: Event) -> bytes:
    """EventRequest."""
    data = _field(1, event.type_url.encode()) + _field(2, event.data)
    return _field(1, data) + _field(2, event.id.encode())


def _field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data

"""A client's connection that is lost: callers hear of it at once, whatever is left of the transport."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from dozen.rpc.clientwire import ClientWire
from dozen.rpc.limits import Limits


class TakenApart(asyncio.Transport):
    """A TLS transport as asyncio leaves it: once it is lost, asking it anything is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = False
        self.socket = socket.socket()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if self.lost:
            raise AttributeError("'NoneType' object has no attribute '_get_extra_info'")
        return {"ssl_object": object(), "socket": self.socket}.get(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def write(self, data: Any) -> None: ...

    def is_closing(self) -> bool:
        return self.lost


def test_a_loss_in_the_middle_of_taking_tls_apart_still_ends_the_connection() -> None:
    async def scenario() -> tuple[str, bool, bool]:
        ended = []
        wire = ClientWire(bytearray(1024), Limits(), ended.append)
        transport = TakenApart()
        wire.connection_made(transport)
        waiter = asyncio.get_running_loop().create_future()
        wire.waiters.append(waiter)
        transport.lost = True
        wire.connection_lost(None)
        transport.socket.close()
        assert wire.connection.fault is not None
        return wire.connection.fault.reason, ended == [wire], waiter.done()

    reason, ended, woken = asyncio.run(scenario())
    assert reason == "connection closed by the peer before it said anything, perhaps for our certificate"
    assert ended
    assert woken

"""Asking other name servers: over UDP, over TCP when an answer is too long, and of several the one that answers.

Each question has an id and a port of its own, by chance: whoever cannot see it cannot answer it (RFC 5452).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

from dozen.machinery import dns

PORT = 53
# For one server, and until the next one is asked, seconds.
PATIENCE = 2.0
# How often a server that does not answer is tried again, seconds.
AGAIN = 5.0


class Unanswered(OSError):
    """No name server has answered."""


class Upstream:
    """A name server, and whether it answers. ``changed`` is told when that changes."""

    def __init__(self, address: str, changed: Callable[[], None], port: int = PORT) -> None:
        self.address, self.port = address, port
        self.healthy = True
        self._changed = changed

    async def ask(self, packet: bytes, *, patience: float = PATIENCE) -> bytes:
        """The answer, with the question's id. Raises OSError and TimeoutError."""
        query = dns.read_query(packet)
        own = query._replace(id=int.from_bytes(os.urandom(2), "big"))
        sent = dns.with_id(packet, own.id)
        try:
            answer = await asyncio.wait_for(self._over_udp(sent, own), patience)
            if answer[2] & (dns.TRUNCATED >> 8):
                answer = await asyncio.wait_for(self._over_tcp(sent, own), patience)
        except (OSError, TimeoutError):
            self._note(False)
            raise
        self._note(True)
        return dns.with_id(answer, query.id)

    async def probe(self) -> None:
        """Ask something that every name server knows, only to see whether it answers."""
        try:
            await self.ask(dns.make_query(0, "", dns.NS))
        except (OSError, TimeoutError):
            return

    def _note(self, healthy: bool) -> None:
        if healthy != self.healthy:
            self.healthy = healthy
            self._changed()

    async def _over_udp(self, packet: bytes, query: dns.Query) -> bytes:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Asker(answer, query), remote_addr=(self.address, self.port)
        )
        try:
            transport.sendto(packet)
            return await answer
        finally:
            transport.close()

    async def _over_tcp(self, packet: bytes, query: dns.Query) -> bytes:
        reader, writer = await asyncio.open_connection(self.address, self.port)
        try:
            writer.write(len(packet).to_bytes(2, "big") + packet)
            length = int.from_bytes(await reader.readexactly(2), "big")
            answer = await reader.readexactly(length)
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("the name server hung up") from error
        finally:
            writer.close()
        if not dns.answers_to(answer, query):
            raise OSError("the name server answers something else")
        return answer


class _Asker(asyncio.DatagramProtocol):
    """Waits for the answer to one question; the socket is connected, so it hears nobody else."""

    def __init__(self, answer: asyncio.Future[bytes], query: dns.Query) -> None:
        self._answer, self._query = answer, query

    def datagram_received(self, data: bytes, address: Any) -> None:
        if not self._answer.done() and dns.answers_to(data, self._query):
            self._answer.set_result(data)

    def error_received(self, error: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(error)


class Upstreams:
    """Name servers in the order in which they are asked: those that answer, then the others."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self.all: tuple[Upstream, ...] = ()

    def use(self, addresses: tuple[str, ...]) -> None:
        """These from now on; of those that stay it is not forgotten whether they answer."""
        known = {each.address: each for each in self.all}
        self.all = tuple(known.get(address) or Upstream(address, self._changed) for address in addresses)
        self._changed()

    async def ask(self, packet: bytes) -> bytes:
        """The first answer. Raises `Unanswered`."""
        reasons = []
        for each in sorted(self.all, key=lambda each: not each.healthy):
            try:
                return await each.ask(packet)
            except (OSError, TimeoutError) as error:
                reasons.append(f"{each.address}: {error or 'no answer'}")
        raise Unanswered("; ".join(reasons) or "there are no name servers")

    async def look_after(self) -> None:
        """Never returns: asks servers that do not answer again and again."""
        while True:
            await asyncio.gather(*(each.probe() for each in self.all if not each.healthy))
            await asyncio.sleep(AGAIN)

"""Listens for questions on one address, over UDP and TCP. Bounded: what comes too fast is not answered."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from dozen.machinery import dns
from dozen.node.hostdns.resolver import Resolver

# Questions over UDP that are worked on at one time: askers ask again when they are not answered.
WAITING = 512
CONNECTIONS = 64
# A connection on which nothing is asked for so long is closed, seconds (RFC 7766, 6.2.3).
IDLE = 10.0
# A question has a name of at most 255 bytes, and few options.
LONGEST_QUESTION = 4096

log = logging.getLogger("dozen.dns")


class Server:
    """One address. ``await Server.open(…)``, then ``close()``."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[asyncio.StreamWriter] = set()

    @classmethod
    async def open(cls, address: str, port: int, resolver: Resolver) -> Server:
        """Raises OSError when the address is not there, or taken."""
        server, loop = cls(resolver), asyncio.get_running_loop()
        server._tcp = await asyncio.start_server(server._talk, address, port, backlog=CONNECTIONS)
        try:
            real = server._tcp.sockets[0].getsockname()[1]
            server._udp, _ = await loop.create_datagram_endpoint(lambda: _Listener(server), (address, real))
        except OSError:
            await server.close()
            raise
        return server

    @property
    def port(self) -> int:
        assert self._tcp is not None
        return int(self._tcp.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        for writer in tuple(self._connections):
            writer.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def take(self, packet: bytes, address: Any) -> None:
        """A question over UDP."""
        if len(self._tasks) >= WAITING or len(packet) > LONGEST_QUESTION:
            return
        task = asyncio.ensure_future(self._answer_datagram(packet, address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer_datagram(self, packet: bytes, address: Any) -> None:
        with contextlib.suppress(dns.DnsError):
            answer = await self._resolver.answer(packet)
            if len(answer) > dns.PLAIN_SIZE:
                query = dns.read_query(packet)
                answer = answer if len(answer) <= query.size else dns.cut(answer, query)
            if self._udp is not None and not self._udp.is_closing():
                self._udp.sendto(answer, address)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= CONNECTIONS:
            writer.close()
            return
        self._connections.add(writer)
        try:
            while True:
                head = await asyncio.wait_for(reader.readexactly(2), IDLE)
                length = int.from_bytes(head, "big")
                if length > LONGEST_QUESTION:
                    return
                packet = await asyncio.wait_for(reader.readexactly(length), IDLE)
                answer = await self._resolver.answer(packet)
                writer.write(len(answer).to_bytes(2, "big") + answer)
                await asyncio.wait_for(writer.drain(), IDLE)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, dns.DnsError):
            return
        finally:
            self._connections.discard(writer)
            writer.close()


class _Listener(asyncio.DatagramProtocol):
    def __init__(self, server: Server) -> None:
        self._server = server

    def datagram_received(self, data: bytes, address: Any) -> None:
        self._server.take(data, address)

    def error_received(self, error: Exception) -> None:
        log.debug("udp error=%s", error)

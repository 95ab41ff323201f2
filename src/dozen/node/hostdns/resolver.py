"""What a question's answer is: of a member of the cluster, a remembered one, or one that a name server gives now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from dozen.machinery import dns
from dozen.node.hostdns.cache import Cache

# Questions that wait for somebody at one time: more are told to try again.
IN_FLIGHT = 512
# Seconds that an answer about a member may be remembered by who asked.
MEMBER_TTL = 10

log = logging.getLogger("dozen.dns")


class Servers(Protocol):
    async def ask(self, packet: bytes) -> bytes: ...


class Resolver:
    """Answers questions. Whoever asks what is being asked already waits with the one who asked first."""

    def __init__(self, servers: Servers, clock: Callable[[], float], in_flight: int = IN_FLIGHT) -> None:
        self._servers = servers
        self._in_flight = in_flight
        self._asking: dict[bytes, asyncio.Task[bytes]] = {}
        self.cache = Cache(clock)
        # Names in small letters, and addresses.
        self.members: Mapping[str, tuple[str, ...]] = {}

    async def answer(self, packet: bytes) -> bytes:
        """The answer to a message. Raises DnsError for what is not to be answered at all."""
        try:
            query = dns.read_query(packet)
        except dns.DnsError:
            opcode = packet[2] & 0x78 if len(packet) > 2 else 0
            return dns.refuse(packet, dns.NOT_IMPLEMENTED if opcode else dns.FORMAT_ERROR)
        addresses = self.members.get(query.text) if query.type in (dns.A, dns.AAAA) and self.members else None
        if addresses is not None and query.cls == dns.INTERNET:
            return dns.answer_addresses(packet, query, addresses, MEMBER_TTL)
        key = dns.key_of(packet, query)
        found = self.cache.find(key)
        if found is None:
            found = await self._ask(packet, key)
        return dns.spelled(found, packet, query) if found else dns.refuse(packet, dns.SERVER_FAILURE)

    async def _ask(self, packet: bytes, key: bytes) -> bytes:
        """A name server's answer, empty when there is none."""
        task = self._asking.get(key)
        if task is None:
            if len(self._asking) >= self._in_flight:
                return b""
            task = asyncio.ensure_future(self._fetch(packet, key))
            self._asking[key] = task
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(task)

    async def _fetch(self, packet: bytes, key: bytes) -> bytes:
        try:
            found = await self._servers.ask(packet)
            answer = dns.read_answer(found)
        except (OSError, dns.DnsError) as error:
            log.debug("name=%s error=%s", dns.read_query(packet).text, error)
            return b""
        self.cache.keep(key, found, answer)
        return found

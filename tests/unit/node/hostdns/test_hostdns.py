"""The node's DNS server: what it remembers, whom it asks, and what it does when nobody answers."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dozen.machinery import dns
from dozen.node.hostdns import upstreams as module
from dozen.node.hostdns.cache import Cache
from dozen.node.hostdns.resolver import Resolver
from dozen.node.hostdns.server import Server
from dozen.node.hostdns.upstreams import Unanswered, Upstream, Upstreams

QUESTION = dns.make_query(7, "a.test", dns.A)


def reply(packet: bytes, ttl: int = 60, count: int = 1, flags: int = 0x8180) -> bytes:
    query = dns.read_query(packet)
    data = b"\xc0\x0c" + struct.pack(">HHIH", query.type, 1, ttl, 4) + bytes((10, 0, 0, 1))
    return packet[:2] + struct.pack(">HHHHH", flags, 1, count, 0, 0) + packet[12 : query.end] + data * count


class Hand:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Script:
    """A name server that answers what it is told to, and counts."""

    def __init__(self, answer: Callable[[bytes], Any]) -> None:
        self.asked = 0
        self._answer = answer

    async def ask(self, packet: bytes) -> bytes:
        self.asked += 1
        await asyncio.sleep(0)
        found = self._answer(packet)
        if isinstance(found, Exception):
            raise found
        assert isinstance(found, bytes)
        return found


def test_answers_are_remembered_as_long_as_they_hold() -> None:
    clock, script = Hand(), Script(reply)

    async def scenario() -> None:
        resolver = Resolver(script, clock)
        assert dns.read_answer(await resolver.answer(QUESTION)).ttl == 60
        clock.now += 20
        again = await resolver.answer(dns.with_id(QUESTION, 9))
        assert (dns.read_answer(again).ttl, again[:2], script.asked) == (40, b"\0\x09", 1)
        clock.now += 41
        assert dns.read_answer(await resolver.answer(QUESTION)).ttl == 60
        assert script.asked == 2

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "answer",
    [
        lambda packet: reply(packet, ttl=0),
        lambda packet: dns.refuse(packet, dns.SERVER_FAILURE),
        lambda packet: reply(packet, flags=0x8180 | dns.TRUNCATED),
    ],
)
def test_some_answers_are_not_remembered(answer: Callable[[bytes], bytes]) -> None:
    script = Script(answer)

    async def scenario() -> None:
        resolver = Resolver(script, Hand())
        for _ in range(2):
            await resolver.answer(QUESTION)
        assert script.asked == 2

    asyncio.run(scenario())


def test_the_cache_is_bounded() -> None:
    cache = Cache(Hand(), entries=3, size=100_000)
    packet = reply(QUESTION)
    for name in (b"a", b"b", b"c"):
        cache.keep(name, packet, dns.read_answer(packet))
    assert cache.find(b"a") == packet
    cache.keep(b"d", packet, dns.read_answer(packet))
    assert (len(cache), cache.find(b"b"), cache.find(b"a")) == (3, None, packet)
    small = Cache(Hand(), size=16 * 60)
    for number in range(100):
        small.keep(b"%d" % number, packet, dns.read_answer(packet))
    assert 0 < len(small) < 40


def test_who_asks_the_same_waits_with_who_asked_first_and_too_many_are_told_to_wait() -> None:
    gate = asyncio.Event()

    class Slow(Script):
        async def ask(self, packet: bytes) -> bytes:
            await gate.wait()
            return await super().ask(packet)

    script = Slow(reply)

    async def scenario() -> None:
        resolver = Resolver(script, Hand(), in_flight=1)
        first = [asyncio.ensure_future(resolver.answer(dns.with_id(QUESTION, each))) for each in (1, 2)]
        await asyncio.sleep(0)
        other = await resolver.answer(dns.make_query(3, "b.test", dns.A))
        assert dns.read_answer(other).rcode == dns.SERVER_FAILURE
        gate.set()
        assert [each[:2] for each in await asyncio.gather(*first)] == [b"\0\1", b"\0\2"]
        assert script.asked == 1

    asyncio.run(scenario())


def test_members_and_what_cannot_be_answered() -> None:
    script = Script(lambda packet: Unanswered("nobody"))

    async def scenario() -> None:
        resolver = Resolver(script, Hand())
        resolver.members = {"node1": ("10.0.0.5",)}
        own = await resolver.answer(dns.make_query(1, "Node1", dns.A))
        assert own.endswith(bytes((10, 0, 0, 5)))
        six = dns.read_answer(await resolver.answer(dns.make_query(1, "node1", dns.AAAA)))
        assert (six.rcode, six.places) == (0, ())
        assert script.asked == 0
        assert dns.read_answer(await resolver.answer(QUESTION)).rcode == dns.SERVER_FAILURE
        assert (await resolver.answer(QUESTION[:13]))[3] & 15 == dns.FORMAT_ERROR
        status = QUESTION[:2] + b"\x10\0" + QUESTION[4:]
        assert (await resolver.answer(status))[3] & 15 == dns.NOT_IMPLEMENTED

    asyncio.run(scenario())


# -- Over real sockets.


def run_with(servers: list[Any], scenario: Callable[[Server, Upstreams], Awaitable[None]]) -> None:
    """A server that forwards to these answering functions, each behind a server of its own."""

    async def whole() -> None:
        behind = [await Server.open("127.0.0.1", 0, Resolver(Script(each), Hand())) for each in servers]
        upstreams = Upstreams(lambda: None)
        upstreams.all = tuple(Upstream("127.0.0.1", lambda: None, each.port) for each in behind)
        server = await Server.open("127.0.0.1", 0, Resolver(upstreams, Hand()))
        try:
            await asyncio.wait_for(scenario(server, upstreams), 10)
        finally:
            for each in (server, *behind):
                await each.close()

    asyncio.run(whole())


def test_long_answers_are_fetched_and_given_over_tcp() -> None:
    async def scenario(server: Server, upstreams: Upstreams) -> None:
        asker = Upstream("127.0.0.1", lambda: None, server.port)
        answer = await asker.ask(QUESTION)
        assert (answer[:2], len(answer) > 512, dns.read_answer(answer).truncated) == (b"\0\7", True, False)

    run_with([lambda packet: reply(packet, count=60)], scenario)


def test_a_server_that_does_not_answer_is_passed_over_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN", 0.05)

    async def scenario(server: Server, upstreams: Upstreams) -> None:
        good = upstreams.all[0]
        with_closed = Upstream("127.0.0.1", lambda: None, 9)  # nobody listens there: refused at once
        upstreams.all = (with_closed, good)
        assert dns.read_answer(await Upstream("127.0.0.1", lambda: None, server.port).ask(QUESTION)).ttl == 60
        assert (with_closed.healthy, good.healthy) == (False, True)
        looking = asyncio.create_task(upstreams.look_after())
        with_closed.port = good.port
        while not with_closed.healthy:
            await asyncio.sleep(0.01)
        looking.cancel()

    run_with([reply], scenario)


def test_rubbish_is_survived() -> None:
    async def scenario(server: Server, upstreams: Upstreams) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"\xff\xff")
        assert await reader.read() == b""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=("127.0.0.1", server.port)
        )
        for data in (b"", b"\0", b"\xff" * 40, reply(QUESTION), b"\0" * 5000):
            transport.sendto(data)
        assert await Upstream("127.0.0.1", lambda: None, server.port).ask(QUESTION)
        transport.close()

    run_with([reply], scenario)

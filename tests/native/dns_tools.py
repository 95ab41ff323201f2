"""A name server and an asker, to be run in a node's network namespace.

``serve ADDRESS``: answers questions for ``a.test`` with 10.1.2.3 and says on a line of its output what it was asked;
for all else there is no such name. ``ask ADDRESS NAME udp|tcp``: prints the addresses of a name, or the answer's code.
"""

from __future__ import annotations

import asyncio
import os
import sys

from dozen.machinery import dns
from dozen.node.hostdns.resolver import Resolver
from dozen.node.hostdns.server import Server
from dozen.node.hostdns.upstreams import Upstream

KNOWN = {"a.test": ("10.1.2.3",)}


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


class Known(Resolver):
    async def answer(self, packet: bytes) -> bytes:
        query = dns.read_query(packet)
        say(query.text or ".")
        if query.text in KNOWN:
            return dns.answer_addresses(packet, query, KNOWN[query.text], 60)
        return dns.refuse(packet, dns.NO_SUCH_NAME)


async def serve(address: str) -> None:
    server = await Server.open(address, 53, Known(None, lambda: 0.0))  # type: ignore[arg-type]
    say("ready")
    await asyncio.Event().wait()
    await server.close()


async def ask(address: str, name: str, way: str) -> None:
    server, question = Upstream(address, lambda: None), dns.make_query(7, name, dns.A)
    if way == "tcp":
        answer = await asyncio.wait_for(server._over_tcp(question, dns.read_query(question)), 5)
    else:
        answer = await server.ask(question, patience=5)
    found = dns.read_answer(answer)
    if found.rcode:
        say(f"code {found.rcode}")
    for place in found.places:
        say(".".join(str(byte) for byte in answer[place + 6 : place + 10]))


if __name__ == "__main__":
    command, *words = sys.argv[1:]
    asyncio.run({"serve": serve, "ask": ask}[command](*words))

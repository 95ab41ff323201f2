"""Asking a time server how wrong the clock is (SNTP, RFC 4330 and 5905).

A request and its answer carry four times: sent by us, received there, sent there, received by us. From them follow how
far our clock is *off*, and the *delay* of the way there and back, half of which bounds the error of the offset. An
answer can also be a *kiss of death*: the server wants to be asked less, or never again.

`Query` is without I/O: it makes the request and judges the answer. `ask` adds the socket. Which servers are asked, how
often, and what is done with the result is decided elsewhere.

The request holds a random number in the place of our time, so that an answer can be told from a forged one, and the
server learns nothing about our clock (RFC 9109's idea and draft-ietf-ntp-data-minimization).
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections.abc import Callable

import msgspec

PACKET = struct.Struct(">BBbbIII8s8s8s8s")
PORT = 123
RECEIVE_SIZE = 1024
TIMEOUT = 3.0  # seconds for an answer

CLIENT_MODE, SERVER_MODE = 3, 4
VERSION = 4
UNSYNCHRONIZED = 3  # of the leap indicator
MAX_STRATUM = 15
MAX_DISTANCE = (
    16.0  # seconds of root delay and dispersion: a server worse than that knows no time (MAXDISP of RFC 5905)
)

EPOCH = 2_208_988_800  # seconds from 1900, where NTP begins, to 1970
ERA = 1 << 32
FRACTION = 1 << 32
SHORT_FRACTION = 1 << 16


class NoAnswer(Exception):
    """The server did not answer, or nothing usable."""


class KissOfDeath(Exception):
    """The server asked to be left alone. ``code`` RATE: ask less often; DENY, RSTR: never again."""

    def __init__(self, code: str) -> None:
        super().__init__(f"the server answered {code}")
        self.code = code


class Sample(msgspec.Struct, frozen=True):
    """One measurement, in seconds. Add ``offset`` and our clock is right, give or take ``delay`` / 2 + ``distance``."""

    offset: float
    delay: float
    distance: float
    stratum: int
    leap: int


class Query:
    """One question to one server. ``sent`` and ``received`` are our clock's time, seconds since 1970."""

    def __init__(self, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._cookie = entropy(8)

    def request(self) -> bytes:
        """What to send."""
        head = VERSION << 3 | CLIENT_MODE
        return PACKET.pack(head, 0, 0, 0, 0, 0, 0, bytes(8), bytes(8), bytes(8), self._cookie)

    def answers(self, data: bytes) -> bool:
        """Whether this can be the answer to this question: a packet that is not must not end the wait for one."""
        return len(data) >= PACKET.size and data[24:32] == self._cookie and data[0] & 7 == SERVER_MODE

    def judge(self, data: bytes, sent: float, received: float) -> Sample:
        """Measure from an answer; raises `KissOfDeath`, or `NoAnswer` if the server itself does not know the time."""
        head, stratum, _, _, root_delay, root_dispersion, reference, _, _, arrived, departed = PACKET.unpack_from(data)
        if stratum == 0:
            raise KissOfDeath(reference.to_bytes(4, "big").decode("ascii", "replace").rstrip("\0"))
        leap = head >> 6
        distance = (root_delay / 2 + root_dispersion) / SHORT_FRACTION
        if leap == UNSYNCHRONIZED or stratum > MAX_STRATUM or distance > MAX_DISTANCE:
            raise NoAnswer("the server does not know the time itself")
        if arrived == bytes(8) or departed == bytes(8):
            raise NoAnswer("the answer holds no time")
        there, back = read_time(arrived, sent), read_time(departed, received)
        delay = (received - sent) - (back - there)
        if back < there or delay < -0.001:
            raise NoAnswer("the answer's times contradict each other")
        return Sample(((there - sent) + (back - received)) / 2, max(delay, 0.0), distance, stratum, leap)


def read_time(data: bytes, near: float) -> float:
    """Seconds since 1970. NTP's seconds wrap every 136 years; the era nearest to ``near`` is meant."""
    seconds, fraction = struct.unpack(">II", data)
    era = round((near + EPOCH - seconds) / ERA)
    return float(seconds + era * ERA - EPOCH + fraction / FRACTION)


def pack_time(when: float) -> bytes:
    """Seconds since 1970 as NTP writes them."""
    seconds = int(when // 1)
    return struct.pack(">II", (seconds + EPOCH) % ERA, int((when - seconds) * FRACTION) % FRACTION)


async def ask(address: str, port: int = PORT, timeout: float = TIMEOUT) -> Sample:
    """Ask the server at an IP address; raises `NoAnswer` or `KissOfDeath`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    loop = asyncio.get_running_loop()
    query = Query()
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as opened:
        try:
            opened.connect((address, port))  # so that only this server's packets arrive
            sent, began = time.time(), time.monotonic()
            opened.send(query.request())
            async with asyncio.timeout(timeout):
                while True:
                    data = await loop.sock_recv(opened, RECEIVE_SIZE)
                    # the monotonic clock, as somebody may step the other one meanwhile
                    received = sent + time.monotonic() - began
                    if query.answers(data):
                        return query.judge(data, sent, received)
        except TimeoutError:
            raise NoAnswer(f"{address} did not answer within {timeout:g} s") from None
        except OSError as error:
            raise NoAnswer(f"{address} cannot be reached: {error.strerror}") from error


async def resolve(name: str, port: int = PORT) -> list[str]:
    """The addresses of a server's name; raises `NoAnswer`."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(name, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise NoAnswer(f"{name} cannot be resolved: {error.strerror}") from error
    return list(dict.fromkeys(str(address[4][0]) for address in found))

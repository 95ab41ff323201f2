"""Messages of DNS (RFC 1035), as far as a forwarder has to look into them.

A forwarder passes messages on as they are. It reads the question, to know what is asked; it walks over the records of
an answer, to know how long it holds and where its times to live stand; and it makes short answers of its own. Nothing
of a record's data is decoded, and no compressed name is followed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from dozen.machinery.config.scalars import address_bytes

HEADER = 12
# Bytes of an answer over UDP that somebody takes who does not say otherwise (RFC 1035, 4.2.1).
PLAIN_SIZE = 512
A, NS, SOA, AAAA, OPT = 1, 2, 6, 28, 41
INTERNET = 1
NO_ERROR, FORMAT_ERROR, SERVER_FAILURE, NO_SUCH_NAME, NOT_IMPLEMENTED = 0, 1, 2, 3, 4
# Bits of the second 16 bits of a message.
RESPONSE, TRUNCATED, RECURSION_DESIRED, RECURSION_AVAILABLE = 0x8000, 0x0200, 0x0100, 0x0080
_OPCODE, _RCODE = 0x7800, 0x000F
_CAPITALS = bytes(byte + 32 if 65 <= byte <= 90 else byte for byte in range(256))


class DnsError(ValueError):
    """The bytes are no message that can be understood."""


class Query(NamedTuple):
    """A question. ``name`` is as on the wire, in small letters; ``end`` is where the question ends; ``size`` is the
    largest answer over UDP that the asker takes, bytes.
    """

    id: int
    flags: int
    name: bytes
    type: int
    cls: int
    end: int
    size: int

    @property
    def text(self) -> str:
        """The name as people write it, without the last dot."""
        labels, at = [], 0
        while self.name[at]:
            length = self.name[at]
            labels.append(self.name[at + 1 : at + 1 + length].decode("ascii", "replace"))
            at += 1 + length
        return ".".join(labels)


class Answer(NamedTuple):
    """What an answer says of itself. ``ttl``: seconds that it holds, None when it says nothing about that;
    ``places``: where its times to live stand.
    """

    rcode: int
    truncated: bool
    ttl: int | None
    places: tuple[int, ...]


def read_query(packet: bytes) -> Query:
    """Raises DnsError for what is not one plain question."""
    id, flags, questions, answers, authorities, extras = _header(packet)
    if flags & (RESPONSE | _OPCODE) or questions != 1 or answers or authorities:
        raise DnsError("not a single question")
    name, at = _question_name(packet)
    if at + 4 > len(packet):
        raise DnsError("the question ends too early")
    kind, cls = struct.unpack_from(">HH", packet, at)
    return Query(id, flags, name, kind, cls, at + 4, _udp_size(packet, at + 4, extras))


def key_of(packet: bytes, query: Query) -> bytes:
    """What two questions have in common that have the same answer: all but the id, and the spelling of the name."""
    return packet[2:HEADER] + query.name + packet[HEADER + len(query.name) :]


def read_answer(packet: bytes) -> Answer:
    """Raises DnsError for what is not an answer to one question."""
    _, flags, questions, *counts = _header(packet)
    if not flags & RESPONSE or questions != 1:
        raise DnsError("not an answer")
    _, at = _question_name(packet)
    at += 4
    lives: list[int] = []
    places: list[int] = []
    for section, count in enumerate(counts):
        for _ in range(count):
            at, kind, ttl, place, minimum = _record(packet, at)
            if kind == OPT:
                continue
            places.append(place)
            # What is not there holds as long as the zone says (RFC 2308, 5); additional records do not matter.
            if section == 0 or (section == 1 and not counts[0] and kind == SOA):
                lives.append(min(ttl, minimum) if section else ttl)
    return Answer(flags & _RCODE, bool(flags & TRUNCATED), min(lives, default=None), tuple(places))


def answers_to(packet: bytes, query: Query) -> bool:
    """Whether a message is an answer to this question: its id, and the question that it repeats."""
    if len(packet) < query.end or not packet[2] & 0x80:
        return False
    question = packet[HEADER : HEADER + len(query.name)].translate(_CAPITALS)
    rest = packet[HEADER + len(query.name) : query.end]
    same = packet[:2] == query.id.to_bytes(2, "big") and question == query.name
    return same and rest == struct.pack(">HH", query.type, query.cls)


def with_id(packet: bytes, id: int) -> bytes:
    return id.to_bytes(2, "big") + packet[2:]


def aged(packet: bytes, places: Iterable[int], seconds: int) -> bytes:
    """An answer that was got so many seconds ago."""
    changed = bytearray(packet)
    for place in places:
        (ttl,) = struct.unpack_from(">I", changed, place)
        struct.pack_into(">I", changed, place, max(ttl - seconds, 0))
    return bytes(changed)


def spelled(packet: bytes, asked: bytes, query: Query) -> bytes:
    """An answer with the id and the spelling of the name that an asker used."""
    return asked[:2] + packet[2:HEADER] + asked[HEADER : query.end] + packet[query.end :]


def cut(packet: bytes, query: Query) -> bytes:
    """An answer that was too long for UDP: nothing but the advice to ask over TCP."""
    flags = int.from_bytes(packet[2:4], "big") | TRUNCATED
    return packet[:2] + struct.pack(">HHHHH", flags, 1, 0, 0, 0) + packet[HEADER : query.end]


def refuse(packet: bytes, rcode: int) -> bytes:
    """An answer without content, to whatever can be answered at all. Raises DnsError for what cannot."""
    id, flags, *_ = _header(packet)
    if flags & RESPONSE:
        raise DnsError("an answer is not answered")
    try:
        end, count = read_query(packet).end, 1
    except DnsError:
        end, count = HEADER, 0
    flags = flags & (_OPCODE | RECURSION_DESIRED) | RESPONSE | RECURSION_AVAILABLE | rcode
    return struct.pack(">HHHHHH", id, flags, count, 0, 0, 0) + packet[HEADER:end]


def answer_addresses(packet: bytes, query: Query, addresses: Iterable[str], ttl: int) -> bytes:
    """An answer of our own: those of the addresses that are of the family that is asked for."""
    size = {A: 4, AAAA: 16}.get(query.type, 0)
    found = [data for each in addresses if (data := address_bytes(each)) is not None and len(data) == size]
    flags = query.flags & RECURSION_DESIRED | RESPONSE | RECURSION_AVAILABLE
    head = struct.pack(">HHHHHH", query.id, flags, 1, len(found), 0, 0)
    # The name of each record points to the question's.
    records = [struct.pack(">HHHIH", 0xC000 | HEADER, query.type, INTERNET, ttl, size) + data for data in found]
    return b"".join([head, packet[HEADER : query.end], *records])


def make_query(id: int, name: str, type: int) -> bytes:
    """A question of our own, for an answer over UDP of any usual size. Raises ValueError for what is no name."""
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".") if label]
    if any(len(label) > 63 for label in labels):
        raise ValueError(f"{name} has a part of more than 63 letters")
    wire = b"".join(bytes([len(label)]) + label for label in labels)
    return struct.pack(">HHHHHH", id, RECURSION_DESIRED, 1, 0, 0, 0) + wire + struct.pack(">BHH", 0, type, INTERNET)


def _header(packet: bytes) -> tuple[int, int, int, int, int, int]:
    if len(packet) < HEADER:
        raise DnsError("shorter than a header")
    id, flags, questions, answers, authorities, extras = struct.unpack_from(">HHHHHH", packet)
    return id, flags, questions, answers, authorities, extras


def _question_name(packet: bytes) -> tuple[bytes, int]:
    """The first question's name, and where it ends. It cannot be compressed: nothing stands before it."""
    at = HEADER
    while True:
        if at >= len(packet):
            raise DnsError("the name has no end")
        length = packet[at]
        if length > 63 or at - HEADER + length > 254:
            raise DnsError("the name is none")
        at += 1 + length
        if not length:
            return packet[HEADER:at].translate(_CAPITALS), at


def _skip_name(packet: bytes, at: int) -> int:
    """Where a name ends, which may end by pointing to another one."""
    while at < len(packet):
        length = packet[at]
        if length >= 0xC0:
            return at + 2
        if length > 63:
            break
        at += 1 + length
        if not length:
            return at
    raise DnsError("a name has no end")


def _record(packet: bytes, at: int) -> tuple[int, int, int, int, int]:
    """Where a record ends, its type, its time to live and where that stands, and the minimum of a SOA record."""
    at = _skip_name(packet, at)
    if at + 10 > len(packet):
        raise DnsError("a record ends too early")
    kind, _, ttl, length = struct.unpack_from(">HHIH", packet, at)
    end = at + 10 + length
    if end > len(packet):
        raise DnsError("a record's data ends too early")
    # The highest bit would make it negative, which counts as zero (RFC 2181, 8).
    ttl = 0 if ttl >> 31 else ttl
    minimum = int.from_bytes(packet[end - 4 : end], "big") if kind == SOA and length >= 22 else 0
    return end, kind, ttl, at + 4, minimum


def _udp_size(packet: bytes, at: int, extras: int) -> int:
    """What an OPT record says (RFC 6891, 6.2.3), which is among the additional records if it is there."""
    for _ in range(extras):
        start = _skip_name(packet, at)
        end, kind, *_ = _record(packet, at)
        if kind == OPT:
            (size,) = struct.unpack_from(">H", packet, start + 2)
            return max(int(size), PLAIN_SIZE)
        at = end
    return PLAIN_SIZE

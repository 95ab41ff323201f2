"""Messages of DNS: questions are read, answers walked over, and nothing that is broken gets through."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.machinery import dns
from dozen.machinery.dns import DnsError

QUESTION = dns.make_query(7, "Www.Example.org", dns.A)
QUERY = dns.read_query(QUESTION)


def record(kind: int, ttl: int, data: bytes, name: bytes = b"\xc0\x0c") -> bytes:
    return name + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


def answer(*records: bytes, counts: tuple[int, int, int], rcode: int = 0, flags: int = 0x8180) -> bytes:
    return QUESTION[:2] + struct.pack(">HHHHH", flags | rcode, 1, *counts) + QUESTION[12:] + b"".join(records)


def test_a_question() -> None:
    assert dns.Query(7, 0x0100, b"\3www\7example\3org\0", dns.A, 1, len(QUESTION), 512) == QUERY
    assert QUERY.text == "www.example.org"
    with_edns = QUESTION[:10] + b"\0\1" + QUESTION[12:] + b"\0" + struct.pack(">HHIH", dns.OPT, 1232, 0, 0)
    assert dns.read_query(with_edns).size == 1232


def test_spelling_and_id_make_no_difference_but_options_do() -> None:
    other = dns.make_query(9, "wWW.example.ORG", dns.A)
    assert dns.key_of(other, dns.read_query(other)) == dns.key_of(QUESTION, QUERY)
    checking = QUESTION[:2] + b"\1\x10" + QUESTION[4:]
    assert dns.key_of(checking, dns.read_query(checking)) != dns.key_of(QUESTION, QUERY)


def test_how_long_an_answer_holds() -> None:
    packet = answer(record(5, 300, b"\xc0\x0c"), record(1, 60, b"\1\2\3\4"), record(2, 5, b"\0"), counts=(2, 1, 0))
    found = dns.read_answer(packet)
    assert (found.rcode, found.truncated, found.ttl, len(found.places)) == (0, False, 60, 3)
    later = dns.read_answer(dns.aged(packet, found.places, 59))
    assert later.ttl == 1
    assert dns.read_answer(dns.aged(packet, found.places, 1000)).ttl == 0


def test_what_is_not_there_holds_as_long_as_the_zone_says() -> None:
    soa = b"\0\0" + struct.pack(">IIIII", 1, 2, 3, 4, 30)
    found = dns.read_answer(answer(record(dns.SOA, 900, soa), counts=(0, 1, 0), rcode=3))
    assert (found.rcode, found.ttl) == (dns.NO_SUCH_NAME, 30)
    assert dns.read_answer(answer(counts=(0, 0, 0), rcode=2)).ttl is None
    assert dns.read_answer(answer(record(1, 1 << 31, b"\1\2\3\4"), counts=(1, 0, 0))).ttl == 0


def test_answers_belong_to_their_question() -> None:
    packet = answer(counts=(0, 0, 0))
    assert dns.answers_to(packet, QUERY)
    assert not dns.answers_to(QUESTION, QUERY)
    assert not dns.answers_to(dns.with_id(packet, 8), QUERY)
    assert not dns.answers_to(packet, QUERY._replace(type=dns.AAAA))
    assert not dns.answers_to(packet[:15], QUERY)
    other = dns.make_query(9, "WWW.EXAMPLE.ORG", dns.A)
    assert dns.spelled(packet, other, dns.read_query(other))[:2] == b"\0\x09"
    assert b"\3WWW\7EXAMPLE" in dns.spelled(packet, other, dns.read_query(other))


def test_answers_of_our_own() -> None:
    packet = dns.answer_addresses(QUESTION, QUERY, ("10.0.0.1", "fd00::1", "10.0.0.2"), 10)
    assert dns.answers_to(packet, QUERY)
    assert dns.read_answer(packet) == dns.Answer(0, False, 10, (39, 55))
    assert packet.endswith(bytes((10, 0, 0, 2)))
    assert dns.read_answer(dns.cut(packet, QUERY)).truncated
    assert dns.read_answer(dns.refuse(QUESTION, dns.SERVER_FAILURE)).rcode == dns.SERVER_FAILURE
    assert dns.refuse(QUESTION[:14], dns.FORMAT_ERROR)[4:6] == b"\0\0"
    with pytest.raises(DnsError):
        dns.refuse(packet, 1)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        QUESTION[:-1],
        QUESTION[:4] + b"\0\2" + QUESTION[6:],
        QUESTION[:12] + b"\xc0\x0c" + QUESTION[12:],
        QUESTION[:12] + b"\x3f" + b"a" * 63 * 5,
        b"\0\7\x81\x80" + QUESTION[4:],
    ],
)
def test_what_is_no_question_is_refused(packet: bytes) -> None:
    with pytest.raises(DnsError):
        dns.read_query(packet)


@given(st.binary(max_size=600))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (dns.read_query, dns.read_answer, lambda each: dns.refuse(each, 2)):
        with contextlib.suppress(DnsError):
            read(data)

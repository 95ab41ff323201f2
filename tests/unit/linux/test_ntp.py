"""SNTP: how an answer is judged."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.linux import ntp
from dozen.linux.ntp import KissOfDeath, NoAnswer, Query

COOKIE = b"\x01\x02\x03\x04\x05\x06\x07\x08"
NOW = 1_700_000_000.0


def answer(
    arrived: float,
    departed: float,
    *,
    leap: int = 0,
    mode: int = 4,
    stratum: int = 2,
    reference: bytes = b"\x0a\x00\x00\x01",
    delay: float = 0.0,
    dispersion: float = 0.0,
    cookie: bytes = COOKIE,
) -> bytes:
    head = struct.pack(">BBbb", leap << 6 | 4 << 3 | mode, stratum, 6, -20)
    distances = struct.pack(">II", int(delay * 65536), int(dispersion * 65536))
    return head + distances + reference + bytes(8) + cookie + ntp.pack_time(arrived) + ntp.pack_time(departed)


@pytest.fixture
def query() -> Query:
    return Query(lambda count: COOKIE[:count])


def test_the_question_says_nothing_about_our_clock(query: Query) -> None:
    request = query.request()
    assert len(request) == 48
    assert (request[0], request[40:]) == (4 << 3 | 3, COOKIE)
    assert request[1:40] == bytes(39)


@pytest.mark.parametrize("offset", [0.0, 0.25, -0.25, 86400.0, -3600.5])
@pytest.mark.parametrize("delay", [0.0, 0.02])
def test_offset_and_delay(query: Query, offset: float, delay: float) -> None:
    # both ways take the same time, and the server thinks for 5 ms
    arrived, departed = NOW + delay / 2 + offset, NOW + delay / 2 + offset + 0.005
    sample = query.judge(answer(arrived, departed), NOW, NOW + delay + 0.005)
    assert sample.offset == pytest.approx(offset, abs=1e-5)
    assert sample.delay == pytest.approx(delay, abs=1e-5)


def test_distance_is_what_the_server_says_of_itself(query: Query) -> None:
    sample = query.judge(answer(NOW, NOW, delay=0.5, dispersion=0.25, stratum=3), NOW, NOW)
    assert (sample.distance, sample.stratum) == (0.5, 3)


def test_only_an_answer_to_this_question_counts(query: Query) -> None:
    good = answer(NOW, NOW)
    assert query.answers(good)
    assert not query.answers(answer(NOW, NOW, cookie=bytes(8)))
    assert not query.answers(answer(NOW, NOW, mode=3))
    assert not query.answers(good[:47])
    assert query.answers(good + b"extension")


@pytest.mark.parametrize("code", ["RATE", "DENY", "RSTR"])
def test_a_kiss_of_death(query: Query, code: str) -> None:
    with pytest.raises(KissOfDeath) as caught:
        query.judge(answer(NOW, NOW, stratum=0, reference=code.encode()), NOW, NOW)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "data",
    [
        answer(NOW, NOW, leap=3),
        answer(NOW, NOW, stratum=16),
        answer(NOW, NOW, dispersion=20),
        answer(NOW, NOW - 1),
        answer(NOW, NOW + 10),
        answer(NOW, NOW)[:32] + bytes(16),
    ],
    ids=["not in step", "too far from a clock", "too unsure", "left before it came", "answered too slowly", "no times"],
)
def test_a_server_that_does_not_know_the_time(query: Query, data: bytes) -> None:
    with pytest.raises(NoAnswer):
        query.judge(data, NOW, NOW + 0.1)


@given(st.floats(0, 1e10))
def test_times_come_back_in_any_era(when: float) -> None:
    assert ntp.read_time(ntp.pack_time(when), when + 1000) == pytest.approx(when, abs=1e-5)


def test_the_era_after_2036() -> None:
    assert ntp.pack_time(2_085_978_496.0) == bytes(8)
    assert ntp.read_time(bytes(8), 2_085_978_000.0) == 2_085_978_496.0


@given(st.binary(min_size=48, max_size=80))
def test_any_answer_is_judged_or_refused(data: bytes) -> None:
    query = Query(lambda count: data[24 : 24 + count])
    if query.answers(data):
        try:
            query.judge(data, NOW, NOW + 0.1)
        except (NoAnswer, KissOfDeath):
            return

"""The DHCPv6 client's decisions, with servers and a clock made of data."""

from __future__ import annotations

import math

import pytest

from dozen.linux import dhcp6
from dozen.linux.dhcp6 import LeasedAddress
from dozen.linux.dhcp6_client import Client, Granted, Lost, Refused, State
from dozen.linux.dhcp6_lease import LiveAddress
from unit.linux.dhcp6_exchange import (
    DUID,
    FIRST,
    NUMBER,
    OTHER,
    RAPID,
    SECOND,
    SENDER,
    SERVER,
    Question,
    answer,
    bound,
    granted,
    leased,
    question,
    soliciting,
)


def test_an_address_is_asked_for_and_taken() -> None:
    client, solicit = soliciting("node7")
    assert (solicit.kind, solicit.elapsed, solicit.addresses) == (dhcp6.SOLICIT, 0, [])
    assert {dhcp6.RAPID_COMMIT, dhcp6.IA_NA} < set(solicit.options)
    assert dhcp6.SERVER_ID not in solicit.options
    assert dhcp6.read_name(solicit.options[dhcp6.CLIENT_FQDN]) == "node7"
    asked_for = solicit.options[dhcp6.OPTION_REQUEST]
    assert {dhcp6.DNS_SERVERS, dhcp6.SOL_MAX_RT} < {asked_for[i] << 8 | asked_for[i + 1] for i in range(0, 12, 2)}

    assert client.receive(answer(dhcp6.ADVERTISE, solicit), SENDER, 0.3) == [], "another server may be better"
    (request,) = client.expire(client.deadline)
    asked = question(request)
    assert (asked.kind, asked.addresses, asked.options[dhcp6.SERVER_ID]) == (dhcp6.REQUEST, [FIRST], SERVER)
    assert dhcp6.RAPID_COMMIT not in asked.options

    (done,) = client.receive(answer(dhcp6.REPLY, asked, leased(FIRST, SECOND)), SENDER, 2.0)
    assert granted(done) == [LiveAddress(FIRST), LiveAddress(SECOND)]
    assert isinstance(done, Granted)
    assert (done.lease.server, done.lease.duration) == (SENDER, 2000)
    assert client.deadline == 2 + 500, "half of the shortest preferred lifetime"


def test_the_best_of_several_servers_is_asked() -> None:
    client, solicit = soliciting()
    client.receive(answer(dhcp6.ADVERTISE, solicit), SENDER, 0.1)
    better = answer(dhcp6.ADVERTISE, solicit, leased(SECOND), (dhcp6.PREFERENCE, b"\7"), server=OTHER)
    assert client.receive(better, SENDER, 0.2) == []
    client.receive(answer(dhcp6.ADVERTISE, solicit), SENDER, 0.3)
    assert question(client.expire(client.deadline)[0]).options[dhcp6.SERVER_ID] == OTHER


def test_the_best_that_there_can_be_is_asked_at_once_and_so_is_one_that_comes_late() -> None:
    client, solicit = soliciting()
    (request,) = client.receive(answer(dhcp6.ADVERTISE, solicit, leased(FIRST), (dhcp6.PREFERENCE, b"\xff")), "", 0.1)
    assert question(request).kind == dhcp6.REQUEST
    client, _ = soliciting()
    again = question(client.expire(client.deadline)[0])
    (request,) = client.receive(answer(dhcp6.ADVERTISE, again), SENDER, client.deadline - 1)
    assert question(request).kind == dhcp6.REQUEST


def test_nobody_answers() -> None:
    client, _ = soliciting()
    began = now = 0.0
    waits = []
    for _ in range(13):
        waits.append(round(client.deadline - now))
        now = client.deadline
        solicit = question(client.expire(now)[0])
        assert solicit.kind == dhcp6.SOLICIT
        assert solicit.elapsed == min(int((now - began) * 100), 0xFFFF)
    assert waits == [1, 2, 4, 8, 17, 34, 67, 134, 269, 538, 1075, 2150, 3600]


@pytest.mark.parametrize(("random", "wait"), [(b"\0", 1.0), (b"\xff", 1.1)])
def test_the_first_wait_is_never_shorter(random: bytes, wait: float) -> None:
    client = Client(DUID, NUMBER, "", lambda count: random * count)
    client.start(0.0)
    assert client.deadline == (1.0 if random == b"\xff" else 0.0)
    now = client.deadline
    client.expire(now)
    assert client.deadline - now == pytest.approx(wait)


def test_a_server_may_say_how_long_to_wait_at_most_even_if_it_has_nothing() -> None:
    client, solicit = soliciting()
    limit = (dhcp6.SOL_MAX_RT, (60).to_bytes(4, "big"))
    refused = client.receive(answer(dhcp6.ADVERTISE, solicit, (), limit, status=dhcp6.NO_ADDRESSES), SENDER, 0.1)
    assert refused == [Refused("it has no addresses")]
    now = 0.0
    for _ in range(10):
        wait, now = client.deadline - now, client.deadline
        client.expire(now)
    assert round(wait) == 60


def test_what_is_not_an_answer_to_the_question_is_ignored() -> None:
    client, solicit = soliciting()
    elsewhere = solicit._replace(transaction=solicit.transaction ^ 1)
    for wrong in (
        answer(dhcp6.ADVERTISE, elsewhere),
        answer(dhcp6.ADVERTISE, solicit, client=OTHER),
        answer(dhcp6.REPLY, solicit),  # without rapid commit
        answer(dhcp6.ADVERTISE, solicit)[:-1],
        b"nonsense",
    ):
        assert client.receive(wrong, SENDER, 0.1) == []
        assert client.state is State.SOLICITING
    told = client.receive(answer(dhcp6.ADVERTISE, solicit, number=NUMBER + 1), SENDER, 0.1)
    assert told == [Refused("it advertises no address")]


def test_a_request_without_an_answer_is_given_up() -> None:
    client, solicit = soliciting()
    client.receive(answer(dhcp6.ADVERTISE, solicit), SENDER, 0.0)
    kinds, waits, now = [], [], client.deadline
    for _ in range(12):
        kinds += [question(action).kind for action in client.expire(now)]
        waits.append(round(client.deadline - now))
        now = client.deadline
    assert kinds == [dhcp6.REQUEST] * 10 + [dhcp6.SOLICIT]
    assert waits[:7] == [1, 2, 4, 8, 16, 30, 30]


@pytest.mark.parametrize("code", [dhcp6.NO_ADDRESSES, dhcp6.NOT_ON_LINK, 99])
@pytest.mark.parametrize("where", ["status", "whole"])
def test_a_server_that_advertises_and_refuses_is_asked_more_and_more_slowly(code: int, where: str) -> None:
    client, solicit = soliciting()
    pauses, now, told = [], 0.0, []
    for _ in range(9):
        client.receive(answer(dhcp6.ADVERTISE, solicit), SENDER, now)
        request = question(client.expire(client.deadline)[0])
        now = client.deadline - 0.5
        told += client.receive(answer(dhcp6.REPLY, request, (), **{where: code}), SENDER, now)  # type: ignore[arg-type]
        assert client.state is State.IDLE
        pauses.append(round(client.deadline - now))
        assert client.expire(client.deadline) == []
        (again,) = client.expire(client.deadline)
        solicit, now = question(again), client.deadline - 1
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 120, 120]
    assert len(told) == 1, "it is said once"


def test_a_server_that_fails_is_asked_again_and_another_servers_answer_does_not_count() -> None:
    client, solicit = soliciting()
    client.receive(answer(dhcp6.ADVERTISE, solicit), SENDER, 0.0)
    request = question(client.expire(client.deadline)[0])
    assert client.receive(answer(dhcp6.REPLY, request, server=OTHER), SENDER, 1.5) == []
    said = client.receive(answer(dhcp6.REPLY, request, None, whole=dhcp6.FAILED), SENDER, 1.5)
    assert said == [Refused("it failed: so")]
    assert question(client.expire(client.deadline)[0]).kind == dhcp6.REQUEST


def test_an_association_whose_times_are_impossible_is_ignored() -> None:
    client, solicit = soliciting()
    assert client.receive(answer(dhcp6.REPLY, solicit, leased(FIRST), RAPID, times=(200, 100)), SENDER, 0.1) == []
    assert client.state is State.SOLICITING


def test_renewal_asks_the_server_then_all_then_gives_up() -> None:
    client = bound(times=(1000, 1600))
    asked: list[tuple[int, int]] = []
    deprecated = []
    while True:
        now = client.deadline
        actions = client.expire(now)
        if isinstance(actions[0], Lost):
            break
        for action in actions:
            if isinstance(action, Granted):
                deprecated.append(round(now))
                assert granted(action) == [LiveAddress(FIRST, True)]
                continue
            found = question(action)
            assert (found.addresses, dhcp6.SERVER_ID in found.options) == ([FIRST], found.kind == dhcp6.RENEW)
            asked.append((round(now), found.kind))
    assert deprecated == [1000]
    assert round(now) == 2000
    assert [when for when, kind in asked if kind == dhcp6.RENEW] == [1000, 1010, 1030, 1070, 1150, 1310]
    assert [when for when, kind in asked if kind == dhcp6.REBIND] == [1600, 1610, 1630, 1670, 1750, 1910]
    assert client.state is State.SOLICITING


def test_prolonged_addresses_go_on() -> None:
    client = bound(*leased(FIRST, SECOND))
    renew = question(client.expire(500.0)[0])
    more = (*leased(FIRST, preferred=3000, valid=4000), *leased(SECOND, preferred=0, valid=0))
    (action,) = client.receive(answer(dhcp6.REPLY, renew, more), SENDER, 501.0)
    assert granted(action) == [LiveAddress(FIRST)], "the other has no time left"
    assert client.deadline == 501 + 1500
    renew = question(client.expire(client.deadline)[0])
    (action,) = client.receive(answer(dhcp6.REPLY, renew, ()), SENDER, 2002.0)
    assert granted(action) == [LiveAddress(FIRST)], "what is not mentioned stays as it was"
    assert isinstance(action, Granted)
    assert action.lease.duration == 4501 - 2002


def test_an_address_without_more_time_ends_at_once() -> None:
    client = bound()
    renew = question(client.expire(500.0)[0])
    lost = client.receive(answer(dhcp6.REPLY, renew, leased(FIRST, preferred=0, valid=0)), SENDER, 501.0)
    assert lost == [Lost("it gives no address")]


def test_a_renewal_by_another_server() -> None:
    client = bound(times=(1000, 1600))
    client.expire(1000.0)
    rebind = question(client.expire(1600.0)[-1])
    (action,) = client.receive(answer(dhcp6.REPLY, rebind, server=OTHER), "fe80::1", 1601.0)
    assert isinstance(action, Granted)
    assert action.lease.server == "fe80::1"
    assert question(client.expire(client.deadline)[0]).options[dhcp6.SERVER_ID] == OTHER


def test_addresses_that_a_server_has_forgotten_are_asked_for_anew() -> None:
    client = bound()
    renew = question(client.expire(500.0)[0])
    told, request = client.receive(answer(dhcp6.REPLY, renew, (), status=dhcp6.NO_BINDING), SENDER, 501.0)
    assert told == Refused("it does not know this host's addresses")
    asked = question(request)
    assert (asked.kind, asked.addresses, asked.options[dhcp6.SERVER_ID]) == (dhcp6.REQUEST, [FIRST], SERVER)
    (action,) = client.receive(answer(dhcp6.REPLY, asked, leased(SECOND)), SENDER, 502.0)
    assert granted(action) == [LiveAddress(SECOND)]


def test_a_refused_renewal_is_asked_again() -> None:
    client = bound()
    renew = question(client.expire(500.0)[0])
    told = client.receive(answer(dhcp6.REPLY, renew, (), status=dhcp6.NO_ADDRESSES), SENDER, 501.0)
    assert told == [Refused("it has no addresses")]
    assert client.state is State.RENEWING


@pytest.mark.parametrize(
    ("lifetimes", "times", "renewal", "rebinding"),
    [
        ((1000, 2000), (0, 0), 500, 800),
        ((1000, 2000), (100, 0), 100, 800),
        ((1000, 2000), (900, 0), 900, 900),
        ((1000, 2000), (0, 300), 300, 300),
        ((1000, 2000), (100, 200), 100, 200),
        ((0, 2000), (0, 0), 1000, 1600),
        ((1, 2), (0, 0), 1, 1),
        ((dhcp6.INFINITE, dhcp6.INFINITE), (0, 0), math.inf, math.inf),
        ((1000, 2000), (dhcp6.INFINITE, dhcp6.INFINITE), 1000, math.inf),
    ],
)
def test_when_to_renew(lifetimes: tuple[int, int], times: tuple[int, int], renewal: float, rebinding: float) -> None:
    client = bound(LeasedAddress(FIRST, *lifetimes), times=times)
    assert client.deadline == renewal
    if not math.isinf(rebinding):
        client.expire(client.deadline)
        assert (client.deadline == rebinding) or client.state in (State.RENEWING, State.REBINDING)


def test_after_the_link_was_down_addresses_are_confirmed() -> None:
    client = bound()
    assert client.start(100.0) == []
    assert client.deadline == pytest.approx(100.5)
    confirm = question(client.expire(client.deadline)[0])
    assert (confirm.kind, confirm.addresses) == (dhcp6.CONFIRM, [FIRST])
    assert {dhcp6.SERVER_ID, dhcp6.OPTION_REQUEST}.isdisjoint(confirm.options)
    assert client.receive(answer(dhcp6.REPLY, confirm, None, server=OTHER), SENDER, 101.0) == []
    assert (client.state, client.deadline) == (State.BOUND, 500.0)


def test_nobody_can_confirm() -> None:
    client = bound()
    client.start(100.0)
    asked = []
    while client.state is State.CONFIRMING:
        now = client.deadline
        asked += [(round(now - 100.5), question(action).kind) for action in client.expire(now)]
    assert asked == [(when, dhcp6.CONFIRM) for when in (0, 1, 3, 7)]
    assert (round(now - 100.5), client.state, client.deadline) == (10, State.BOUND, 500.0)


def test_on_another_link_the_addresses_are_given_up() -> None:
    client = bound()
    client.start(100.0)
    confirm = question(client.expire(client.deadline)[0])
    lost = client.receive(answer(dhcp6.REPLY, confirm, None, whole=dhcp6.NOT_ON_LINK), SENDER, 101.0)
    assert lost == [Lost("the addresses are not of this link: so")]
    assert client.state is State.SOLICITING


def test_addresses_that_ended_while_the_link_was_down() -> None:
    client = bound()
    assert client.start(2001.0) == [Lost("nobody prolonged it")]
    assert client.state is State.SOLICITING


@pytest.mark.parametrize("answered", [True, False])
def test_an_address_that_another_host_has_is_given_back(answered: bool) -> None:
    client = bound(*leased(FIRST, SECOND))
    assert client.decline("fd77::99", 10.0) == []
    assert granted(client.decline(FIRST, 10.0)[0]) == [LiveAddress(SECOND)]
    decline = question(client.start(10.0)[0])
    assert (decline.kind, decline.addresses, decline.options[dhcp6.SERVER_ID]) == (dhcp6.DECLINE, [FIRST], SERVER)
    if answered:
        client.receive(answer(dhcp6.REPLY, decline, None), SENDER, 10.1)
    else:
        kinds = []
        while client.state is State.DECLINING:
            kinds += [question(action).kind for action in client.expire(client.deadline)]
        assert kinds == [dhcp6.DECLINE] * 3
    assert (client.state, client.deadline) == (State.BOUND, 500.0)


def test_when_the_only_address_is_another_hosts_a_new_one_is_asked_for() -> None:
    client = bound()
    assert client.decline(FIRST, 10.0) == [Lost("another host has fd77::50")]
    decline = question(client.start(10.0)[0])
    client.receive(answer(dhcp6.REPLY, decline, None), SENDER, 10.1)
    assert client.state is State.IDLE
    client.expire(client.deadline)
    assert question(client.expire(client.deadline)[0]).kind == dhcp6.SOLICIT


def test_while_it_is_silent_nothing_is_heard() -> None:
    client = bound()
    assert client.receive(answer(dhcp6.REPLY, Question(0, 0x7FFFFF, {}), leased(SECOND)), SENDER, 1.0) == []

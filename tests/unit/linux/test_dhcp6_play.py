"""The DHCPv6 client among whatever may happen: what holds in any order of events."""

from __future__ import annotations

import math
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from dozen.linux import dhcp6
from dozen.linux.dhcp6_client import Action, Client, Granted, Lost, Send, State
from unit.linux.dhcp6_exchange import DUID, NUMBER, RAPID, SENDER, Question, answer, leased, middle, question


class Event(NamedTuple):
    """What a link and its servers do: ``low`` and ``high`` are lifetimes, and T1 and T2 in whatever order."""

    what: str
    number: int
    low: int
    high: int
    rapid: bool

    @property
    def address(self) -> str:
        return f"fd77::{self.number + 1}"

    def message(self, asked: Question) -> bytes:
        kind = dhcp6.ADVERTISE if self.what == "advertise" else dhcp6.REPLY
        refused = self.what == "refuse"
        given = () if refused else leased(self.address, preferred=min(self.low, self.high), valid=self.valid)
        more = (RAPID,) if self.rapid else ()
        made = answer(kind, asked, given, *more, times=(self.low, self.high), status=self.number if refused else 0)
        return made[: -self.number or None] if self.what == "cut" else made

    @property
    def valid(self) -> int:
        return max(self.low, self.high)


class Play:
    """A client and what became of it: which addresses it shows, and until when it may."""

    def __init__(self) -> None:
        self.client = Client(DUID, NUMBER, "node7", middle)
        self.now = 0.0
        self.asked = Question(0, 0, {})
        self.shown: set[str] = set()
        self.ends: dict[str, float] = {}

    def act(self, event: Event) -> list[Action]:
        if event.what == "expire" and not math.isinf(self.client.deadline):
            self.now = max(self.now, self.client.deadline)
        if event.what in ("expire", "early"):
            return self.client.expire(self.now)
        if event.what == "start":
            return self.client.start(self.now)
        if event.what == "decline":
            return self.client.decline(event.address, self.now)
        actions = self.client.receive(event.message(self.asked), SENDER, self.now)
        if any(isinstance(action, Granted) for action in actions):
            self.ends[event.address] = self.now + event.valid
        return actions

    def take(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Send):
                self.asked = question(action)
            elif isinstance(action, Granted):
                self.shown = {each.address for each in action.lease.addresses}
                assert self.shown
            elif isinstance(action, Lost):
                self.shown = set()


WHATS = ("expire", "early", "start", "decline", "advertise", "reply", "refuse", "cut")
numbers = st.integers(0, 9)
lifetimes = st.integers(0, 5000)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.builds(Event, st.sampled_from(WHATS), numbers, lifetimes, lifetimes, st.booleans()), max_size=60))
def test_whatever_happens_it_goes_on_and_holds_nothing_beyond_its_time(events: list[Event]) -> None:
    play = Play()
    play.take(play.client.start(0.0))
    for event in events:
        play.take(play.act(event))
        # an end that has come is told at the next `expire`, which is due
        assert all(play.ends[address] > play.now or play.client.deadline <= play.now for address in play.shown)
        assert play.client.state is State.BOUND or play.client.deadline < math.inf

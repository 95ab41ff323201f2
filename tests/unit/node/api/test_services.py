"""Services over the API: how they are described, and what is said when a verb is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from dozen.node.api.services import stamp
from dozen.rpc.status import Code, RpcError
from dozen.testing.machine import FakeHealth, FakeMachine, FakeService, FakeServiceEvent

Ask = Callable[..., list[Any]]


def test_list(ask: Ask, machine: FakeMachine) -> None:
    machine.services.services = [
        FakeService(
            "apid",
            "Running",
            (FakeServiceEvent("Preparing", "Preparing", 10.25), FakeServiceEvent("Started", "Running", 11.0)),
            FakeHealth(False, True, "fine", 12.5),
        ),
        FakeService("udevd", "Skipped"),
    ]
    apid, udevd = ask("machine.MachineService/ServiceList")[0].messages[0].services
    assert (apid.id, apid.state) == ("apid", "Running")
    assert [(event.msg, event.state, event.ts.seconds, event.ts.nanos) for event in apid.events.events] == [
        ("Preparing", "Preparing", 10, 250_000_000),
        ("Started", "Running", 11, 0),
    ]
    assert (apid.health.unknown, apid.health.healthy, apid.health.last_message) == (False, True, "fine")
    assert apid.health.last_change.seconds == 12
    assert udevd.health.unknown
    assert not udevd.health.HasField("last_change")


@pytest.mark.parametrize(
    ("verb", "text"),
    [
        ("Start", 'Service "apid" started'),
        ("Stop", 'Service "apid" stopped'),
        ("Restart", 'Service "apid" restarted'),
    ],
)
def test_verbs(ask: Ask, machine: FakeMachine, verb: str, text: str) -> None:
    (reply,) = ask(f"machine.MachineService/Service{verb}", id="apid")
    assert [answer.resp for answer in reply.messages] == [text]
    assert machine.services.asked == [(verb.lower(), "apid")]


@pytest.mark.parametrize(("id", "code"), [("apid", Code.FAILED_PRECONDITION), ("none", Code.NOT_FOUND)])
def test_refusals_say_why(ask: Ask, machine: FakeMachine, id: str, code: Code) -> None:
    machine.services.refusal = f'service "{id}" doesn\'t support restart operation via API'
    with pytest.raises(RpcError) as error:
        ask("machine.MachineService/ServiceRestart", id=id)
    assert (error.value.code, error.value.message) == (code, machine.services.refusal)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.0, (0, 0)), (1.5, (1, 500_000_000)), (1714557600.000001, (1714557600, 1_000)), (0.9999999999, (1, 0))],
)
def test_stamp(seconds: float, expected: tuple[int, int]) -> None:
    made = stamp(seconds)
    assert made["seconds"] == expected[0]
    assert made["nanos"] == pytest.approx(expected[1], abs=200)

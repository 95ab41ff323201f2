"""ApplyConfiguration and GenerateClientConfiguration as callers see them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from dozen.machinery import pki, talosconfig
from dozen.machinery.config import generate, load
from dozen.node.configuration import Invalid, NotNow, NotSupported, Refusal
from dozen.rpc.status import Code, RpcError
from dozen.testing.machine import FakeMachine

BUNDLE = generate("c1", "https://10.0.0.1:6443")
APPLY = "machine.MachineService/ApplyConfiguration"
GENERATE = "machine.MachineService/GenerateClientConfiguration"
Ask = Callable[..., list[Any]]


def test_the_request_reaches_the_machine_and_the_answer_the_caller(ask: Ask, machine: FakeMachine) -> None:
    answer = ask(APPLY, data=b"text", mode=4, dry_run=True, try_mode_timeout={"seconds": 90})[0].messages[0]
    assert machine.configuration.asked == [("text", "TRY", True, 90.0)]
    assert (answer.mode, answer.mode_details, list(answer.warnings)) == (2, "done", ["careful"])


def test_a_trial_lasts_a_minute_unless_said_otherwise(ask: Ask, machine: FakeMachine) -> None:
    ask(APPLY, data=b"text", mode=1)
    assert machine.configuration.asked == [("text", "AUTO", False, 60.0)]


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (Invalid("line 3"), Code.INVALID_ARGUMENT),
        (NotNow("another"), Code.FAILED_PRECONDITION),
        (NotSupported("reboot"), Code.UNIMPLEMENTED),
    ],
)
def test_refusals(ask: Ask, machine: FakeMachine, refusal: Refusal, code: Code) -> None:
    machine.configuration.refusal = refusal
    with pytest.raises(RpcError, match=str(refusal)) as caught:
        ask(APPLY, data=b"text")
    assert caught.value.code is code


@pytest.mark.parametrize("fields", [{"data": b"\xff"}, {"data": b"x", "mode": 9}])
def test_requests_that_make_no_sense(ask: Ask, fields: dict[str, Any]) -> None:
    with pytest.raises(RpcError) as caught:
        ask(APPLY, **fields)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_a_control_plane_makes_configurations_for_clients(ask: Ask, machine: FakeMachine) -> None:
    machine.config = load(BUNDLE.controlplane)
    made = ask(GENERATE, roles=["os:reader"], crt_ttl={"seconds": 3600})[0].messages[0]
    context = talosconfig.parse(made.talosconfig.decode()).select("c1")
    assert made.ca.decode() == context.ca == BUNDLE.secrets.os.crt
    found = pki.certificate(made.crt.decode())
    assert found.subject.organizations == ("os:reader",)
    assert 3500 < found.not_after - found.not_before < 3700
    assert pki.matches(pki.Keypair(made.crt.decode(), made.key.decode()))


def test_the_shortest_time_is_not_the_longest(ask: Ask, machine: FakeMachine) -> None:
    machine.config = load(BUNDLE.controlplane)
    made = ask(GENERATE, roles=["os:reader", "os:operator"], crt_ttl={"nanos": 1})[0].messages[0]
    found = pki.certificate(made.crt.decode())
    assert found.not_after <= time.time() + 1
    assert set(found.subject.organizations) == {"os:reader", "os:operator"}


@pytest.mark.parametrize(
    ("text", "roles", "code"),
    [
        (BUNDLE.worker, ["os:admin"], Code.FAILED_PRECONDITION),
        (BUNDLE.controlplane, [], Code.INVALID_ARGUMENT),
    ],
)
def test_when_it_cannot(ask: Ask, machine: FakeMachine, text: str, roles: list[str], code: Code) -> None:
    machine.config = load(text)
    with pytest.raises(RpcError) as caught:
        ask(GENERATE, roles=roles)
    assert caught.value.code is code

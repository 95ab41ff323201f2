"""The node's clock beside a server's, with a server that answers without a network."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from dozen.linux import ntp
from dozen.machinery.resources.network import TIME_SERVER_STATUS, TimeServerStatusSpec
from dozen.rpc.status import Code, RpcError
from dozen.testing.machine import FakeMachine

Ask = Callable[..., list[Any]]


@pytest.fixture(autouse=True)
def servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """``first`` is an hour ahead, ``mute`` does not answer, other names are unknown."""
    addresses = {"first": "192.0.2.1", "mute": "192.0.2.2"}

    async def resolve(name: str) -> list[str]:
        if name not in addresses:
            raise ntp.NoAnswer(f"{name} cannot be resolved")
        return [addresses[name]]

    async def ask(address: str) -> ntp.Sample:
        if address != "192.0.2.1":
            raise ntp.NoAnswer("no answer within 5 s")
        return ntp.Sample(3600.0, 0.01, 0.0, 1, 0)

    monkeypatch.setattr(ntp, "resolve", resolve)
    monkeypatch.setattr(ntp, "ask", ask)


def test_own_server(ask: Ask, machine: FakeMachine) -> None:
    spec = TimeServerStatusSpec(time_servers=("first", "mute"))
    machine.store.put(TIME_SERVER_STATUS, "timeservers", spec, owner="test")
    answer = ask("time.TimeService/Time")[0].messages[0]
    assert answer.server == "first"
    assert answer.remotetime.seconds - answer.localtime.seconds in (3599, 3600, 3601)
    assert abs(answer.localtime.seconds - time.time()) < 60


def test_named_server(ask: Ask) -> None:
    assert ask("time.TimeService/TimeCheck", server="first")[0].messages[0].server == "first"


@pytest.mark.parametrize(
    ("method", "fields", "code", "text"),
    [
        ("Time", {}, Code.FAILED_PRECONDITION, "no time server is configured"),
        ("TimeCheck", {}, Code.INVALID_ARGUMENT, "which time server"),
        ("TimeCheck", {"server": "mute"}, Code.UNAVAILABLE, "cannot ask time server mute: no answer"),
        ("TimeCheck", {"server": "lost"}, Code.UNAVAILABLE, "cannot ask time server lost: lost cannot be resolved"),
    ],
)
def test_errors(ask: Ask, method: str, fields: dict[str, Any], code: Code, text: str) -> None:
    with pytest.raises(RpcError, match=text) as error:
        ask(f"time.TimeService/{method}", **fields)
    assert error.value.code is code

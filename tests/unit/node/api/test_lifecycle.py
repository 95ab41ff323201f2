"""Reboot, Shutdown and META over the API."""

from collections.abc import Callable
from typing import Any

import pytest

from dozen.node.ending import Ending
from dozen.rpc.status import Code, RpcError
from dozen.testing.machine import FakeMachine

Ask = Callable[..., list[Any]]


@pytest.mark.parametrize(
    ("method", "fields", "kind", "force"),
    [
        ("Reboot", {}, "reboot", False),
        ("Reboot", {"mode": 1}, "reboot", False),
        ("Reboot", {"mode": 2}, "reboot", True),
        ("Shutdown", {}, "shutdown", False),
        ("Shutdown", {"force": True}, "shutdown", True),
    ],
)
def test_ending(ask: Ask, machine: FakeMachine, method: str, fields: dict[str, Any], kind: str, force: bool) -> None:
    (reply,) = ask(f"machine.MachineService/{method}", **fields)
    (answer,) = reply.messages
    assert machine.endings == [Ending(kind, answer.actor_id, force)]
    assert len(answer.actor_id) == 20


def test_machine_ends_once(ask: Ask) -> None:
    ask("machine.MachineService/Reboot")
    with pytest.raises(RpcError, match="going down already") as error:
        ask("machine.MachineService/Shutdown")
    assert error.value.code is Code.FAILED_PRECONDITION


def test_meta(ask: Ask, machine: FakeMachine) -> None:
    assert len(ask("machine.MachineService/MetaWrite", key=10, value=b"v")[0].messages) == 1
    assert machine.meta.values == {10: b"v"}
    assert len(ask("machine.MachineService/MetaDelete", key=10)[0].messages) == 1
    with pytest.raises(RpcError) as error:
        ask("machine.MachineService/MetaDelete", key=10)
    assert error.value.code is Code.NOT_FOUND


@pytest.mark.parametrize("method", ["MetaWrite", "MetaDelete"])
def test_meta_errors(ask: Ask, machine: FakeMachine, method: str) -> None:
    with pytest.raises(RpcError, match="0 to 255, not 256") as error:
        ask(f"machine.MachineService/{method}", key=256)
    assert error.value.code is Code.INVALID_ARGUMENT
    machine.meta.broken = OSError(19, "No such device")
    with pytest.raises(RpcError, match="META cannot be written: No such device") as error:
        ask(f"machine.MachineService/{method}", key=255)
    assert error.value.code is Code.UNAVAILABLE

"""A reboot and a shutdown, followed to the end: by events, over a lost connection, with the boot id as the proof."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from dozen.client import tracker
from dozen.client.errors import ClientError, NodeError
from dozen.machinery.messages import message
from dozen.rpc.status import Code, RpcError
from dozen.testing.fakenode import FakeNode

Ask = Callable[..., Any]
LOST = RpcError(Code.UNAVAILABLE, "connection lost")


def event(name: str, actor: str = "", **fields: Any) -> Any:
    made = message("machine.Event")(id="x", actor_id=actor)
    made.data.type_url = f"talos/runtime/machine.{name}"
    made.data.value = message(f"machine.{name}")(**fields).SerializeToString()
    return made


def hello() -> Any:
    return message("machine.Event")(id="0", data={})


def status(stage: int, ready: bool) -> Any:
    return event("MachineStatusEvent", stage=stage, status={"ready": ready})


RUNNING = 4


class Rebooting:
    """A node that goes down a moment after it was told to reboot, and is another one afterwards."""

    def __init__(self, fake: FakeNode, *, new_id: bytes = b"new\n") -> None:
        self.boot_id = b"old\n"
        self.new_id = new_id
        self.told = asyncio.Event()
        self.listeners = 0
        fake.replies["Read"] = lambda _: [message("common.Data")(bytes=self.boot_id)]
        fake.replies["Reboot"] = self.reboot
        fake.replies["Events"] = self.events

    def reboot(self, _: Any) -> Any:
        self.told.set()
        return message("machine.RebootResponse")(messages=[{"actor_id": "a1"}])

    async def wait(self) -> None:
        await self.told.wait()
        # What the node says now arrives behind its answer to the call.
        await asyncio.sleep(0.05)
        self.boot_id = self.new_id

    def events(self, request: Any) -> Any:
        self.listeners += 1
        if self.listeners == 1:
            sequence = event("SequenceEvent", "a1", sequence="reboot", action=1)
            other = event("TaskEvent", "somebody", task="other")
            return [hello(), self.wait(), other, sequence, LOST]
        assert request.tail_events == -1
        return [hello(), status(1, False), status(RUNNING, False), status(RUNNING, True), asyncio.sleep(5)]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "RETRY_SECONDS", 0.01)


def test_reboot(fake: FakeNode, ask: Ask) -> None:
    said: list[str] = []

    async def work(node: Any) -> None:
        Rebooting(fake)
        await tracker.track_reboot(node, lambda happening: said.append(str(happening)), timeout=10)

    ask(work)
    assert said == [
        "sequence reboot: start",
        "the connection is gone, as it should be; waiting for the node",
        "machine: booting",
        "machine: running",
        "machine: running and ready",
        "boot id is a new one",
    ]
    assert fake.methods()[0] == "Read"
    assert fake.methods().index("Events") < fake.methods().index("Reboot")


def test_a_node_that_has_booted_but_waits_for_something_is_not_waited_for(
    fake: FakeNode, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker, "READY_SECONDS", 0.05)
    said: list[str] = []

    class Waiting(Rebooting):
        def events(self, request: Any) -> Any:
            if not request.tail_events:
                return super().events(request)
            unmet = {"unmet_conditions": [{"name": "time", "reason": "no sync"}]}
            running = event("MachineStatusEvent", stage=RUNNING, status=unmet)
            return [hello(), running, event("SequenceEvent", sequence="boot", action=2), asyncio.sleep(5)]

    async def work(node: Any) -> None:
        Waiting(fake)
        await tracker.track_reboot(node, lambda happening: said.append(str(happening)), timeout=10)

    ask(work)
    assert said[-1] == "it runs, but is not ready yet: it waits for time: no sync"


def test_a_node_that_runs_with_the_same_boot_id_has_not_rebooted(fake: FakeNode, ask: Ask) -> None:
    async def work(node: Any) -> None:
        Rebooting(fake, new_id=b"old\n")
        await tracker.track_reboot(node, lambda _: None, timeout=0.5)

    with pytest.raises(ClientError, match=r"was not back within 0\.5 s"):
        ask(work)


def test_who_may_not_read_the_boot_id_does_without(fake: FakeNode, ask: Ask) -> None:
    said: list[str] = []

    async def work(node: Any) -> None:
        Rebooting(fake)
        fake.replies["Read"] = RpcError(Code.PERMISSION_DENIED, "not authorized")
        await tracker.track_reboot(node, lambda happening: said.append(str(happening)), timeout=10)

    ask(work)
    assert said[-1] == "node runs"


def test_a_refusal_is_told_at_once(fake: FakeNode, ask: Ask) -> None:
    async def work(node: Any) -> None:
        Rebooting(fake)
        fake.replies["Reboot"] = RpcError(Code.PERMISSION_DENIED, "not authorized")
        await tracker.track_reboot(node, lambda _: None, timeout=10)

    with pytest.raises(RpcError, match="not authorized"):
        ask(work)


def test_events_that_are_refused_are_told_at_once(fake: FakeNode, ask: Ask) -> None:
    async def work(node: Any) -> None:
        Rebooting(fake)
        fake.replies["Events"] = RpcError(Code.PERMISSION_DENIED, "not authorized")
        await tracker.track_reboot(node, lambda _: None, timeout=10)

    with pytest.raises(RpcError, match="not authorized"):
        ask(work)
    assert "Reboot" not in fake.methods()


@pytest.mark.parametrize("end", ["gone", "failed"])
def test_shutdown(fake: FakeNode, ask: Ask, end: str) -> None:
    said: list[str] = []
    told = asyncio.Event()

    def shutdown(_: Any) -> Any:
        told.set()
        return message("machine.ShutdownResponse")(messages=[{"actor_id": "a1"}])

    async def wait() -> None:
        await told.wait()
        await asyncio.sleep(0.05)

    failed = event("SequenceEvent", "a1", sequence="shutdown", error={"message": "a disk is busy"})
    stopped = event("TaskEvent", "a1", task="stopAllServices")
    fake.replies["Shutdown"] = shutdown
    fake.replies["Events"] = lambda _: [hello(), wait(), failed if end == "failed" else stopped, LOST]

    async def work(node: Any) -> None:
        await tracker.track_shutdown(node, lambda happening: said.append(str(happening)), timeout=10)

    if end == "failed":
        with pytest.raises(NodeError, match="a disk is busy"):
            ask(work)
    else:
        ask(work)
        assert said == ["task stopAllServices: start", "the node is gone"]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (event("ServiceStateEvent", service="apid", action=3, message="Started"), "service apid: running (Started)"),
        (event("PhaseEvent", phase="env", action=1), "phase env: stop"),
        (event("AddressEvent", hostname="n", addresses=["a", "b"]), "address n: a, b"),
        (event("RestartEvent", cmd=1), "restart: command 1"),
        (event("ConfigLoadErrorEvent", error="bad"), "ConfigLoadError: bad"),
        (
            event("MachineStatusEvent", stage=1, status={"unmet_conditions": [{"name": "time", "reason": "no sync"}]}),
            "machine: booting (time: no sync)",
        ),
    ],
)
def test_events_in_words(made: Any, words: str) -> None:
    assert str(tracker.describe(made)) == words


def test_an_event_of_an_unknown_kind_keeps_its_name() -> None:
    made = message("machine.Event")()
    made.data.type_url = "talos/runtime/machine.Tomorrow"
    assert str(tracker.describe(made)) == "event: talos/runtime/machine.Tomorrow"

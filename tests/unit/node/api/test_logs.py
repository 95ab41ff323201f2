"""Logs, Dmesg and Events: what is past, what follows, and that leaving lets go of everything."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from dozen.linux import kmsg
from dozen.machinery.messages import message
from dozen.node.api import build_router
from dozen.rpc.status import Code, RpcError
from dozen.testing.calls import FakeCall
from dozen.testing.machine import FakeMachine

Ask = Callable[..., list[Any]]
LOGS, EVENTS, DMESG = (f"machine.MachineService/{name}" for name in ("Logs", "Events", "Dmesg"))


def text(replies: list[Any]) -> bytes:
    return b"".join(reply.bytes for reply in replies)


@pytest.mark.parametrize(("lines", "expected"), [(-1, b"a\nb\nc\n"), (2, b"b\nc\n"), (0, b""), (9, b"a\nb\nc\n")])
def test_tail(ask: Ask, machine: FakeMachine, lines: int, expected: bytes) -> None:
    machine.logs.open("apid").write(b"a\nb\nc\n")
    assert text(ask(LOGS, namespace="system", id="apid", tail_lines=lines)) == expected


def test_long_logs_come_in_small_chunks(ask: Ask, machine: FakeMachine) -> None:
    machine.logs.open("apid").write((b"x" * 1500 + b"\n") * 2)
    assert [len(reply.bytes) for reply in ask(LOGS, id="apid", tail_lines=-1)] == [1024, 1024, 954]


def test_unknown_log(ask: Ask) -> None:
    with pytest.raises(RpcError, match=r'log "none" was not registered') as error:
        ask(LOGS, namespace="system", id="none")
    assert error.value.code is Code.NOT_FOUND


def test_kubelet_is_a_service_and_containers_of_pods_have_their_own_files(ask: Ask, machine: FakeMachine) -> None:
    machine.logs.open("kubelet").write(b"k\n")
    assert text(ask(LOGS, namespace="k8s.io", id="kubelet", driver=1, tail_lines=-1)) == b"k\n"
    with pytest.raises(RpcError) as error:
        ask(LOGS, namespace="k8s.io", id="ns/pod:c", driver=1)
    assert error.value.code is Code.NOT_FOUND
    with pytest.raises(RpcError) as error:
        ask(LOGS, namespace="k8s.io", id="pod", driver=1)
    assert error.value.code is Code.INVALID_ARGUMENT


def test_a_container_s_log_is_sent_as_it_was_written(ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from dozen.linux import podlogs

    folder = tmp_path / "ns_pod_1" / "c"
    folder.mkdir(parents=True)
    (folder / "0.log").write_text("t stdout F one\nt stdout F two\n")
    monkeypatch.setattr(podlogs.find_log, "__defaults__", (str(tmp_path),))
    answer = ask(LOGS, namespace="k8s.io", id="ns/pod:c", driver=1, tail_lines=1)
    assert text(answer) == b"t stdout F two\n"


def test_logs_containers(ask: Ask, machine: FakeMachine) -> None:
    for id in ("udevd", "apid"):
        machine.logs.open(id)
    assert list(ask("machine.MachineService/LogsContainers")[0].messages[0].ids) == ["apid", "udevd"]


async def until(call: FakeCall, machine: FakeMachine, count: int, *actions: Callable[[], None]) -> list[Any]:
    """Answer a call until it has ``count`` replies, doing one action after each reply, then cancel it."""
    answering = asyncio.ensure_future(build_router(machine)(call))  # type: ignore[arg-type]
    for number, action in enumerate(actions, 1):
        await call.wait_for_replies(number)
        action()
    replies = await call.wait_for_replies(count)
    assert not answering.done()
    answering.cancel()
    await asyncio.wait({answering})
    return replies


def test_following_a_log(machine: FakeMachine) -> None:
    log = machine.logs.open("apid")
    log.write(b"old\nlast\n")
    request = message("machine.LogsRequest")(id="apid", follow=True, tail_lines=1)
    call = FakeCall(f"/{LOGS}", [request])
    replies = asyncio.run(until(call, machine, 2, lambda: log.write(b"new\n")))
    assert text(replies) == b"last\nnew\n"
    assert not log._followers


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        ({"tail_events": 2}, ["b", "c"]),
        ({"tail_events": -1}, ["a", "b", "c"]),
        ({"tail_seconds": 60}, ["a", "b", "c"]),
        ({"tail_events": -1, "with_actor_id": "me"}, ["b"]),
    ],
)
def test_events_begin_with_a_greeting_then_the_past(
    machine: FakeMachine, fields: dict[str, Any], expected: list[str]
) -> None:
    for task in ("a", "b", "c"):
        machine.events.publish("TaskEvent", {"task": task, "action": 1}, "me" if task == "b" else "")
    call = FakeCall(f"/{EVENTS}", [message("machine.EventsRequest")(**fields)])
    hello, *past = asyncio.run(until(call, machine, 1 + len(expected)))
    assert len(hello.id) == 20
    assert hello.HasField("data")
    assert (hello.data.type_url, hello.data.value, hello.actor_id) == ("", b"", "")
    assert [event.data.type_url for event in past] == ["talos/runtime/machine.TaskEvent"] * len(expected)
    payloads = [message("machine.TaskEvent").FromString(event.data.value) for event in past]
    assert [payload.task for payload in payloads] == expected
    assert [event.id for event in past] == sorted(event.id for event in past)


def test_events_after_an_id(machine: FakeMachine) -> None:
    for task in ("a", "b"):
        machine.events.publish("TaskEvent", {"task": task})
    first = machine.events.history()[0].id
    call = FakeCall(f"/{EVENTS}", [message("machine.EventsRequest")(tail_id=first)])
    _, event = asyncio.run(until(call, machine, 2))
    assert event.id == machine.events.history()[1].id


def test_what_happens_right_after_the_greeting_is_seen(machine: FakeMachine) -> None:
    call = FakeCall(f"/{EVENTS}", [message("machine.EventsRequest")()])
    replies = asyncio.run(until(call, machine, 2, lambda: machine.events.publish("TaskEvent", {"task": "x"}, "me")))
    assert (replies[1].actor_id, replies[1].data.type_url) == ("me", "talos/runtime/machine.TaskEvent")


def test_events_have_one_beginning(ask: Ask) -> None:
    with pytest.raises(RpcError, match="only one of") as error:
        ask(EVENTS, tail_events=1, tail_seconds=1)
    assert error.value.code is Code.INVALID_ARGUMENT


class FakeLog:
    """The kernel's log from a list; `None` is the end for now."""

    records: ClassVar[list[kmsg.Record | None]] = []
    opened: ClassVar[list[bool]] = []
    closed: ClassVar[int] = 0

    def __init__(self, *, new_only: bool = False) -> None:
        self.opened.append(new_only)

    def fileno(self) -> int:
        return -1

    def read(self) -> kmsg.Record | None:
        return self.records.pop(0) if self.records else None

    def close(self) -> None:
        type(self).closed += 1


@pytest.fixture
def kernel_log(monkeypatch: pytest.MonkeyPatch) -> type[FakeLog]:
    monkeypatch.setattr(FakeLog, "records", [kmsg.Record("kern", "info", n, 0, f"r{n}") for n in range(200)])
    monkeypatch.setattr(FakeLog, "opened", [])
    monkeypatch.setattr(FakeLog, "closed", 0)
    monkeypatch.setattr(kmsg, "LogReader", FakeLog)
    monkeypatch.setattr(kmsg, "read_boot_time", lambda: 0.0)
    return FakeLog


def test_dmesg(ask: Ask, kernel_log: type[FakeLog]) -> None:
    replies = ask(DMESG)
    assert len(replies) == 200
    assert replies[7].bytes == b"kern:    info: [1970-01-01T00:00:00Z]: r7\n"
    assert (kernel_log.opened, kernel_log.closed) == ([False], 1)


def test_dmesg_tail_passes_over_the_past(ask: Ask, kernel_log: type[FakeLog]) -> None:
    kernel_log.records.clear()
    assert ask(DMESG, tail=True) == []
    assert kernel_log.opened == [True]


def test_dmesg_follows(machine: FakeMachine, kernel_log: type[FakeLog], monkeypatch: pytest.MonkeyPatch) -> None:
    del kernel_log.records[1:]
    more = asyncio.Event()

    async def wait_readable(descriptor: int) -> None:
        await more.wait()
        more.clear()

    def log_more() -> None:
        kernel_log.records.append(kmsg.Record("user", "err", 9, 0, "later"))
        more.set()

    monkeypatch.setattr("dozen.node.api.logs.wait_readable", wait_readable)
    call = FakeCall(f"/{DMESG}", [message("machine.DmesgRequest")(follow=True)])
    replies = asyncio.run(until(call, machine, 2, log_more))
    assert replies[1].bytes.endswith(b"later\n")
    assert kernel_log.closed == 1


def test_dmesg_where_it_cannot_be_read(ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(kmsg, "LogReader", refuse)
    with pytest.raises(RpcError, match="kernel's log cannot be read here: Operation not permitted") as error:
        ask(DMESG)
    assert error.value.code is Code.UNAVAILABLE

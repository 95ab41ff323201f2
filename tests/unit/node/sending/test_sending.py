"""What waits for receivers, how it gets to them, and what it looks like."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable
from pathlib import Path

import pytest

from dozen.engine.outputs import Outputs
from dozen.engine.publisher import Publisher
from dozen.engine.store import Store
from dozen.machinery.config.generating import generate
from dozen.machinery.logrecords import kernel_record, service_record
from dozen.machinery.messages import message
from dozen.machinery.resources import config
from dozen.node.events import Events
from dozen.node.logs import Logs
from dozen.node.sending import sender as module
from dozen.node.sending.debug import DebugWatcher
from dozen.node.sending.events import encode_event
from dozen.node.sending.outbox import Outbox
from dozen.node.sending.sender import Sender, TcpLine, UdpLine, line_to

NOW = "2026-01-02T03:04:05.678Z"


def drained(outbox: Outbox) -> list[bytes]:
    found = []
    while (each := outbox.take()) is not None:
        found.append(each)
    return found


def test_the_oldest_goes_when_there_is_too_much() -> None:
    outbox = Outbox(messages=3, size=100)
    for each in (b"a", b"b", b"c", b"d"):
        outbox.put(each)
    assert (drained(outbox), outbox.lost) == ([b"b", b"c", b"d"], 1)
    outbox.put(b"x" * 60)
    outbox.put(b"y" * 60)
    assert (len(outbox), outbox.lost) == (1, 2)
    outbox.put_back(b"z" * 60)
    assert (drained(outbox), outbox.lost) == ([b"y" * 60], 3)


class Receiver:
    """Takes messages; fails when it is told to."""

    def __init__(self, failures: Iterable[bool] = ()) -> None:
        self.taken: list[bytes] = []
        self.opened = 0
        self._failures = iter(failures)

    async def open(self) -> Receiver:
        self.opened += 1
        return self

    async def send(self, message: bytes) -> None:
        await asyncio.sleep(0)
        if next(self._failures, False):
            raise ConnectionResetError("gone")
        self.taken.append(message)

    async def close(self) -> None:
        pass


def run_until(outbox: Outbox, receiver: Receiver, count: int) -> None:
    async def scenario() -> None:
        running = asyncio.create_task(Sender("r", outbox, receiver.open).run())
        async with asyncio.timeout(5):
            while len(receiver.taken) < count:
                await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(scenario())


def test_what_could_not_be_sent_is_sent_again_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "delay_after", lambda failures: 0.0)
    outbox, receiver = Outbox(), Receiver((False, True, True))
    for each in (b"a", b"b", b"c"):
        outbox.put(each)
    run_until(outbox, receiver, 3)
    assert (receiver.taken, receiver.opened) == ([b"a", b"b", b"c"], 3)


def test_what_is_left_at_the_end_is_sent_then() -> None:
    outbox, receiver = Outbox(), Receiver()

    async def scenario() -> None:
        running = asyncio.create_task(Sender("r", outbox, receiver.open).run())
        await asyncio.sleep(0)
        outbox.put(b"last words")
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()

    asyncio.run(scenario())
    assert receiver.taken == [b"last words"]


def test_the_end_waits_for_nobody_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FAREWELL", 0.01)

    class Deaf(Receiver):
        async def send(self, message: bytes) -> None:
            await asyncio.Event().wait()

    outbox = Outbox()
    outbox.put(b"x")

    async def scenario() -> None:
        running = asyncio.create_task(Sender("r", outbox, Deaf().open).run())
        await asyncio.sleep(0.01)
        running.cancel()
        done, _ = await asyncio.wait([running], timeout=2)
        assert done

    asyncio.run(scenario())
    assert len(outbox) == 1


async def send_for_ever(line: TcpLine) -> None:
    while True:
        await line.send(b"nobody reads this")
        await asyncio.sleep(0)


def test_lines_over_real_sockets() -> None:
    async def scenario() -> None:
        got: asyncio.Queue[bytes] = asyncio.Queue()

        async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            got.put_nowait(await reader.readline())
            writer.close()

        class Datagrams(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, sender: object) -> None:
                got.put_nowait(data)

        server = await asyncio.start_server(read, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        line = await line_to(f"tcp://127.0.0.1:{port}")()
        assert isinstance(line, TcpLine)
        await line.send(b"{}")
        assert await got.get() == b"{}\n"
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(send_for_ever(line), 5)
        await line.close()
        server.close()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Datagrams, ("127.0.0.1", 0))
        other = await line_to(f"udp://127.0.0.1:{transport.get_extra_info('sockname')[1]}")()
        assert isinstance(other, UdpLine)
        await other.send(b"{}")
        assert await got.get() == b"{}"
        await other.close()
        transport.close()

    asyncio.run(scenario())


def test_lines_of_services_and_of_machined_itself() -> None:
    assert json.loads(service_record("etcd", b"it said \xff so\n", NOW, {"site": "a", "msg": "not this"})) == {
        "site": "a",
        "msg": "it said � so",
        "talos-level": "info",
        "talos-service": "etcd",
        "talos-time": NOW,
    }
    own = json.loads(service_record("machined", b"2026-01-01T00:00:00Z warning dozen.dns it is so\n", NOW, {}))
    assert own == {
        "msg": "dozen.dns it is so",
        "talos-level": "warn",
        "talos-service": "machined",
        "talos-time": "2026-01-01T00:00:00Z",
    }


def test_records_of_the_kernel() -> None:
    assert json.loads(kernel_record("oops", "kern", "err", 7, 1234, NOW, {"a": "b"})) == {
        "a": "b",
        "clock": 1234,
        "facility": "kern",
        "msg": "oops",
        "priority": "err",
        "seq": 7,
        "talos-level": "error",
        "talos-time": NOW,
    }


def test_an_event_is_an_any_and_its_id() -> None:
    async def publish() -> bytes:
        events = Events()
        events.publish("TaskEvent", {"task": "x", "action": 1})
        (event,) = events.history()
        data = encode_event(event)
        inner = message("machine.TaskEvent")(task="x", action=1).SerializeToString()
        assert data.startswith(b"\x0a")
        assert data.endswith(b"\x12\x14" + event.id.encode())
        assert b"talos/runtime/machine.TaskEvent\x12" + bytes([len(inner)]) + inner in data
        return data

    asyncio.run(publish())


def test_a_tap_gets_each_line_of_each_log_until_it_is_closed() -> None:
    logs, heard = Logs(), list[tuple[str, bytes]]()
    logs.open("a").write(b"before\n")
    stop = logs.tap(lambda id, line: heard.append((id, line)))
    logs.open("a").write(b"one\ntw")
    logs.open("b").write(b"three\n")
    logs.open("a").write(b"o\n")
    stop()
    logs.open("a").write(b"after\n")
    assert heard == [("a", b"one\n"), ("b", b"three\n"), ("a", b"two\n")]


def test_with_debug_what_services_log_is_on_the_console_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        store, logs, kernel = Store(), Logs(), tmp_path / "kmsg"
        kernel.touch()

        async def apply(text: str) -> None:
            store.put(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text), owner="test")
            for _ in range(3):
                await asyncio.sleep(0)

        worker = generate("c", "https://127.0.0.1:6443").worker
        running = asyncio.create_task(DebugWatcher(store, logs, str(kernel)).run(Publisher(Outputs(store, "d", ()))))
        await apply(worker)
        logs.open("etcd").write(b"one\n")
        assert logging.getLogger("dozen").level == logging.INFO
        await apply("debug: true\n" + worker)
        assert logging.getLogger("dozen").level == logging.DEBUG
        logs.open("etcd").write(b"two\n")
        logs.open("machined").write(b"its own\n")
        await apply(worker)
        logs.open("etcd").write(b"three\n")
        assert kernel.read_text() == "<30>[etcd] two"
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(scenario())

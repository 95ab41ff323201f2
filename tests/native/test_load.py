"""A node's API under clients that do harm, by intent or not: apid stays, stays small, and goes on answering others."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from dozen.machinery.messages import method_types
from dozen.provider.access import tls_of
from dozen.rpc import frames
from dozen.rpc.client import Channel
from dozen.rpc.frames import ErrorCode
from dozen.rpc.headers import encode_fields
from dozen.rpc.inbox import frame_message
from dozen.rpc.status import Code, RpcError
from dozen.testing.hostile import Hostile, connect, host_pid, most_resident, resident
from dozen.testing.live import LiveNode

MIB = 1 << 20
MOST_MEMORY = 150 * MIB
IDLE, GREETED = 10_000, 300
STREAMS = 1000
WATCH = "/cosi.resource.State/Watch"
BIG_FILE = "/bin/containerd"


def request(path: str, *more: tuple[bytes, bytes]) -> bytes:
    return encode_fields(
        [
            (b":method", b"POST"), (b":scheme", b"https"), (b":path", path.encode()), (b":authority", b"n"),
            (b"te", b"trailers"), (b"content-type", b"application/grpc"), *more,
        ]
    )  # fmt: skip


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return frames.frame_header(len(payload), kind, flags, stream) + payload


VERSION = request("/machine.MachineService/Version")


@pytest.fixture
def apid(native: LiveNode) -> Iterator[int]:
    """Its process, which must be the same afterwards, below its bound, and answering."""
    assert native.machine.pid
    native.until_healthy("apid")
    pid = host_pid(native.machine.pid, native.process("apid").pid)
    yield pid
    assert native.version().version.tag
    assert host_pid(native.machine.pid, native.process("apid").pid) == pid
    assert most_resident(pid) < MOST_MEMORY


@pytest.fixture
def dial(native: LiveNode) -> Iterator[Callable[[], Hostile]]:
    """Opens connections with an administrator's certificate, which are closed in the end."""
    tls = tls_of(native.context)
    opened: list[Hostile] = []

    def open_one() -> Hostile:
        assert native.machine.pid
        (plain,) = connect(native.machine.pid)
        opened.append(Hostile(plain, tls))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


BROKEN = {
    "not HTTP/2": b"GET / HTTP/1.1\r\nHost: n\r\n\r\n" + bytes(100),
    "no settings": frames.PREFACE + frame(frames.HEADERS, 5, 1, VERSION),
    "a frame without end": frames.PREFACE + frames.settings_frame({}) + b"\xff\xff\xff\0\0\0\0\0\1",
    "data of nobody": frames.PREFACE + frames.settings_frame({}) + frame(frames.DATA, 0, 99, b"a"),
    "a header block that is none": frames.PREFACE + frames.settings_frame({}) + frame(1, 5, 1, b"\xff" * 40),
    "an even stream": frames.PREFACE + frames.settings_frame({}) + frame(frames.HEADERS, 5, 2, VERSION),
    "a window beyond all": frames.PREFACE + frames.settings_frame({}) + frame(8, 0, 0, b"\x7f\xff\xff\xff") * 2,
}


@pytest.mark.parametrize("sent", [pytest.param(data, id=name) for name, data in BROKEN.items()])
def test_malformed_frames_end_their_connection_and_nothing_else(
    apid: int, dial: Callable[[], Hostile], sent: bytes
) -> None:
    hostile = dial()
    hostile.send(sent)
    assert hostile.goodbye() not in (None, ErrorCode.NO_ERROR)


def test_a_huge_header_list_is_refused(apid: int, dial: Callable[[], Hostile]) -> None:
    hostile = dial().greet()
    hostile.send(frame(frames.HEADERS, 1, 1, VERSION))
    for _ in range(20):
        hostile.send(frame(frames.CONTINUATION, 0, 1, bytes(16000)))
    assert hostile.goodbye() in (ErrorCode.ENHANCE_YOUR_CALM, None)
    one_field = dial().greet()
    one_field.send(frame(frames.HEADERS, 5, 1, request("/a/b", *[(b"x%d" % n, b"v" * 900) for n in range(16)])))
    resets = [payload for kind, _, _, payload in one_field.received(1) if kind == frames.RST_STREAM]
    assert not resets, "fifteen kilobytes of metadata are nothing unusual"


def test_rapid_resets_are_stopped(apid: int, dial: Callable[[], Hostile]) -> None:
    hostile = dial().greet()
    pairs = (
        frame(frames.HEADERS, 4, number, VERSION) + frame(frames.RST_STREAM, 0, number, b"\0\0\0\x08")
        for number in range(1, 40_001, 2)
    )
    while (some := b"".join(islice(pairs, 500))) and hostile.send(some):
        pass
    assert hostile.goodbye() in (ErrorCode.ENHANCE_YOUR_CALM, None)


def test_slow_readers_cost_little(apid: int, native: LiveNode, dial: Callable[[], Hostile]) -> None:
    """Many answers of 40 MB each are asked for, and not one byte of them is taken."""
    assert native.machine.pid
    machined = resident(native.machine.pid)
    read = method_types("/machine.MachineService/Read").request(path=BIG_FILE).SerializeToString()
    call = request("/machine.MachineService/Read")
    for _ in range(10):
        hostile = dial().greet({frames.SET_INITIAL_WINDOW_SIZE: 1})
        for number in range(1, 101, 2):
            hostile.send(frame(frames.HEADERS, 4, number, call) + frame(frames.DATA, 1, number, frame_message(read)))
    for _ in range(20):
        assert native.version().version.tag
    assert resident(apid) < MOST_MEMORY
    assert resident(native.machine.pid) - machined < 100 * MIB


def test_a_thousand_streams_at_once(apid: int, native: LiveNode) -> None:
    """On one connection: as many watches as somebody has controllers; and another call beside them."""
    types = method_types(WATCH)
    asked = types.request(namespace="runtime", type="MachineStatuses.runtime.talos.dev").SerializeToString()

    async def watch(channel: Channel) -> bytes | None:
        async with channel.call(WATCH) as call:
            await call.send(asked, end=True)
            first = await call.recv()
            ready.append(first)
            await all_there.wait()
            return first

    async def watch_all() -> Any:
        async with Channel(native.machine.address, tls=tls_of(native.context)) as channel:
            tasks = [asyncio.create_task(watch(channel)) for _ in range(STREAMS)]
            while len(ready) < STREAMS and not any(task.done() for task in tasks):
                await asyncio.sleep(0.05)
            version = await channel.unary("/machine.MachineService/Version", b"", timeout=20)
            used = resident(apid)
            all_there.set()
            return await asyncio.gather(*tasks), version, used

    ready: list[bytes | None] = []
    all_there = asyncio.Event()
    answers, version, used = native.portal.run(watch_all(), 120)
    assert len(answers) == STREAMS
    assert None not in answers
    assert version
    assert used < MOST_MEMORY


def test_messages_of_32_mib_arrive_and_larger_ones_are_refused(apid: int, native: LiveNode) -> None:
    with pytest.raises(RpcError) as caught:
        native.call("MetaWrite", key=10, value=bytes(32 * MIB - 100))
    assert "META" in caught.value.message, "it came as far as META, which is smaller"
    with pytest.raises(RpcError) as caught:
        native.call("MetaWrite", key=10, value=bytes(32 * MIB + 100))
    assert caught.value.code is Code.RESOURCE_EXHAUSTED


def test_idle_connections_are_bounded(apid: int, native: LiveNode, dial: Callable[[], Hostile]) -> None:
    """Ten thousand that say nothing and hundreds that only shake hands, all kept open by the other end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, IDLE + 4096), hard))
    try:
        assert native.machine.pid
        plain = connect(native.machine.pid, min(IDLE, min(hard, IDLE + 4096) - 2048))
        assert resident(apid) < MOST_MEMORY
        # They are all of one address, which has to make room for its own: those that keep silent go first.
        native.until(lambda: native.version().version.tag, "an answer beside the silent ones", 20)
        greeted = 0
        for _ in range(GREETED):
            try:
                dial().greet()
                greeted += 1
            except OSError:
                continue
        assert greeted
        assert native.version().version.tag
        assert resident(apid) < MOST_MEMORY
        for each in plain:
            each.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_machined_goes_on_when_apid_dies_in_the_middle_of_calls(
    native: LiveNode, machine_socket: Channel, dial: Callable[[], Hostile]
) -> None:
    assert native.machine.pid
    native.until_healthy("apid")
    sockets = count_sockets(native.machine.pid)
    watch = method_types(WATCH).request(namespace="runtime", type="Services.v1alpha1.talos.dev")
    hostile = dial().greet()
    for number in range(1, 101, 2):
        hostile.send(
            frame(frames.HEADERS, 4, number, request(WATCH))
            + frame(frames.DATA, 1, number, frame_message(watch.SerializeToString()))
        )
    heads = (kind for kind, *_ in hostile.received(10) if kind == frames.HEADERS)
    assert len(list(islice(heads, 50))) == 50
    before = native.process("apid").pid
    os.kill(host_pid(native.machine.pid, before), signal.SIGKILL)
    assert native.call("Version", channel=machine_socket).messages[0].version.tag
    native.until(lambda: native.process("apid").pid != before, "another apid", 30)
    native.until_healthy("apid")
    native.until(lambda: count_sockets(native.machine.pid or 0) <= sockets + 2, "the dead apid's connections ended", 20)


def count_sockets(pid: int) -> int:
    links = [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir() if os.path.lexists(each)]
    return sum(link.startswith("socket:") for link in links)


def test_sockets_are_closed(native: LiveNode) -> None:
    """The helper itself: what it opens is in the node, and is refused where nobody listens."""
    assert native.machine.pid
    (opened,) = connect(native.machine.pid)
    with closing(opened):
        assert opened.getpeername() == ("127.0.0.1", 50000)
    assert connect(native.machine.pid, port=1) == []

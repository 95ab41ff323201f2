"""Replies of several nodes as one: protobuf itself is asked whether the joined bytes mean what they should."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.machinery.messages import message
from dozen.node.apid_aggregation import describe, field, mark, mark_messages
from dozen.rpc.status import Code, RpcError


def hostnames(*names: str) -> Any:
    return message("machine.HostnameResponse")(messages=[{"hostname": name} for name in names])


@given(st.lists(st.text(max_size=200), min_size=1, max_size=4), st.text(min_size=1, max_size=200))
def test_every_message_is_marked(names: list[str], target: str) -> None:
    reply = hostnames(*names).SerializeToString()
    marked = message("machine.HostnameResponse").FromString(mark_messages(reply, mark(target)))
    assert [part.hostname for part in marked.messages] == names
    assert [part.metadata.hostname for part in marked.messages] == [target] * len(names)


def test_own_mark_replaces_the_nodes() -> None:
    reply = message("machine.HostnameResponse")(messages=[{"hostname": "a", "metadata": {"hostname": "inner"}}])
    marked = mark_messages(reply.SerializeToString(), mark("outer"))
    (part,) = message("machine.HostnameResponse").FromString(marked).messages
    assert part.metadata.hostname == "outer"


def test_reply_without_messages_gets_one() -> None:
    (part,) = message("machine.RebootResponse").FromString(mark_messages(b"", mark("n"))).messages
    assert part.metadata.hostname == "n"


def test_replies_join() -> None:
    parts = [mark_messages(hostnames(name).SerializeToString(), mark(f"10.0.0.{name}")) for name in "12"]
    parts.append(field(1, mark("10.0.0.3", RpcError(Code.UNAVAILABLE, "gone"))))
    joined = message("machine.HostnameResponse").FromString(b"".join(parts))
    assert [(part.metadata.hostname, part.hostname) for part in joined.messages] == [
        ("10.0.0.1", "1"),
        ("10.0.0.2", "2"),
        ("10.0.0.3", ""),
    ]
    failed = joined.messages[2].metadata
    assert failed.error == "rpc error: code = Unavailable desc = gone"
    assert (failed.status.code, failed.status.message) == (14, "gone")


def test_details_of_an_error_are_the_status() -> None:
    status = message("google.rpc.Status")(code=5, message="text")
    error = RpcError(Code.NOT_FOUND, "text", status.SerializeToString())
    data = message("common.Data").FromString(mark("n", error))
    assert data.metadata.status == status


def test_streamed_messages_are_marked_by_appending() -> None:
    data = message("common.Data")(bytes=b"chunk").SerializeToString()
    marked = message("common.Data").FromString(data + mark("node"))
    assert (marked.bytes, marked.metadata.hostname) == (b"chunk", "node")


@given(st.binary(max_size=100))
def test_any_reply_is_marked_or_refused(reply: bytes) -> None:
    try:
        marked = mark_messages(reply, mark("n"))
    except RpcError:
        return
    assert len(marked) > len(reply)


@pytest.mark.parametrize(
    ("code", "name"),
    [(Code.NOT_FOUND, "NotFound"), (Code.CANCELLED, "Canceled"), (Code.UNAVAILABLE, "Unavailable")],
)
def test_errors_read_as_clients_know_them(code: Code, name: str) -> None:
    assert describe(RpcError(code, "why")) == f"rpc error: code = {name} desc = why"

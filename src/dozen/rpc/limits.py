"""How much a peer may make us hold or do. Every number that bounds memory or work is here, with its reason."""

from __future__ import annotations

from typing import Protocol

KIB = 1024
MIB = 1024 * KIB


class Holder(Protocol):
    """A connection, as far as a budget cares."""

    held: int

    def shed(self) -> None:
        """End the stream that holds most."""


class Budget:
    """Bytes received and not yet taken by anyone, over all connections that share it.

    Each stream's window bounds what it may hold; many streams together are bounded here. A connection's window is
    refilled as soon as bytes arrive, so that a stream that nobody reads cannot stop the others of its connection. So
    above ``total`` somebody has to go: the stream that holds most, of the connection that holds most.
    """

    __slots__ = ("holders", "total", "used")

    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0
        self.holders: set[Holder] = set()

    def enforce(self) -> None:
        """Bring ``used`` back within ``total``."""
        while self.used > self.total and self.holders:
            before = self.used
            max(self.holders, key=lambda holder: holder.held).shed()
            if self.used >= before:
                return


class Limits:
    """One set for a server or a channel; sizes in bytes, times in seconds. Read-only by convention.

    ``max_message``: one gRPC message (the machine API allows 32 MiB). ``stream_window`` and ``connection_window``:
    what a peer may send before we have read; at least 65535, where HTTP/2 starts. ``max_frame``: largest frame that we
    accept; fewer, larger frames cost less in Python. ``max_streams``: calls at once on one connection.
    ``max_header_list``: size of a header list as HTTP/2 counts it. ``max_connections``: on a server, and
    ``max_per_address`` those of one address, 0 for as many as there may be. ``max_calls``: on a server at once.
    ``handshake_timeout``: TLS, then the peer's preface. ``unused_timeout``: until a connection's first call; those
    that had one may stay idle until the room is needed. ``unread_budget``: see `Budget`.
    ``cheap_frames``/``cheap_rate``: how many frames a peer may send that cost it nothing and us something (PING,
    SETTINGS, RST_STREAM, PRIORITY, empty DATA): a burst, and how many are forgiven a second; beyond that it is told to
    calm down (the rapid-reset attack, CVE-2023-44487, and its relatives).
    """

    __slots__ = (
        "budget",
        "cheap_frames",
        "cheap_rate",
        "connection_window",
        "handshake_timeout",
        "max_calls",
        "max_connections",
        "max_frame",
        "max_header_list",
        "max_message",
        "max_per_address",
        "max_streams",
        "stream_window",
        "unused_timeout",
    )

    def __init__(
        self,
        *,
        max_message: int = 32 * MIB,
        stream_window: int = 256 * KIB,
        connection_window: int = 1 * MIB,
        max_frame: int = 64 * KIB,
        max_streams: int = 256,
        max_header_list: int = 64 * KIB,
        max_connections: int = 256,
        max_per_address: int = 0,
        max_calls: int = 4096,
        handshake_timeout: float = 10.0,
        unused_timeout: float = 60.0,
        unread_budget: int = 64 * MIB,
        cheap_frames: int = 2000,
        cheap_rate: float = 500.0,
    ) -> None:
        self.max_message = max_message
        self.stream_window = max(stream_window, 65535)
        self.connection_window = max(connection_window, 65535)
        self.max_frame = max_frame
        self.max_streams = max_streams
        self.max_header_list = max_header_list
        self.max_connections = max_connections
        self.max_per_address = max_per_address or max_connections
        self.max_calls = max_calls
        self.unused_timeout = unused_timeout
        self.handshake_timeout = handshake_timeout
        self.budget = Budget(unread_budget)
        self.cheap_frames = cheap_frames
        self.cheap_rate = cheap_rate

"""One HTTP/2 stream's book-keeping, and what a connection tells whoever listens to it."""

from __future__ import annotations

from typing import Protocol

from dozen.rpc.headers import Fields


class Listener(Protocol):
    """The user of a stream. Called by the connection while it works through received bytes; must not block."""

    def on_headers(self, fields: Fields, end: bool) -> None:
        """A client's: the response's head, then perhaps its trailers; ``end`` says that nothing follows."""

    def on_data(self, data: bytes, end: bool) -> None:
        """Bytes to give back with `Connection.credit` when they have been used."""

    def on_drained(self) -> None:
        """All that was handed to `send_data` has left for the transport."""

    def on_reset(self, error: int | None, reason: str, unprocessed: bool) -> None:
        """The stream is over before its time: HTTP/2 code, or None when the connection ended.

        ``unprocessed``: the peer promises that it has done nothing about the stream.
        """


class Stream:
    """Plain state, changed by the connection only.

    ``send_window`` may be negative (RFC 9113, 6.9.2). ``held`` is what was received and not used yet, ``uncredited``
    what was used and not told to the peer yet. ``out`` waits for windows or for the transport; ``out_trailers`` is the
    header block to send behind it, ``out_end`` says that the stream ends with ``out``.
    """

    __slots__ = (
        "expected",
        "got_head",
        "held",
        "id",
        "listener",
        "local_done",
        "out",
        "out_end",
        "out_trailers",
        "queued",
        "recv_window",
        "remote_done",
        "send_window",
        "uncredited",
    )

    def __init__(self, id: int, send_window: int, recv_window: int) -> None:
        self.id = id
        self.listener: Listener | None = None
        self.send_window = send_window
        self.recv_window = recv_window
        self.uncredited = 0
        self.held = 0
        self.expected: int | None = None
        self.got_head = False
        self.local_done = False
        self.remote_done = False
        self.queued = False
        self.out: list[memoryview] = []
        self.out_end = False
        self.out_trailers: bytes | None = None

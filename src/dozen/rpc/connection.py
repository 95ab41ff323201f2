"""An HTTP/2 connection without its socket: bytes in, calls to listeners and bytes out (RFC 9113).

One class serves both ends. `Connection.receive` takes whatever the transport read and never raises for what a peer
sent: a fault of the peer becomes a GOAWAY and ``fault`` is set, or it becomes a RST_STREAM and one listener is told.
Output waits in the connection until the transport calls `take` (see `dozen.rpc.sending`).

What a peer can make us keep is bounded: unread data by the windows that we grant, header blocks and frames by size,
work without data (PING, RST_STREAM, …) by a rate, our own output by closing the connection of a peer that asks and
does not read.
"""

from __future__ import annotations

from collections.abc import Callable

from dozen.rpc import frames
from dozen.rpc.control import Control
from dozen.rpc.frames import ConnectionFault, ErrorCode, StreamFault
from dozen.rpc.headers import Fields, HeaderDecoder
from dozen.rpc.limits import Limits
from dozen.rpc.streams import Listener, Stream

# Told about a new request; returns its listener, or None to refuse it.
Accept = Callable[[Stream, Fields, bool], Listener | None]


class Connection(Control):
    """Either end. A server gives ``accept``; a client calls `open_stream`.

    ``fault``: why the connection is over, once it is. ``draining``: we have sent a GOAWAY.
    """

    def __init__(
        self, *, limits: Limits, on_output: Callable[[], None], clock: Callable[[], float], accept: Accept | None = None
    ) -> None:
        super().__init__(is_client=accept is None, limits=limits, on_output=on_output, clock=clock)
        self.fault: ConnectionFault | None = None
        self.draining = False
        self._accept = accept
        self._reader = frames.FrameReader(limits.max_frame)
        self._decoder = HeaderDecoder(limits.max_header_list)
        self._preface = b"" if self.is_client else frames.PREFACE
        # A header block that waits for its CONTINUATIONs: stream, END_STREAM, bytes so far.
        self._block: tuple[int, bool, bytearray] | None = None
        self._budget.holders.add(self)

    def start(self) -> None:
        """Our preface and settings, and the connection's window as wide as the limits say."""
        limits = self._limits
        values = {
            frames.SET_INITIAL_WINDOW_SIZE: limits.stream_window,
            frames.SET_MAX_FRAME_SIZE: limits.max_frame,
            frames.SET_MAX_HEADER_LIST_SIZE: limits.max_header_list,
        }
        if self.is_client:
            self.emit(frames.PREFACE)
            values[frames.SET_ENABLE_PUSH] = 0
        else:
            values[frames.SET_MAX_CONCURRENT_STREAMS] = limits.max_streams
        self.emit(frames.settings_frame(values))
        if limits.connection_window > frames.DEFAULT_WINDOW:
            self.emit(frames.window_update_frame(0, limits.connection_window - frames.DEFAULT_WINDOW))

    @property
    def can_open(self) -> bool:
        """Whether a client may open a stream now; if not, later only while `usable`."""
        return self.usable and len(self.streams) < self.peer_max_streams

    @property
    def usable(self) -> bool:
        return (
            self.fault is None
            and self.peer_goaway is None
            and not self.draining
            and self.next_id < frames.MAX_STREAM_ID
        )

    def open_stream(self, block: bytes, listener: Listener, end: bool = False) -> Stream:
        """A new request of a client. The caller has seen `can_open`."""
        stream = Stream(self.next_id, self.peer_window, self._limits.stream_window)
        stream.listener = listener
        self.next_id += 2
        self.streams[stream.id] = stream
        self.send_headers(stream, block, end)
        return stream

    def goaway(self, reason: str = "") -> None:
        """Take no new streams; those that run may end."""
        if self.fault is None and not self.draining:
            self.draining = True
            self.emit(frames.goaway_frame(self.last_peer_stream, ErrorCode.NO_ERROR, reason.encode()))

    def ping(self, payload: bytes) -> None:
        """Eight bytes that come back through ``on_pong``."""
        self.emit(frames.ping_frame(payload))

    def fail(self, code: ErrorCode, reason: str) -> None:
        """End the connection for a fault: say so to the peer and to every listener."""
        if self.fault is None:
            self.emit(frames.goaway_frame(self.last_peer_stream, code, reason.encode()))
            self.lost(ConnectionFault(code, reason))

    def lost(self, fault: ConnectionFault) -> None:
        """The transport is gone, or is about to be."""
        if self.fault is None:
            self.fault = fault
        self._budget.holders.discard(self)
        streams = list(self.streams.values())
        self.streams.clear()
        for stream in streams:
            self._kill(stream, None, fault.reason, unprocessed=False)

    def shed(self) -> None:
        """End the stream that holds most unread bytes (see `dozen.rpc.limits.Budget`)."""
        if self.streams:
            greediest = max(self.streams.values(), key=lambda stream: stream.held)
            self._fail_stream(
                StreamFault(greediest.id, ErrorCode.ENHANCE_YOUR_CALM, "too many bytes wait for a slow reader")
            )

    def receive(self, data: bytes) -> None:
        """Work through bytes from the transport."""
        if self.fault is not None:
            return
        try:
            if self._preface:
                data = self._match_preface(data)
            for kind, flags, stream_id, payload in self._reader.feed(data):
                try:
                    self._dispatch(kind, flags, stream_id, payload)
                except StreamFault as fault:
                    self._charge()
                    self._fail_stream(fault)
                if self.fault is not None:
                    return
        except ConnectionFault as fault:
            self.fail(fault.code, fault.reason)

    # Receiving, frame by frame

    def _match_preface(self, data: bytes) -> bytes:
        expected = self._preface
        size = min(len(expected), len(data))
        if data[:size] != expected[:size]:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "not HTTP/2")
        self._preface = expected[size:]
        return data[size:]

    def _dispatch(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block is not None and kind != frames.CONTINUATION:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "frame between the parts of a header block")
        if not self.settled and (kind != frames.SETTINGS or flags & frames.ACK):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "first frame is not SETTINGS")
        handler = _HANDLERS.get(kind)
        if handler is None:
            self._charge()
        else:
            handler(self, flags, stream_id, payload)

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)
        self._recv_window -= size
        if self._recv_window < 0:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "more data than the connection's window")
        self._credit_connection(size)
        stream = self.streams.get(stream_id)
        if stream is None or stream.remote_done:
            self._reject_late(stream_id, stream)
            return
        stream.recv_window -= size
        data = frames.strip_padding(flags, payload) if flags & frames.PADDED else payload
        end = bool(flags & frames.END_STREAM)
        self._check_data(stream, len(data), end)
        if not size and not end:
            self._charge()
        used = len(data)
        stream.held += used
        self.held += used
        self._budget.used += used
        if used != size:
            self._widen(stream, size - used)
        if end:
            self._end_remote(stream)
        if stream.listener is not None:
            stream.listener.on_data(data, end)
        if self._budget.used > self._budget.total:
            self._budget.enforce()

    def _check_data(self, stream: Stream, size: int, end: bool) -> None:
        if stream.recv_window < 0:
            raise StreamFault(stream.id, ErrorCode.FLOW_CONTROL_ERROR, "more data than the stream's window")
        if not stream.got_head:
            raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, "data before the response's head")
        if stream.expected is not None:
            stream.expected -= size
            if stream.expected < 0 or (end and stream.expected):
                raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, "data differ from content-length")

    def _on_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id == 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "HEADERS on stream 0")
        block = frames.strip_padding(flags, payload)
        if flags & frames.PRIORITIZED:
            if len(block) < 5:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "HEADERS without its priority")
            if frames.read_u32(block) & frames.MAX_STREAM_ID == stream_id:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "stream depends on itself")
            block = block[5:]
        end = bool(flags & frames.END_STREAM)
        if flags & frames.END_HEADERS:
            self._on_block(stream_id, end, block)
        else:
            self._block = (stream_id, end, bytearray(block))

    def _on_continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block is None or self._block[0] != stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "CONTINUATION of nothing")
        _, end, block = self._block
        block += payload
        self._charge()
        if len(block) > self._limits.max_header_list:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "header block too large")
        if flags & frames.END_HEADERS:
            self._block = None
            self._on_block(stream_id, end, bytes(block))

    def _on_block(self, stream_id: int, end: bool, block: bytes) -> None:
        # Decoded whatever becomes of it: the compression state is the connection's.
        fields = self._decoder.decode(block)
        stream = self.streams.get(stream_id)
        if fields.size > self._limits.max_header_list and stream_id not in self._resets:
            self.last_peer_stream = max(self.last_peer_stream, 0 if self.is_client else stream_id)
            raise StreamFault(stream_id, ErrorCode.ENHANCE_YOUR_CALM, fields.fault or "")
        if stream is None:
            self._on_new_block(stream_id, end, fields)
        elif stream.remote_done:
            raise StreamFault(stream_id, ErrorCode.STREAM_CLOSED, "HEADERS behind END_STREAM")
        elif stream.got_head:
            self._on_trailers(stream, end, fields)
        else:
            self._on_response(stream, end, fields)

    def _on_new_block(self, stream_id: int, end: bool, fields: Fields) -> None:
        if stream_id in self._resets:
            self._charge()
            return
        if self.is_client or not stream_id & 1:
            known = self.is_client and stream_id & 1 and stream_id < self.next_id
            code = ErrorCode.STREAM_CLOSED if known else ErrorCode.PROTOCOL_ERROR
            raise ConnectionFault(code, f"HEADERS on stream {stream_id}")
        if stream_id <= self.last_peer_stream:
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, f"HEADERS on the closed stream {stream_id}")
        self.last_peer_stream = stream_id
        fault = fields.request_fault()
        if fault is not None:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, fault)
        if self.draining or len(self.streams) >= self._limits.max_streams:
            raise StreamFault(stream_id, ErrorCode.REFUSED_STREAM, "too many streams")
        stream = Stream(stream_id, self.peer_window, self._limits.stream_window)
        stream.got_head = True
        stream.remote_done = end
        self._expect(stream, end, fields)
        self.streams[stream_id] = stream
        assert self._accept is not None
        listener = self._accept(stream, fields, end)
        if listener is None:
            raise StreamFault(stream_id, ErrorCode.REFUSED_STREAM, "too many calls")
        stream.listener = listener

    def _on_response(self, stream: Stream, end: bool, fields: Fields) -> None:
        fault = fields.response_fault()
        if fault is not None:
            raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, fault)
        if fields.pseudo[b":status"][:1] == b"1":
            if end:
                raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, "informational response ends the stream")
            self._charge()
            return
        stream.got_head = True
        self._expect(stream, end, fields)
        if end:
            self._end_remote(stream)
        if stream.listener is not None:
            stream.listener.on_headers(fields, end)

    def _on_trailers(self, stream: Stream, end: bool, fields: Fields) -> None:
        fault = fields.trailers_fault() or (None if end else "second header list does not end the stream")
        if fault is None and stream.expected:
            fault = "data differ from content-length"
        if fault is not None:
            raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, fault)
        self._end_remote(stream)
        if stream.listener is None:
            return
        if self.is_client:
            stream.listener.on_headers(fields, True)
        else:
            # gRPC requests have no trailers; what a client puts there is dropped.
            stream.listener.on_data(b"", True)

    def _expect(self, stream: Stream, end: bool, fields: Fields) -> None:
        length = fields.get(b"content-length")
        if length is None:
            return
        if not length.isdigit() or len(length) > 18 or (end and int(length) and not self.is_client):
            raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, "bad content-length")
        stream.expected = int(length)

    # Consequences

    def _reject_late(self, stream_id: int, stream: Stream | None) -> None:
        """Data for a stream that takes none any more."""
        if stream is None:
            self._check_not_idle(stream_id, "DATA")
        self._charge()
        if stream_id not in self._resets:
            raise StreamFault(stream_id, ErrorCode.STREAM_CLOSED, "DATA behind the end of the stream")

    def _end_remote(self, stream: Stream) -> None:
        stream.remote_done = True
        if stream.local_done:
            self.streams.pop(stream.id, None)

    def _fail_stream(self, fault: StreamFault) -> None:
        stream = self.streams.pop(fault.stream_id, None)
        self.emit(frames.reset_frame(fault.stream_id, fault.code))
        self._remember_reset(fault.stream_id)
        if stream is not None:
            self._kill(stream, fault.code, fault.reason, unprocessed=False)


_HANDLERS: dict[int, Callable[[Connection, int, int, bytes], None]] = {
    frames.DATA: Connection._on_data,
    frames.HEADERS: Connection._on_headers,
    frames.PRIORITY: Connection._on_priority,
    frames.RST_STREAM: Connection._on_rst_stream,
    frames.SETTINGS: Connection._on_settings,
    frames.PUSH_PROMISE: Connection._on_push_promise,
    frames.PING: Connection._on_ping,
    frames.GOAWAY: Connection._on_goaway,
    frames.WINDOW_UPDATE: Connection._on_window_update,
    frames.CONTINUATION: Connection._on_continuation,
}

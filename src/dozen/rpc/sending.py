"""The sending half of a connection: who may send how much, and in what order.

Two windows (one per stream, one per connection) and the transport's own back-pressure limit what may leave. What cannot
leave at once waits in its stream, and the waiting streams take turns, one frame each, so that a large answer does not
hold up a small one. Output collects in a list that the transport takes once per turn of the event loop: many small
frames become one write.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from dozen.rpc.frames import (
    DATA,
    DEFAULT_FRAME,
    DEFAULT_WINDOW,
    END_STREAM,
    MAX_WINDOW,
    ConnectionFault,
    ErrorCode,
    StreamFault,
    frame_header,
    headers_frames,
    reset_frame,
)
from dozen.rpc.streams import Stream

# Data stops being added to the output at this size until the transport has taken it.
FLUSH_AT = 128 * 1024
# How many streams that we reset are remembered, so that what was under way for them is ignored quietly.
_REMEMBERED_RESETS = 1024


class Sender:
    """Output, windows and turns. ``on_output`` is called when the output stops being empty."""

    def __init__(self, on_output: Callable[[], None], *, is_client: bool) -> None:
        self.streams: dict[int, Stream] = {}
        self.writable = True
        self.send_window = DEFAULT_WINDOW
        self.peer_window = DEFAULT_WINDOW
        self.peer_max_frame = DEFAULT_FRAME
        self.is_client = is_client
        self._on_output = on_output
        self._out: list[bytes | memoryview] = []
        self._out_size = 0
        self._turns: deque[Stream] = deque()
        self._resets: dict[int, None] = {}

    @property
    def output_size(self) -> int:
        """Bytes that `take` would return."""
        return self._out_size

    def take(self) -> bytes:
        """The output so far. Call `pump` before it: streams may have waited for room."""
        out = b"".join(self._out)
        self._out.clear()
        self._out_size = 0
        return out

    def emit(self, data: bytes | memoryview) -> None:
        if not self._out:
            self._on_output()
        self._out.append(data)
        self._out_size += len(data)

    def send_headers(self, stream: Stream, block: bytes, end: bool = False) -> None:
        """A header block, behind whatever data of the stream still waits."""
        if stream.local_done or stream.out_end or stream.out_trailers is not None:
            return
        if stream.out:
            stream.out_trailers = block
            return
        self.emit(headers_frames(stream.id, block, end, self.peer_max_frame))
        if end:
            self._end_local(stream)

    def send_data(self, stream: Stream, data: bytes, end: bool = False) -> bool:
        """True when all of it has left for the transport; else the listener's ``on_drained`` follows."""
        if stream.local_done or stream.out_end or stream.out_trailers is not None:
            return True
        size = len(data)
        if (
            not stream.out
            and size <= self.peer_max_frame
            and size <= stream.send_window
            and size <= self.send_window
            and ((self.writable and self._out_size < FLUSH_AT) or not size)
        ):
            self._emit_data(stream, data, size, end)
            return True
        if size:
            stream.out.append(memoryview(data))
        stream.out_end = end
        self._enqueue(stream)
        self.pump()
        return not stream.out

    def drop_pending(self, stream: Stream) -> None:
        """Forget the data that waits, so that trailers can go out at once."""
        stream.out.clear()
        stream.out_end = False

    def reset(self, stream: Stream, code: int) -> None:
        """End the stream from our side, if it still lives. The listener is not told."""
        if self.streams.pop(stream.id, None) is None:
            return
        stream.local_done = stream.remote_done = True
        stream.out.clear()
        self.emit(reset_frame(stream.id, code))
        self._remember_reset(stream.id)

    def pump(self) -> None:
        """Give the waiting streams their turns while windows, transport and output have room."""
        turns = self._turns
        while turns and self.writable and self._out_size < FLUSH_AT and self.send_window > 0:
            stream = turns.popleft()
            stream.queued = False
            if not stream.out or stream.send_window <= 0:
                continue
            self._write_turn(stream)
            if stream.out:
                self._enqueue(stream)
                continue
            if stream.out_trailers is not None:
                self.emit(headers_frames(stream.id, stream.out_trailers, True, self.peer_max_frame))
                self._end_local(stream)
            if stream.listener is not None:
                stream.listener.on_drained()

    def widen_connection(self, increment: int) -> None:
        if self.send_window + increment > MAX_WINDOW:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "connection window above 2^31-1")
        self.send_window += increment
        self.pump()

    def widen_stream(self, stream: Stream, increment: int) -> None:
        if stream.send_window + increment > MAX_WINDOW:
            raise StreamFault(stream.id, ErrorCode.FLOW_CONTROL_ERROR, "stream window above 2^31-1")
        stream.send_window += increment
        if stream.out:
            self._enqueue(stream)
            self.pump()

    def set_peer_window(self, size: int) -> None:
        """The peer's SETTINGS_INITIAL_WINDOW_SIZE changed: every stream's window moves by the difference."""
        change = size - self.peer_window
        self.peer_window = size
        for stream in self.streams.values():
            if stream.send_window + change > MAX_WINDOW:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "stream window above 2^31-1")
            stream.send_window += change
            if stream.out:
                self._enqueue(stream)
        self.pump()

    def _enqueue(self, stream: Stream) -> None:
        if not stream.queued and stream.send_window > 0:
            stream.queued = True
            self._turns.append(stream)

    def _write_turn(self, stream: Stream) -> None:
        view = stream.out[0]
        size = min(len(view), stream.send_window, self.send_window, self.peer_max_frame)
        if size == len(view):
            del stream.out[0]
        else:
            stream.out[0] = view[size:]
            view = view[:size]
        self._emit_data(stream, view, size, stream.out_end and not stream.out)

    def _emit_data(self, stream: Stream, data: bytes | memoryview, size: int, end: bool) -> None:
        if not self._out:
            self._on_output()
        self._out.append(frame_header(size, DATA, END_STREAM if end else 0, stream.id))
        self._out.append(data)
        self._out_size += size + 9
        stream.send_window -= size
        self.send_window -= size
        if end:
            self._end_local(stream)

    def _end_local(self, stream: Stream) -> None:
        """We have sent our last frame. A server's answer ends the stream even if the request has not ended.

        RFC 9113, section 8.1: it then asks the client to stop, with RST_STREAM and NO_ERROR.
        """
        stream.local_done = True
        if stream.remote_done:
            self.streams.pop(stream.id, None)
        elif not self.is_client:
            self.reset(stream, ErrorCode.NO_ERROR)

    def _remember_reset(self, stream_id: int) -> None:
        if len(self._resets) >= _REMEMBERED_RESETS:
            del self._resets[next(iter(self._resets))]
        self._resets[stream_id] = None

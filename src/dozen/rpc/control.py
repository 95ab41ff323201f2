"""The frames that carry no call: settings, windows, pings, resets, farewells, and the accounts behind them.

This is the middle layer of a connection: `dozen.rpc.sending` is below it, `dozen.rpc.connection` adds requests,
responses and data. Two accounts are kept here. *Credit*: which received bytes have been used, so that the peer may
send as many again. *Patience*: how many frames came that cost the peer nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from dozen.rpc import frames
from dozen.rpc.frames import ConnectionFault, ErrorCode, StreamFault
from dozen.rpc.limits import Limits
from dozen.rpc.sending import FLUSH_AT, Sender
from dozen.rpc.streams import Stream

# Output that may wait for a peer that does not read, beyond what flow control governs.
_MAX_BACKLOG = FLUSH_AT + 256 * 1024
_UNLIMITED = 2**31
# What a client opens before it has heard how many streams its server takes: more would be refused by most servers, and
# fewer than these should be by none (RFC 9113, 6.5.2).
_UNHEARD_STREAMS = 100


class Control(Sender):
    """``settled``: the peer's first SETTINGS have come. ``peer_goaway``: its reason for taking no more streams.

    ``held``: received bytes that nobody has used yet, over all streams.
    """

    def __init__(
        self, *, is_client: bool, limits: Limits, on_output: Callable[[], None], clock: Callable[[], float]
    ) -> None:
        super().__init__(on_output, is_client=is_client)
        self.settled = False
        self.peer_goaway: str | None = None
        self.peer_max_streams = _UNHEARD_STREAMS
        self.last_peer_stream = 0
        self.next_id = 1
        self.on_pong: Callable[[bytes], None] | None = None
        self._limits = limits
        self._budget = limits.budget
        self._clock = clock
        self._recv_window = limits.connection_window
        self._uncredited = 0
        self.held = 0
        self._allowance = float(limits.cheap_frames)
        self._allowance_at = clock()

    def credit(self, stream: Stream, size: int) -> None:
        """``size`` received bytes of the stream have been used: the peer may send as many again."""
        size = min(size, stream.held)
        stream.held -= size
        self.held -= size
        self._budget.used -= size
        self._widen(stream, size)

    def abandon(self, stream: Stream) -> None:
        """Nobody will use what was received and not credited."""
        self.credit(stream, stream.held)

    def _check_not_idle(self, stream_id: int, what: str) -> None:
        """A stream that is not there may be over (fine) or was never opened (a fault)."""
        if self.is_client:
            idle = not stream_id & 1 or stream_id >= self.next_id
        else:
            idle = not stream_id & 1 or stream_id > self.last_peer_stream
        if idle:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"{what} on the idle stream {stream_id}")

    @staticmethod
    def _kill(stream: Stream, error: int | None, reason: str, unprocessed: bool) -> None:
        stream.local_done = stream.remote_done = True
        stream.out.clear()
        if stream.listener is not None:
            stream.listener.on_reset(error, reason, unprocessed)

    def _widen(self, stream: Stream, size: int) -> None:
        """Tell the peer about its stream's credit, in steps of half a window."""
        stream.uncredited += size
        if stream.uncredited * 2 >= self._limits.stream_window and not stream.remote_done:
            self.emit(frames.window_update_frame(stream.id, stream.uncredited))
            stream.recv_window += stream.uncredited
            stream.uncredited = 0

    def _credit_connection(self, size: int) -> None:
        self._uncredited += size
        if self._uncredited * 2 < self._limits.connection_window:
            return
        self.emit(frames.window_update_frame(0, self._uncredited))
        self._recv_window += self._uncredited
        self._uncredited = 0

    def _on_priority(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id == 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PRIORITY on stream 0")
        self._charge()
        if len(payload) != 5:
            raise StreamFault(stream_id, ErrorCode.FRAME_SIZE_ERROR, "PRIORITY is five bytes")
        if frames.read_u32(payload) & frames.MAX_STREAM_ID == stream_id:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, "stream depends on itself")

    def _on_rst_stream(self, flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "RST_STREAM is four bytes")
        self._charge()
        stream = self.streams.pop(stream_id, None)
        if stream is None:
            self._check_not_idle(stream_id, "RST_STREAM")
            return
        code = frames.read_u32(payload)
        self._kill(stream, code, "stream reset by the peer", unprocessed=code == ErrorCode.REFUSED_STREAM)

    def _on_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream")
        if len(payload) % 6 or (flags & frames.ACK and payload):
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of a bad size")
        if flags & frames.ACK:
            return
        self._charge(1 + len(payload) // 64)
        if not self.settled:
            self.settled, self.peer_max_streams = True, _UNLIMITED
        for identifier, value in frames.read_settings(payload):
            self._apply_setting(identifier, value)
        self.emit(frames.settings_ack_frame())

    def _apply_setting(self, identifier: int, value: int) -> None:
        if identifier == frames.SET_INITIAL_WINDOW_SIZE:
            if value > frames.MAX_WINDOW:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "initial window above 2^31-1")
            self.set_peer_window(value)
        elif identifier == frames.SET_MAX_FRAME_SIZE:
            if not frames.DEFAULT_FRAME <= value < 2**24:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "frame size out of bounds")
            # Larger than a flush would only take memory.
            self.peer_max_frame = min(value, FLUSH_AT)
        elif identifier == frames.SET_MAX_CONCURRENT_STREAMS:
            self.peer_max_streams = value
        elif identifier == frames.SET_ENABLE_PUSH and (value > 1 or (value and self.is_client)):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "bad SETTINGS_ENABLE_PUSH")

    def _on_push_promise(self, flags: int, stream_id: int, payload: bytes) -> None:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE, which nobody may send here")

    def _on_ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PING on a stream")
        if len(payload) != 8:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "PING is eight bytes")
        self._charge()
        if not flags & frames.ACK:
            self.emit(frames.ping_frame(payload, ack=True))
        elif self.on_pong is not None:
            self.on_pong(payload)

    def _on_goaway(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream")
        if len(payload) < 8:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY is eight bytes or more")
        self._charge()
        last = frames.read_u32(payload) & frames.MAX_STREAM_ID
        code = frames.read_u32(payload, 4)
        text = payload[8:200].decode("utf-8", "replace")
        self.peer_goaway = f"peer goes away: {text or 'error ' + str(code)}" if code or text else "peer goes away"
        if self.is_client:
            for stream in [stream for stream in self.streams.values() if stream.id > last]:
                del self.streams[stream.id]
                self._kill(stream, None, self.peer_goaway, unprocessed=True)

    def _on_window_update(self, flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "WINDOW_UPDATE is four bytes")
        increment = frames.read_u32(payload) & frames.MAX_WINDOW
        if stream_id == 0:
            if not increment:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE by nothing")
            self.widen_connection(increment)
            return
        stream = self.streams.get(stream_id)
        if stream is None:
            self._check_not_idle(stream_id, "WINDOW_UPDATE")
            self._charge()
        elif not increment:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE by nothing")
        else:
            self.widen_stream(stream, increment)

    def _charge(self, cost: int = 1) -> None:
        """Count a frame that costs the peer nothing."""
        self._allowance -= cost
        if self._allowance < 0:
            now = self._clock()
            gained = (now - self._allowance_at) * self._limits.cheap_rate
            self._allowance = min(self._allowance + gained, float(self._limits.cheap_frames))
            self._allowance_at = now
            if self._allowance < 0:
                raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many frames without use")
        if self._out_size > _MAX_BACKLOG:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "answers are not read")

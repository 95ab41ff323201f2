"""HTTP/2 frames: nine bytes of header and a payload (RFC 9113, section 4).

No I/O, no state beyond one unfinished frame.

`FrameReader` cuts bytes as they come from a socket into frames; the ``*_frame`` functions build them. What a sequence
of frames means is `dozen.rpc.connection`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA = 0x0
HEADERS = 0x1
PRIORITY = 0x2
RST_STREAM = 0x3
SETTINGS = 0x4
PUSH_PROMISE = 0x5
PING = 0x6
GOAWAY = 0x7
WINDOW_UPDATE = 0x8
CONTINUATION = 0x9

END_STREAM = 0x1
ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITIZED = 0x20

SET_HEADER_TABLE_SIZE = 0x1
SET_ENABLE_PUSH = 0x2
SET_MAX_CONCURRENT_STREAMS = 0x3
SET_INITIAL_WINDOW_SIZE = 0x4
SET_MAX_FRAME_SIZE = 0x5
SET_MAX_HEADER_LIST_SIZE = 0x6

DEFAULT_WINDOW = 65535
DEFAULT_FRAME = 16384
MAX_WINDOW = 2**31 - 1
MAX_STREAM_ID = 2**31 - 1

HEADER_SIZE = 9
# The length has 24 bits: one byte and one short.
_HEADER = Struct(">BHBBI")
_SETTING = Struct(">HI")
_U32 = Struct(">I")
_GOAWAY = Struct(">II")


class ErrorCode(IntEnum):
    """RFC 9113, section 7."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


class ConnectionFault(Exception):
    """The peer broke the rules in a way that ends the connection."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class StreamFault(Exception):
    """The peer broke the rules in a way that ends one stream."""

    def __init__(self, stream_id: int, code: ErrorCode, reason: str) -> None:
        super().__init__(stream_id, code, reason)
        self.stream_id = stream_id
        self.code = code
        self.reason = reason


# kind, flags, stream id, payload
Frame = tuple[int, int, int, bytes]


class FrameReader:
    """Bytes in, whole frames out.

    A frame above ``max_frame`` raises `ConnectionFault` before its payload is waited for.
    """

    __slots__ = ("_max_frame", "_needed", "_rest")

    def __init__(self, max_frame: int) -> None:
        self._max_frame = max_frame
        self._rest = bytearray()
        self._needed = HEADER_SIZE

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Every frame that ``data`` completes. Take all of them before feeding again."""
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data = bytes(self._rest)
            self._rest.clear()
        position = 0
        size = len(data)
        needed = HEADER_SIZE
        unpack = _HEADER.unpack_from
        while size - position >= HEADER_SIZE:
            high, low, kind, flags, stream_id = unpack(data, position)
            length = high << 16 | low
            if length > self._max_frame:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"frame of {length} bytes, {self._max_frame} allowed")
            end = position + HEADER_SIZE + length
            if end > size:
                needed = HEADER_SIZE + length
                break
            yield kind, flags, stream_id & MAX_STREAM_ID, data[position + HEADER_SIZE : end]
            position = end
        self._needed = needed
        if position < size:
            self._rest += data[position:] if position else data


def frame_header(length: int, kind: int, flags: int, stream_id: int) -> bytes:
    """The nine bytes in front of a payload of ``length`` bytes."""
    return _HEADER.pack(length >> 16, length & 0xFFFF, kind, flags, stream_id)


def settings_frame(values: dict[int, int]) -> bytes:
    return frame_header(6 * len(values), SETTINGS, 0, 0) + b"".join(_SETTING.pack(*pair) for pair in values.items())


def settings_ack_frame() -> bytes:
    return frame_header(0, SETTINGS, ACK, 0)


def window_update_frame(stream_id: int, increment: int) -> bytes:
    return frame_header(4, WINDOW_UPDATE, 0, stream_id) + _U32.pack(increment)


def reset_frame(stream_id: int, code: int) -> bytes:
    return frame_header(4, RST_STREAM, 0, stream_id) + _U32.pack(code)


def ping_frame(payload: bytes, ack: bool = False) -> bytes:
    return frame_header(8, PING, ACK if ack else 0, 0) + payload


def goaway_frame(last_stream_id: int, code: int, reason: bytes = b"") -> bytes:
    return frame_header(8 + len(reason), GOAWAY, 0, 0) + _GOAWAY.pack(last_stream_id, code) + reason


def headers_frames(stream_id: int, block: bytes, end_stream: bool, max_frame: int) -> bytes:
    """A header block as HEADERS and, where it is longer than one frame may be, CONTINUATIONs."""
    flags = END_STREAM if end_stream else 0
    if len(block) <= max_frame:
        return frame_header(len(block), HEADERS, flags | END_HEADERS, stream_id) + block
    parts = [frame_header(max_frame, HEADERS, flags, stream_id), block[:max_frame]]
    for start in range(max_frame, len(block), max_frame):
        piece = block[start : start + max_frame]
        last = END_HEADERS if start + max_frame >= len(block) else 0
        parts += (frame_header(len(piece), CONTINUATION, last, stream_id), piece)
    return b"".join(parts)


def read_u32(payload: bytes, position: int = 0) -> int:
    return int(_U32.unpack_from(payload, position)[0])


def read_settings(payload: bytes) -> Iterator[tuple[int, int]]:
    """(identifier, value) pairs of a SETTINGS payload, whose length must be a multiple of six."""
    return _SETTING.iter_unpack(payload)


def strip_padding(flags: int, payload: bytes) -> bytes:
    """A DATA or HEADERS payload without its padding (section 6.1)."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "padding as long as its frame")
    return payload[1 : len(payload) - payload[0]]

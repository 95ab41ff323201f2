"""Metadata of a call, and the gRPC spellings of what rides in header fields.

Metadata are the named values sent beside the messages: several values may have one name, order within a name counts,
names are lower case. A value whose name ends in ``-bin`` is bytes, on the wire in base64 (we send no padding and accept
it); any other is printable ASCII text. ``grpc-message`` is UTF-8 with percent escapes, ``grpc-timeout`` a number and a
unit.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Iterator

from dozen.rpc.headers import Pair

Value = str | bytes
MetadataInput = Iterable[tuple[str, Value]]

_NAME_BYTES = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_.")
_HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")
_RESERVED = (b"grpc-", b":")
# Fields of the transport, which are nobody's metadata.
TRANSPORT_FIELDS = frozenset((b"content-type", b"te", b"content-length"))

_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
# The protocol allows eight digits.
_MOST_DIGITS = 10**8


class Metadata:
    """Received metadata: read-only, shared between calls whose header blocks were equal."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Iterable[Pair] = ()) -> None:
        self._pairs = tuple(pair for pair in pairs if pair[0] not in TRANSPORT_FIELDS and pair[0][:5] != b"grpc-")

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of a text name."""
        key = name.encode()
        for candidate, value in self._pairs:
            if candidate == key:
                return value.decode("utf-8", "replace")
        return default

    def all(self, name: str) -> list[str]:
        """Every value of a text name, in order."""
        key = name.encode()
        return [value.decode("utf-8", "replace") for candidate, value in self._pairs if candidate == key]

    def get_bytes(self, name: str) -> bytes | None:
        """The first value of a ``-bin`` name; a value that is not base64 counts as absent."""
        key = name.encode()
        for candidate, value in self._pairs:
            if candidate == key:
                return decode_binary(value)
        return None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and any(candidate == name.encode() for candidate, _ in self._pairs)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """(name, value as sent) pairs; binary values stay in base64."""
        for name, value in self._pairs:
            yield name.decode("latin-1"), value.decode("utf-8", "replace")

    def __len__(self) -> int:
        return len(self._pairs)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """As on the wire, for forwarding."""
        return self._pairs


def encode_metadata(items: MetadataInput) -> list[Pair]:
    """Caller's metadata as header fields. ValueError for a name or a value that the wire cannot carry."""
    return [_encode_pair(name, value) for name, value in items]


def _encode_pair(name: str, value: Value) -> Pair:
    key = name.encode("ascii").lower()
    if not key or not _NAME_BYTES.issuperset(key) or key.startswith(_RESERVED):
        raise ValueError(f"metadata name {name!r} is not lower-case letters, digits, '-', '_', '.'")
    if key.endswith(b"-bin"):
        return key, encode_binary(value.encode() if isinstance(value, str) else value)
    raw = value.encode("ascii") if isinstance(value, str) else value
    if any(byte < 0x20 or byte > 0x7E for byte in raw):
        raise ValueError(f"metadata {name!r} has a value that is not printable ASCII; use a name ending in -bin")
    return key, raw


def encode_binary(value: bytes) -> bytes:
    return b2a_base64(value, newline=False).rstrip(b"=")


def decode_binary(value: bytes) -> bytes | None:
    """Base64 with or without padding; of several values joined by commas, the first. None when it is not base64."""
    first = value.split(b",", 1)[0].rstrip(b"=")
    try:
        return a2b_base64(first + b"=" * (-len(first) % 4), strict_mode=True)
    except Base64Error:
        return None


def encode_message(text: str) -> bytes:
    """``grpc-message``: everything outside printable ASCII, and the percent sign, becomes %XX."""
    raw = text.encode("utf-8", "replace")
    if raw.isascii() and b"%" not in raw and text.isprintable():
        return raw
    return b"".join([bytes((byte,)) if 0x20 <= byte <= 0x7E and byte != 0x25 else b"%%%02X" % byte for byte in raw])


def decode_message(value: bytes) -> str:
    """Its reverse. Escapes that are none stay as they are: a bad text must not hide a status."""
    if b"%" not in value:
        return value.decode("utf-8", "replace")
    head, *pieces = value.split(b"%")
    out = bytearray(head)
    for piece in pieces:
        escape = piece[:2]
        if len(escape) == 2 and _HEX_DIGITS.issuperset(escape):
            out.append(int(escape, 16))
            out += piece[2:]
        else:
            out += b"%" + piece
    return out.decode("utf-8", "replace")


def encode_timeout(seconds: float) -> bytes:
    """``grpc-timeout`` in the finest unit that fits in eight digits, rounded up so that it never becomes zero early."""
    nanoseconds = max(0, int(seconds * 1e9))
    for unit, size in ((b"n", 1), (b"u", 10**3), (b"m", 10**6), (b"S", 10**9), (b"M", 60 * 10**9)):
        amount = -(-nanoseconds // size)
        if amount < _MOST_DIGITS:
            return b"%d%s" % (amount, unit)
    return b"%dH" % min(_MOST_DIGITS - 1, -(-nanoseconds // (3600 * 10**9)))


def decode_timeout(value: bytes) -> float | None:
    """Seconds; None when malformed."""
    unit = _UNITS.get(value[-1:])
    digits = value[:-1]
    if unit is None or not digits.isdigit() or len(digits) > 8:
        return None
    return int(digits) * unit

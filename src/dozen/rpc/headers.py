"""Header lists: checked when they come in, compressed (HPACK, RFC 7541) on the wire.

Coming in, the `hpack` library decodes, because a peer may use all of HPACK. Two things are added. A block that did not
change the dynamic table decodes the same way until the table changes, so its result is kept: a client that makes the
same call again costs one dictionary look-up. And RFC 9113's rules for well-formed lists (section 8.2, 8.3) are checked
once, when a list is made, and remembered in it as `Fields.fault`.

Going out, we write only literals without indexing. Such a block depends on nothing but its content: it may be built
once and sent on every connection, the peer's table size does not matter, and blocks may be joined. It costs some
bytes, which nobody counts on a node's API.
"""

from __future__ import annotations

from collections.abc import Iterable

from hpack import Decoder
from hpack.exceptions import HPACKError
from hpack.table import HeaderTable

from dozen.rpc.frames import ConnectionFault, ErrorCode

Pair = tuple[bytes, bytes]

REQUEST_PSEUDO = frozenset((b":method", b":scheme", b":path", b":authority"))
RESPONSE_PSEUDO = frozenset((b":status",))
_NO_PSEUDO: frozenset[bytes] = frozenset()
# RFC 9113, section 8.2.2: these speak about one HTTP/1.1 connection and make a list malformed.
_CONNECTION_FIELDS = frozenset((b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"))

_INDEXED = {pair: bytes((0x80 | index,)) for index, pair in enumerate(HeaderTable.STATIC_TABLE, 1) if pair[1]}
_NAMES = {pair[0]: index for index, pair in reversed(list(enumerate(HeaderTable.STATIC_TABLE, 1)))}

_MEMO_ENTRIES = 64
_MEMO_BLOCK = 1024


class Fields:
    """One received header list. ``regular`` keeps order and repetition; ``fault`` says why the list is malformed."""

    __slots__ = ("fault", "pseudo", "regular", "size")

    def __init__(self, pairs: Iterable[Pair]) -> None:
        self.pseudo: dict[bytes, bytes] = {}
        self.regular: list[Pair] = []
        self.fault: str | None = None
        self.size = 0
        for name, value in pairs:
            self.size += len(name) + len(value) + 32
            self.fault = self._admit(name, value) or self.fault

    def _admit(self, name: bytes, value: bytes) -> str | None:
        if name[:1] == b":":
            if self.regular:
                return "pseudo field behind a regular one"
            if name in self.pseudo:
                return "repeated pseudo field"
            self.pseudo[name] = value
            return None
        self.regular.append((name, value))
        if not name or name != name.lower() or b" " in name or b":" in name:
            return "bad field name"
        if b"\n" in value or b"\r" in value or b"\0" in value:
            return "bad field value"
        if name in _CONNECTION_FIELDS or (name == b"te" and value != b"trailers"):
            return "field about the connection"
        return None

    def request_fault(self) -> str | None:
        """Why this cannot open a request, or None."""
        pseudo = self.pseudo
        if self.fault:
            return self.fault
        if not pseudo.keys() <= REQUEST_PSEUDO or not pseudo.get(b":method") or not pseudo.get(b":path"):
            return "bad set of request pseudo fields"
        return None if b":scheme" in pseudo else "bad set of request pseudo fields"

    def response_fault(self) -> str | None:
        """Why this cannot open a response, or None."""
        if self.fault:
            return self.fault
        status = self.pseudo.get(b":status", b"")
        if self.pseudo.keys() != RESPONSE_PSEUDO or len(status) != 3 or not status.isdigit():
            return "bad response status"
        return None

    def trailers_fault(self) -> str | None:
        """Why this cannot end a message, or None."""
        return self.fault or ("pseudo field in trailers" if self.pseudo else None)

    def get(self, name: bytes) -> bytes | None:
        """The first value of a regular field."""
        for key, value in self.regular:
            if key == name:
                return value
        return None


class HeaderDecoder:
    """One direction of one connection."""

    __slots__ = ("_decoder", "_limit", "_memo")

    def __init__(self, max_header_list: int) -> None:
        # Exceeding the library's limit leaves its table unusable and ends the connection, so that limit is four times
        # ours: a list in between ends one stream only.
        self._decoder = Decoder(4 * max_header_list)
        self._limit = max_header_list
        self._memo: dict[bytes, Fields] = {}

    def decode(self, block: bytes) -> Fields:
        """A malformed list is returned with its fault; `ConnectionFault` when the compression state is lost."""
        known = self._memo.get(block)
        if known is not None:
            return known
        table = self._decoder.header_table
        front, count, room = self._newest(), len(table.dynamic_entries), table.maxsize
        try:
            fields = Fields(self._decoder.decode(block, raw=True))
        except (HPACKError, IndexError, ValueError) as error:
            raise ConnectionFault(ErrorCode.COMPRESSION_ERROR, f"header block: {error}"[:200]) from error
        if fields.size > self._limit:
            fields.fault = f"header list of {fields.size} bytes, {self._limit} allowed"
        # An addition puts a new object in front. `front` is held and compared by identity: its address cannot be
        # reused.
        if self._newest() is not front or len(table.dynamic_entries) != count or table.maxsize != room:
            self._memo.clear()
        elif len(block) <= _MEMO_BLOCK:
            if len(self._memo) >= _MEMO_ENTRIES:
                self._memo.clear()
            self._memo[block] = fields
        return fields

    def _newest(self) -> Pair | None:
        entries = self._decoder.header_table.dynamic_entries
        return entries[0] if entries else None


def _length(value: int, prefix: int, first: int) -> bytes:
    """An HPACK integer (RFC 7541, section 5.1) behind the bits ``first``."""
    limit = (1 << prefix) - 1
    if value < limit:
        return bytes((first | value,))
    out = bytearray((first | limit,))
    value -= limit
    while value >= 128:
        out.append(0x80 | value & 0x7F)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_field(name: bytes, value: bytes) -> bytes:
    """One field: a reference into the static table where that has the pair, else a literal without indexing."""
    indexed = _INDEXED.get((name, value))
    if indexed is not None:
        return indexed
    index = _NAMES.get(name)
    head = _length(index, 4, 0) if index is not None else b"\0" + _length(len(name), 7, 0) + name
    return head + _length(len(value), 7, 0) + value


def encode_fields(pairs: Iterable[Pair]) -> bytes:
    """A header block that needs no table and changes none."""
    return b"".join([encode_field(name, value) for name, value in pairs])

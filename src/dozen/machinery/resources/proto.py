"""Encodes specs as protobuf, from their ``WIRE`` tables (`dozen.machinery.resources.spec`).

Only encoding, because a node never reads a spec that somebody else wrote. Each struct is compiled once into a tuple of
functions, one a field, that give the field's bytes including its tag. As proto3 wants it, zero values are left out; a
struct is left out when it is None. Text that has no number (an enum's name that is not in the tables, something that is
no address) is left out as well: the YAML beside it shows what it is.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Mapping
from operator import attrgetter
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any

import msgspec

from dozen.machinery.resources.enums import flags_of, number_of
from dozen.machinery.resources.spec import Row, wire_rows

VARINT, FIXED64, LENGTH = 0, 1, 2

Encoder = Callable[[Any], bytes]

_compiled: dict[type[msgspec.Struct], tuple[Encoder, ...]] = {}


def encode(spec: msgspec.Struct) -> bytes:
    """The protobuf form of a spec."""
    cls = type(spec)
    encoders = _compiled.get(cls)
    if encoders is None:
        encoders = _compiled[cls] = tuple([_field(cls, row) for row in wire_rows(cls)])
    return b"".join([encoder(spec) for encoder in encoders])


def varint(number: int) -> bytes:
    """Seven bits a byte, lowest first; negative numbers as 64 bits."""
    number &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _delimited(data: bytes) -> bytes:
    return varint(len(data)) + data


def _field(cls: type[msgspec.Struct], row: Row) -> Encoder:
    get = attrgetter(row.attribute)
    if row.type.startswith("["):
        value = _repeated(cls, row.number, row.type[1:-1])
    elif row.type.startswith("{"):
        value = _map(cls, row.number, row.type[1:-1])
    else:
        value = _single(cls, row.number, row.type)
    return lambda spec: value(get(spec))


def _single(cls: type[msgspec.Struct], number: int, type_: str) -> Encoder:
    if type_ in _LENGTHS:
        convert, tag = _LENGTHS[type_], varint(number << 3 | LENGTH)

        def encode_length(value: Any) -> bytes:
            data = convert(value) if value else b""
            return tag + varint(len(data)) + data if data else b""

        return encode_length
    if type_ == "double":
        tag = varint(number << 3 | FIXED64)

        def encode_double(value: float) -> bytes:
            data = struct.pack("<d", value)
            return tag + data if any(data) else b""

        return encode_double
    if (integer := _integer(type_)) is not None:
        tag = varint(number << 3 | VARINT)

        def encode_integer(value: Any) -> bytes:
            found = integer(value) if value else 0
            return tag + varint(found) if found else b""

        return encode_integer
    _nested(cls, type_)  # raises for a name that is no struct, before the first value comes
    tag = varint(number << 3 | LENGTH)
    return lambda value: b"" if value is None else tag + _delimited(encode(value))


def _repeated(cls: type[msgspec.Struct], number: int, type_: str) -> Encoder:
    tag = varint(number << 3 | LENGTH)
    if type_ in _LENGTHS:
        convert = _LENGTHS[type_]
        return lambda values: b"".join([tag + _delimited(convert(value)) for value in values])
    if (integer := _integer(type_)) is not None:
        return lambda values: tag + _delimited(b"".join([varint(integer(v)) for v in values])) if values else b""
    _nested(cls, type_)
    return lambda values: b"".join([tag + _delimited(encode(value)) for value in values])


def _map(cls: type[msgspec.Struct], number: int, type_: str) -> Encoder:
    tag = varint(number << 3 | LENGTH)
    if type_ == "bool":
        return lambda values: b"".join(
            [
                tag + _delimited(_entry(1, key.encode()) + bytes((2 << 3 | VARINT, values[key])))
                for key in sorted(values)
            ]
        )
    if type_ != "string":
        _nested(cls, type_)

    def encode_map(values: Any) -> bytes:
        content: Callable[[Any], bytes] = str.encode if type_ == "string" else encode
        entries = [(key.encode(), content(values[key])) for key in sorted(values)]
        return b"".join([tag + _delimited(_entry(1, key) + _entry(2, value)) for key, value in entries])

    return encode_map


def _entry(number: int, data: bytes) -> bytes:
    return varint(number << 3 | LENGTH) + _delimited(data)


def _nested(cls: type[msgspec.Struct], name: str) -> type[msgspec.Struct]:
    """The struct that a table calls by name: it is in the same module."""
    found = getattr(sys.modules[cls.__module__], name, None)
    if found is None:
        raise TypeError(f"{cls.__name__} has a field of unknown type {name}")
    nested: type[msgspec.Struct] = found
    return nested


def _integer(type_: str) -> Callable[[Any], int] | None:
    """How a type of the table becomes a number, or None if it does not."""
    if type_ in ("int32", "int64", "uint32", "uint64", "bool"):
        return int
    sort, _, name = type_.partition(":")
    if sort not in ("enum", "flags"):
        return None
    convert = number_of if sort == "enum" else flags_of

    def number(text: str) -> int:
        try:
            return convert(name, text)
        except ValueError:
            return 0

    return number


def _address(text: str) -> bytes:
    data = _packed(text)
    return _entry(1, data) if data else b""


def _address_and_port(text: str) -> bytes:
    address, _, port = text.rpartition(":")
    data = _packed(address.strip("[]"))
    if not data or not port.isdigit():
        return b""
    return _entry(1, data) + (varint(2 << 3 | VARINT) + varint(int(port)) if int(port) else b"")


def _prefix(text: str) -> bytes:
    address, _, length = text.partition("/")
    data = _packed(address)
    if not data:
        return b""
    bits = int(length) if length.isdigit() else len(data) * 8
    return _entry(1, data) + (varint(2 << 3 | VARINT) + varint(bits) if bits else b"")


def _packed(text: str) -> bytes:
    address = text.partition("%")[0]
    try:
        return inet_pton(AF_INET6 if ":" in address else AF_INET, address)
    except OSError:
        return b""


def _hardware(text: str) -> bytes:
    try:
        return bytes.fromhex(text.replace(":", ""))
    except ValueError:
        return b""


def _duration(nanoseconds: int) -> bytes:
    seconds, rest = divmod(abs(nanoseconds), 1_000_000_000)
    sign = -1 if nanoseconds < 0 else 1
    out = varint(1 << 3 | VARINT) + varint(sign * seconds) if seconds else b""
    return out + (varint(2 << 3 | VARINT) + varint(sign * rest) if rest else b"")


def _json(mapping: Any) -> bytes:
    """google.protobuf.Struct: a map from names to values."""
    entries = [_entry(1, key.encode()) + _entry(2, _json_value(mapping[key])) for key in sorted(mapping)]
    return b"".join([_entry(1, entry) for entry in entries])


def _json_value(value: Any) -> bytes:
    """google.protobuf.Value: one field of six, which is there even when it is zero."""
    if value is None:
        return b"\x08\x00"
    if isinstance(value, bool):
        return b"\x20" + varint(value)
    if isinstance(value, int | float):
        return b"\x11" + struct.pack("<d", value)
    if isinstance(value, str):
        return _entry(3, value.encode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return _entry(5, _json(value))
    return _entry(6, b"".join([_entry(1, _json_value(each)) for each in value]))


# What is written as a length and bytes.
_LENGTHS: dict[str, Encoder] = {
    "string": lambda text: text.encode("utf-8", "replace"),
    "text": lambda text: text.encode("utf-8", "replace"),
    "bytes": bytes,
    "addr": _address,
    "addrport": _address_and_port,
    "prefix": _prefix,
    "hwaddr": _hardware,
    "duration": _duration,
    "timestamp": _duration,  # seconds and nanoseconds, too
    "json": _json,
}

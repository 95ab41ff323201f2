"""The base of every spec, and the table that says how a spec looks on the wire.

A spec is a frozen struct; clients see it twice, as YAML (what people read) and as protobuf (what programs decode). Both
follow from one table per struct, ``WIRE``: rows separated by commas, one for each field in the order of the fields,
which is also the order in YAML::

    number  name-in-YAML  type  [omit | inline]

``number`` is the protobuf field number. ``omit`` leaves a zero value out of the YAML (protobuf leaves zeros out
anyway); ``inline`` puts the fields of a struct among those of its parent in YAML. The name ``@`` says that the YAML of
the struct is the value of this one field. Types:

========================  ====================  =============================================
type                      in Python             in protobuf
========================  ====================  =============================================
string bool double        str bool float        the same
int32 int64 uint32 uint64 int                   the same
bytes                     bytes                 bytes (YAML: base64)
text                      str                   bytes
addr                      str ``10.0.0.1``      message of the 4 or 16 bytes
addrport                  str ``10.0.0.1:53``   message of the bytes and the port
prefix                    str ``10.0.0.0/8``    message of the bytes and the length
hwaddr                    str ``02:..:01``      bytes
duration                  int, nanoseconds      google.protobuf.Duration (YAML: ``1h0m0s``)
timestamp                 int, nanoseconds      google.protobuf.Timestamp (YAML: ``2026-01-02T03:04:05Z``)
enum:Name flags:Name      str                   number, see `dozen.machinery.resources.enums`
json                      Mapping of plain data google.protobuf.Struct
Name                      struct or None        message
[type]                    tuple                 repeated
{string} {bool} {Name}    Mapping               map from string to string, bool or message
========================  ====================  =============================================

The table is text so that importing a module of specs costs nothing; it is read when a spec is first rendered
(`dozen.machinery.resources.yaml`, `dozen.machinery.resources.proto`).
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple, dataclass_transform

import msgspec


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Spec(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of specs and of the structs inside them. Without cycles by construction, hence hidden from the collector."""

    WIRE: ClassVar[str] = ""


class Row(NamedTuple):
    """One line of a ``WIRE`` table, joined with the field that it describes."""

    attribute: str
    number: int
    name: str
    type: str
    omit: bool
    inline: bool


_rows: dict[type[msgspec.Struct], tuple[Row, ...]] = {}


def wire_rows(cls: type[msgspec.Struct]) -> tuple[Row, ...]:
    """Read the table of a struct, once. Raises TypeError if it does not have one row for each field."""
    rows = _rows.get(cls)
    if rows is None:
        lines = [line.split() for line in getattr(cls, "WIRE", "").split(",") if line.strip()]
        fields = cls.__struct_fields__
        if len(lines) != len(fields):
            raise TypeError(f"{cls.__name__} has {len(fields)} fields and {len(lines)} rows in WIRE")
        rows = tuple(_read_row(attribute, line) for attribute, line in zip(fields, lines, strict=True))
        _rows[cls] = rows
    return rows


def _read_row(attribute: str, words: list[str]) -> Row:
    number, name, type_, *marks = words
    return Row(attribute, int(number), name, type_, "omit" in marks, "inline" in marks)

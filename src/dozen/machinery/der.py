"""DER, the byte form of certificates and keys: as much as X.509 needs, written and read strictly.

A value is tag, length, content (X.690). Writing is a handful of functions that nest. Reading yields `Element`s and
refuses what DER forbids: indefinite lengths, lengths that are longer than needed, anything behind the end. Small and
without imports, because it is on the node's way to its first reply, where a full cryptography library would cost more
than half a second; also because what reads a stranger's certificate should be short enough to be read whole.
"""

from __future__ import annotations

from collections.abc import Iterator

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
UTF8_STRING, PRINTABLE_STRING, IA5_STRING, UTC_TIME, GENERALIZED_TIME = 0x0C, 0x13, 0x16, 0x17, 0x18
SEQUENCE, SET = 0x30, 0x31


class DerError(ValueError):
    """The bytes are not the DER that was expected."""


class Element:
    """One value: ``content`` without, ``whole`` with its tag and length."""

    __slots__ = ("content", "tag", "whole")

    def __init__(self, tag: int, content: bytes, whole: bytes) -> None:
        self.tag = tag
        self.content = content
        self.whole = whole


def encode(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def sequence(*parts: bytes) -> bytes:
    return encode(SEQUENCE, *parts)


def set_of(*parts: bytes) -> bytes:
    """DER wants the members of a set in the order of their bytes."""
    return encode(SET, *sorted(parts))


def context(number: int, *parts: bytes, constructed: bool = True) -> bytes:
    """A context-specific tag, ``[number]`` in ASN.1 notation."""
    return encode(0x80 | (0x20 if constructed else 0) | number, *parts)


def integer(value: int) -> bytes:
    """A non-negative integer; a set top bit would make it negative, so there is room for a zero byte."""
    return encode(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    first, second, *rest = (int(part) for part in dotted.split("."))
    body = bytearray((first * 40 + second,))
    for arc in rest:
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | (arc & 0x7F))
        body += bytes(reversed(groups))
    return encode(OID, bytes(body))


def utf8(text: str) -> bytes:
    return encode(UTF8_STRING, text.encode())


def boolean(value: bool) -> bytes:
    return encode(BOOLEAN, b"\xff" if value else b"\x00")


def bit_string(content: bytes, unused: int = 0) -> bytes:
    return encode(BIT_STRING, bytes((unused,)), content)


def octet_string(content: bytes) -> bytes:
    return encode(OCTET_STRING, content)


def moment(seconds: int) -> bytes:
    """A time in UTC: UTCTime until 2049, GeneralizedTime from then on (RFC 5280, 4.1.2.5)."""
    import time

    parts = time.gmtime(seconds)
    text = f"{parts.tm_mon:02}{parts.tm_mday:02}{parts.tm_hour:02}{parts.tm_min:02}{parts.tm_sec:02}Z"
    if parts.tm_year < 2050:
        return encode(UTC_TIME, f"{parts.tm_year % 100:02}{text}".encode())
    return encode(GENERALIZED_TIME, f"{parts.tm_year:04}{text}".encode())


def read_one(data: bytes, offset: int = 0) -> tuple[Element, int]:
    """The value at ``offset`` and the offset behind it."""
    if offset + 2 > len(data):
        raise DerError("a value is cut short")
    tag, length = data[offset], data[offset + 1]
    start = offset + 2
    if tag & 0x1F == 0x1F:
        raise DerError("multi-byte tags are not used here")
    if length & 0x80:
        count = length & 0x7F
        digits = data[start : start + count]
        if not 1 <= count <= 4 or len(digits) != count:
            raise DerError("a length is indefinite, too long or cut short")
        length = int.from_bytes(digits, "big")
        if length < 0x80 or digits[0] == 0:
            raise DerError("a length is written longer than needed")
        start += count
    end = start + length
    if end > len(data):
        raise DerError("a value is cut short")
    return Element(tag, data[start:end], data[offset:end]), end


def read_all(data: bytes) -> Iterator[Element]:
    """The values that follow each other in ``data`` (the content of a sequence, for one)."""
    offset = 0
    while offset < len(data):
        element, offset = read_one(data, offset)
        yield element


def read_whole(data: bytes, tag: int) -> Element:
    """The one value that ``data`` is, of the expected tag."""
    element, end = read_one(data)
    if end != len(data):
        raise DerError("there are bytes behind the end")
    return expect(element, tag)


def expect(element: Element, tag: int) -> Element:
    if element.tag != tag:
        raise DerError(f"expected a value with tag {tag:#04x}, found {element.tag:#04x}")
    return element


def read_integer(element: Element) -> int:
    content = expect(element, INTEGER).content
    if not content:
        raise DerError("an integer is empty")
    return int.from_bytes(content, "big", signed=True)


def read_oid(element: Element) -> str:
    content = expect(element, OID).content
    if not content or content[-1] & 0x80:
        raise DerError("an object identifier is cut short")
    arcs, value = [], 0
    for byte in content:
        value = value << 7 | (byte & 0x7F)
        if not byte & 0x80:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(str(arc) for arc in (first, arcs[0] - 40 * first, *arcs[1:]))


def read_text(element: Element) -> str:
    try:
        return element.content.decode("utf-8" if element.tag == UTF8_STRING else "latin-1")
    except UnicodeDecodeError:
        raise DerError("a string is not UTF-8") from None


def read_moment(element: Element) -> int:
    """Seconds since the epoch of a UTCTime or a GeneralizedTime."""
    text = element.content.decode("latin-1")
    wanted = {UTC_TIME: 13, GENERALIZED_TIME: 15}.get(element.tag)
    if len(text) != wanted or text[-1] != "Z" or not (text[:-1].isascii() and text[:-1].isdigit()):
        raise DerError("a time is not in the form that RFC 5280 wants")
    year = int(text[:-11])
    if element.tag == UTC_TIME:
        year += 1900 if year >= 50 else 2000
    month, day, hour, minute, second = (int(text[at : at + 2]) for at in range(len(text) - 11, len(text) - 1, 2))
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 60):
        raise DerError("a time does not exist")
    return _days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar, counting years from March."""
    year, month = (year - 1, month + 9) if month <= 2 else (year, month - 3)
    era, of_era = divmod(year, 400)
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + (153 * month + 2) // 5 + day - 1 - 719468

"""SMBIOS: what the firmware says the machine is made of.

The firmware leaves one table in memory, a run of *structures*: a type, the length of a fixed part, a handle, the fixed
part, and then texts, each ended by a zero byte and all of them by another. The fixed part names a text by its number
from one. Offsets below are the specification's (DMTF DSP0134); what lies behind a structure's length was not known to
its writer and counts as absent.

A virtual machine's host may add texts of its own (type 11). A node takes its machine configuration from one of them,
``dozen.config=`` followed by base64 of the zlib-compressed YAML: a machine can thus be configured without a disk or a
network. Everything here reads bytes that somebody else wrote: it must never fail in any other way than it says.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

TABLE = "/sys/firmware/dmi/tables/DMI"

BIOS, SYSTEM, PROCESSOR, OEM_STRINGS, MEMORY_DEVICE, END = 0, 1, 4, 11, 17, 127

CONFIG_PREFIX = "dozen.config="
CONFIG_LIMIT = 4 << 20  # bytes of YAML; a machine configuration has tens of kilobytes

WAKE_UP_TYPES = (
    "Reserved",
    "Other",
    "Unknown",
    "APM Timer",
    "Modem Ring",
    "LAN Remote",
    "Power Switch",
    "PCI PME#",
    "AC Power Restored",
)


class ConfigUnreadable(ValueError):
    """A machine configuration that cannot be decoded; the message says why."""


class Structure(msgspec.Struct, frozen=True):
    """One structure: ``data`` is its fixed part with the head, so that offsets are the specification's."""

    type: int
    handle: int
    data: bytes
    texts: tuple[str, ...]

    def byte(self, offset: int) -> int:
        return self.data[offset] if offset < len(self.data) else 0

    def word(self, offset: int) -> int:
        return int.from_bytes(self.data[offset : offset + 2], "little") if offset + 2 <= len(self.data) else 0

    def double_word(self, offset: int) -> int:
        return int.from_bytes(self.data[offset : offset + 4], "little") if offset + 4 <= len(self.data) else 0

    def text(self, offset: int) -> str:
        """The text that the byte at ``offset`` names; "" if it names none."""
        number = self.byte(offset)
        return self.texts[number - 1].strip() if 0 < number <= len(self.texts) else ""


class System(msgspec.Struct, frozen=True):
    """Maker and identity of the machine. ``uuid`` is lower-case, "" when the firmware left it unset."""

    manufacturer: str = ""
    product: str = ""
    version: str = ""
    serial: str = ""
    uuid: str = ""
    wake_up: str = ""
    sku: str = ""
    bios_version: str = ""


class Processor(msgspec.Struct, frozen=True):
    """A processor's socket; the speeds are MHz."""

    socket: str
    manufacturer: str
    version: str
    max_speed: int
    speed: int
    status: int
    serial: str
    asset: str
    part: str
    cores: int
    cores_enabled: int
    threads: int


class MemoryDevice(msgspec.Struct, frozen=True):
    """A memory slot; ``size`` is MiB, 0 when it is empty, ``speed`` is MT/s."""

    size: int
    locator: str
    bank: str
    speed: int
    manufacturer: str
    serial: str
    asset: str
    part: str


def parse_table(data: bytes) -> list[Structure]:
    """All structures up to the end or up to the first one that is broken."""
    return list(_iterate(data))


def read_table(path: str = TABLE) -> list[Structure]:
    """The machine's own table; empty where there is none, as in a container or on a board without SMBIOS."""
    try:
        with open(path, "rb") as file:
            return parse_table(file.read())
    except OSError:
        return []


def describe_system(table: list[Structure]) -> System:
    """The machine as a whole."""
    bios = next((s.text(5) for s in table if s.type == BIOS), "")
    for structure in table:
        if structure.type == SYSTEM:
            wake_up = structure.byte(0x18)
            return System(
                manufacturer=structure.text(4),
                product=structure.text(5),
                version=structure.text(6),
                serial=structure.text(7),
                uuid=format_uuid(structure.data[8:24]),
                wake_up=WAKE_UP_TYPES[wake_up] if wake_up < len(WAKE_UP_TYPES) else "",
                sku=structure.text(0x19),
                bios_version=bios,
            )
    return System(bios_version=bios)


def list_processors(table: list[Structure]) -> list[Processor]:
    """Every socket, also empty ones (their status lacks bit 6)."""
    return [
        Processor(
            socket=s.text(4),
            manufacturer=s.text(7),
            version=s.text(0x10),
            max_speed=s.word(0x14),
            speed=s.word(0x16),
            status=s.byte(0x18),
            serial=s.text(0x20),
            asset=s.text(0x21),
            part=s.text(0x22),
            # a byte of 255 says that the count is in the word that later versions added
            cores=s.word(0x2A) if s.byte(0x23) == 0xFF else s.byte(0x23),
            cores_enabled=s.word(0x2C) if s.byte(0x24) == 0xFF else s.byte(0x24),
            threads=s.word(0x2E) if s.byte(0x25) == 0xFF else s.byte(0x25),
        )
        for s in table
        if s.type == PROCESSOR
    ]


def list_memory(table: list[Structure]) -> list[MemoryDevice]:
    """Every memory slot."""
    return [
        MemoryDevice(
            size=_memory_size(s),
            locator=s.text(0x10),
            bank=s.text(0x11),
            speed=s.word(0x15),
            manufacturer=s.text(0x17),
            serial=s.text(0x18),
            asset=s.text(0x19),
            part=s.text(0x1A),
        )
        for s in table
        if s.type == MEMORY_DEVICE
    ]


def list_oem_strings(table: list[Structure]) -> list[str]:
    """All texts that the machine's maker, or its host, put there."""
    return [text for s in table if s.type == OEM_STRINGS for text in s.texts[: s.byte(4)]]


def find_config(table: list[Structure]) -> str | None:
    """The machine configuration that the host gave, or None; raises `ConfigUnreadable`."""
    for text in list_oem_strings(table):
        if text.startswith(CONFIG_PREFIX):
            return decode_config(text.removeprefix(CONFIG_PREFIX))
    return None


def decode_config(text: str) -> str:
    """YAML from base64 of zlib; raises `ConfigUnreadable`."""
    import base64
    import zlib

    try:
        packed = base64.b64decode("".join(text.split()), validate=True)
    except ValueError as error:
        raise ConfigUnreadable(f"it is not base64: {error}") from None
    decoder = zlib.decompressobj()
    try:
        plain = decoder.decompress(packed, CONFIG_LIMIT)
    except zlib.error as error:
        raise ConfigUnreadable(f"it is not compressed by zlib: {error}") from None
    if decoder.unconsumed_tail:
        raise ConfigUnreadable(f"it is larger than {CONFIG_LIMIT} bytes")
    if not decoder.eof:
        raise ConfigUnreadable("its end is missing")
    try:
        return plain.decode()
    except UnicodeDecodeError as error:
        raise ConfigUnreadable(f"it is not UTF-8: {error}") from None


def encode_config(text: str) -> str:
    """The text that `find_config` finds: what a host gives to its machine."""
    import base64
    import zlib

    return CONFIG_PREFIX + base64.b64encode(zlib.compress(text.encode(), 9)).decode("ascii")


def format_uuid(data: bytes) -> str:
    """A UUID's usual text. The first three fields are little-endian since version 2.6; all zeros or ones is unset."""
    if len(data) != 16 or data in (bytes(16), b"\xff" * 16):
        return ""
    fields = (data[3::-1], data[5:3:-1], data[7:5:-1], data[8:10], data[10:])
    return "-".join(field.hex() for field in fields)


def _iterate(data: bytes) -> Iterator[Structure]:
    offset = 0
    while offset + 4 <= len(data):
        kind, length = data[offset], data[offset + 1]
        if length < 4 or offset + length > len(data):
            return
        end = data.find(b"\0\0", offset + length)
        if end < 0:
            return
        texts = data[offset + length : end]
        yield Structure(
            type=kind,
            handle=int.from_bytes(data[offset + 2 : offset + 4], "little"),
            data=data[offset : offset + length],
            texts=tuple(text.decode("utf-8", "replace") for text in texts.split(b"\0")) if texts else (),
        )
        if kind == END:
            return
        offset = end + 2


def _memory_size(structure: Structure) -> int:
    size = structure.word(0x0C)
    if size == 0xFFFF:
        return 0  # unknown
    if size == 0x7FFF:
        return structure.double_word(0x1C) & 0x7FFFFFFF
    return (size & 0x7FFF) // 1024 if size & 0x8000 else size  # the high bit says kibibytes

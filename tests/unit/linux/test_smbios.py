"""SMBIOS tables: what firmware says, and what it must not be able to do."""

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.linux import smbios
from dozen.linux.smbios import ConfigUnreadable, MemoryDevice, Processor, System


def structure(kind: int, fixed: bytes, *texts: str, handle: int = 1) -> bytes:
    """A structure as firmware writes it; ``fixed`` begins behind the head."""
    head = bytes((kind, 4 + len(fixed))) + handle.to_bytes(2, "little")
    strings = b"".join(text.encode() + b"\0" for text in texts) + b"\0"
    return head + fixed + (strings if texts else b"\0\0")


UUID = bytes.fromhex("33221100554477668899aabbccddeeff")
END = structure(smbios.END, b"")
TABLE = (
    structure(smbios.BIOS, bytes((1, 2)), "SeaBIOS", "1.16.3")
    + structure(smbios.SYSTEM, bytes((1, 2, 3, 4)) + UUID + bytes((6, 5, 0)), "QEMU", "Q35", "9.2", "S-1", "SKU-1")
    + structure(
        smbios.PROCESSOR,
        bytes((1, 3, 1, 2))
        + bytes(8)
        + bytes((3, 0))
        + bytes(2)
        + (3000).to_bytes(2, "little")
        + (2000).to_bytes(2, "little")
        + bytes((0x41, 1))
        + bytes(6)
        + bytes((4, 5, 6))
        + bytes((4, 0xFF, 8))
        + bytes(4)
        + (4).to_bytes(2, "little")
        + (300).to_bytes(2, "little")
        + (8).to_bytes(2, "little"),
        *("CPU 0", "Maker", "Model", "SER", "TAG", "PART"),
    )
    + structure(
        smbios.MEMORY_DEVICE,
        bytes(8)
        + (2048).to_bytes(2, "little")
        + bytes(2)
        + bytes((1, 2))
        + bytes(3)
        + (3200).to_bytes(2, "little")
        + bytes((3, 4, 5, 6)),
        *("DIMM 0", "BANK 0", "Maker", "SER", "TAG", "PART"),
    )
)


def test_a_machine() -> None:
    table = smbios.parse_table(TABLE + END + b"rubbish behind the end")
    assert smbios.describe_system(table) == System(
        manufacturer="QEMU",
        product="Q35",
        version="9.2",
        serial="S-1",
        uuid="00112233-4455-6677-8899-aabbccddeeff",
        wake_up="Power Switch",
        sku="SKU-1",
        bios_version="1.16.3",
    )
    assert smbios.list_processors(table) == [
        Processor("CPU 0", "Maker", "Model", 3000, 2000, 0x41, "SER", "TAG", "PART", 4, 300, 8)
    ]
    assert smbios.list_memory(table) == [MemoryDevice(2048, "DIMM 0", "BANK 0", 3200, "Maker", "SER", "TAG", "PART")]


@pytest.mark.parametrize(
    ("size", "extended", "mib"),
    [(0, 0, 0), (1024, 0, 1024), (0x8000 | 2048, 0, 2), (0xFFFF, 0, 0), (0x7FFF, 65536, 65536)],
    ids=["empty", "mebibytes", "kibibytes", "unknown", "large"],
)
def test_sizes_of_memory(size: int, extended: int, mib: int) -> None:
    fixed = bytes(8) + size.to_bytes(2, "little") + bytes(14) + extended.to_bytes(4, "little")
    assert smbios.list_memory(smbios.parse_table(structure(smbios.MEMORY_DEVICE, fixed)))[0].size == mib


def test_a_structure_of_an_old_version_is_short() -> None:
    table = smbios.parse_table(structure(smbios.SYSTEM, bytes((1, 2)), "QEMU", "Q35"))
    assert smbios.describe_system(table) == System(manufacturer="QEMU", product="Q35", wake_up="Reserved")


@pytest.mark.parametrize("data", [bytes(16), b"\xff" * 16, b"short"])
def test_an_unset_uuid_is_none(data: bytes) -> None:
    assert smbios.format_uuid(data) == ""


def test_no_firmware_is_an_empty_table() -> None:
    assert smbios.read_table("/nonexistent") == []
    assert smbios.describe_system([]) == System()
    assert smbios.find_config([]) is None


def config_table(*texts: str) -> list[smbios.Structure]:
    return smbios.parse_table(TABLE + structure(smbios.OEM_STRINGS, bytes((len(texts),)), *texts) + END)


@given(st.text(st.characters(codec="utf-8"), max_size=2000))
def test_a_configuration_comes_back(text: str) -> None:
    assert smbios.find_config(config_table("something else", smbios.encode_config(text))) == text


def test_no_configuration_among_the_strings() -> None:
    assert smbios.find_config(config_table("something else")) is None


def packed(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("*", "base64"),
        (packed(b"not zlib"), "zlib"),
        (packed(zlib.compress(b"a" * 1000)[:-6]), "end"),
        (packed(zlib.compress(b"\xff")), "UTF-8"),
        (packed(zlib.compress(bytes(smbios.CONFIG_LIMIT + 1))), "larger"),
    ],
)
def test_a_broken_configuration_says_why(text: str, reason: str) -> None:
    with pytest.raises(ConfigUnreadable, match=reason):
        smbios.find_config(config_table(smbios.CONFIG_PREFIX + text))


def test_line_breaks_in_base64_are_fine() -> None:
    text = smbios.encode_config("machine: {}").removeprefix(smbios.CONFIG_PREFIX)
    assert smbios.decode_config("\n".join(text[i : i + 7] for i in range(0, len(text), 7)) + "\n") == "machine: {}"


@given(st.text(max_size=100))
def test_any_configuration_text_is_read_or_refused(text: str) -> None:
    try:
        smbios.decode_config(text)
    except ConfigUnreadable:
        return


def use(table: list[smbios.Structure]) -> None:
    smbios.describe_system(table)
    smbios.list_processors(table)
    smbios.list_memory(table)
    try:
        smbios.find_config(table)
    except ConfigUnreadable:
        return


@given(st.binary(max_size=300))
def test_any_table_is_read(data: bytes) -> None:
    use(smbios.parse_table(data))


@given(st.integers(0, len(TABLE) - 1), st.integers(0, 255), st.integers(0, len(TABLE)))
def test_a_damaged_table_is_read(place: int, value: int, cut: int) -> None:
    data = bytearray(TABLE)
    data[place] = value
    use(smbios.parse_table(bytes(data)))
    use(smbios.parse_table(TABLE[:cut]))

"""The packets that DHCP messages travel in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.linux import dhcp_socket
from dozen.linux.dhcp_socket import count_checksum, unwrap_message, wrap_message


def from_server(message: bytes) -> bytes:
    """A packet as a server sends it: ours with the ports exchanged."""
    packet = bytearray(wrap_message(message))
    packet[20:24] = bytes((0, 67, 0, 68))
    return bytes(packet)


@given(st.binary(max_size=600))
def test_a_message_comes_back(message: bytes) -> None:
    assert unwrap_message(from_server(message)) == message


@given(st.binary(min_size=1, max_size=600))
def test_checksums_are_right(message: bytes) -> None:
    packet = wrap_message(message)
    assert count_checksum(packet[:20]) == 0
    pseudo = packet[12:20] + bytes((0, 17)) + packet[24:26]
    assert count_checksum(pseudo + packet[20:]) == 0


def test_a_checksum_from_rfc_1071() -> None:
    assert count_checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D


@given(st.binary(max_size=100))
def test_any_packet_is_read_or_dropped(data: bytes) -> None:
    unwrap_message(data)


@given(st.integers(0, 27), st.integers(0, 255))
def test_a_damaged_packet_gives_no_bytes_from_beyond_it(place: int, value: int) -> None:
    packet = bytearray(from_server(b"message") + b"trailer")
    packet[place] = value
    message = unwrap_message(bytes(packet))
    assert message is None or b"message".startswith(message) or message.startswith(b"message")


@pytest.mark.parametrize("cut", [0, 19, 20, 27])
def test_a_cut_packet_is_dropped(cut: int) -> None:
    assert unwrap_message(from_server(b"message")[:cut]) is None


def run_filter(packet: bytes) -> bool:
    """Classic BPF as far as the filter uses it (Documentation/networking/filter.rst)."""
    accumulator = index = pointer = 0
    while True:
        code, true, false, k = dhcp_socket.FILTER[pointer]
        pointer += 1
        if code == 0x30:
            accumulator = packet[k]
        elif code == 0x28:
            accumulator = int.from_bytes(packet[k : k + 2], "big")
        elif code == 0x48:
            accumulator = int.from_bytes(packet[index + k : index + k + 2], "big")
        elif code == 0xB1:
            index = (packet[k] & 0xF) * 4
        elif code == 0x15:
            pointer += true if accumulator == k else false
        elif code == 0x45:
            pointer += true if accumulator & k else false
        else:
            assert code == 0x6
            return k > 0


def test_the_filter_takes_answers_and_nothing_else() -> None:
    good = from_server(b"message")
    with_options = b"\x46" + good[1:20] + bytes(4) + good[20:]
    assert run_filter(good)
    assert run_filter(with_options)
    assert not run_filter(wrap_message(b"our own request"))
    assert not run_filter(good[:9] + b"\x06" + good[10:]), "TCP"
    assert not run_filter(good[:6] + b"\x00\x10" + good[8:]), "a later fragment"

"""Announcements of addresses, byte by byte."""

from __future__ import annotations

from dozen.linux.announce import arp_announcement, neighbour_advertisement

MAC = bytes.fromhex("020000000001")


def test_an_arp_announcement_asks_everybody_for_one_s_own_address() -> None:
    frame = arp_announcement(MAC, bytes([10, 0, 0, 5]))
    assert frame.hex(" ", 2) == (
        "ffff ffff ffff 0200 0000 0001 0806 0001 0800 0604 0001 0200 0000 0001 0a00 0005 0000 0000 0000 0a00 0005"
    )


def test_a_neighbour_advertisement_overrides_what_others_remember() -> None:
    message = neighbour_advertisement(MAC, bytes(15) + b"\x01")
    assert message[:8].hex() == "8800000020000000"
    assert message[8:24] == bytes(15) + b"\x01"
    assert message[24:] == b"\x02\x01" + MAC

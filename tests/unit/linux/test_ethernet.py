"""What drivers of Ethernet links are told, in the kernel's terms; against a kernel: tests/native/test_links.py."""

from __future__ import annotations

from dozen.linux.ethernet import CHANNELS_SET, FEATURES_SET, RINGS_SET, WOL_SET, pack_settings
from dozen.linux.netlink import iterate_attributes, unpack_attributes
from dozen.machinery.resources.ethernet import NO_WAY, ChannelsSpec, EthernetSpecSpec, RingsSpec

HEADER = {2: b"eth0\0"}


def messages(**fields: object) -> list[tuple[int, str, dict[int, bytes]]]:
    """The messages of a setting, each of which names the link first."""
    found = []
    for command, what, attributes in pack_settings("eth0", EthernetSpecSpec(**fields)):  # type: ignore[arg-type]
        (kind, header), *rest = attributes
        assert (kind & 0x3FFF, unpack_attributes(header)) == (1, HEADER)
        found.append((command, what, {kind & 0x3FFF: value for kind, value in rest}))
    return found


def bits(bitset: bytes) -> dict[bytes, bool]:
    named = iterate_attributes(unpack_attributes(bitset)[3])
    return {bit[2].rstrip(b"\0"): 3 in bit for bit in (unpack_attributes(each) for _, each in named)}


def test_features_go_one_by_one_and_leave_the_others() -> None:
    off, on = messages(features={"rx-gro": True, "a": False})
    assert (off[0], off[1], bits(off[2][3])) == (FEATURES_SET, "feature a", {b"a": False})
    assert (on[1], bits(on[2][3])) == ("feature rx-gro", {b"rx-gro": True})
    assert 1 not in unpack_attributes(on[2][3])


def test_numbers_that_are_not_given_are_not_told() -> None:
    ((command, what, fields),) = messages(rings=RingsSpec(rx=5, tx_push=False, tcp_data_split=True))
    assert (command, what) == (RINGS_SET, "rings")
    assert fields == {6: b"\5\0\0\0", 13: b"\0", 11: b"\2"}
    ((command, _, fields),) = messages(channels=ChannelsSpec(combined=2))
    assert (command, fields) == (CHANNELS_SET, {9: b"\2\0\0\0"})
    assert messages(rings=RingsSpec(), channels=ChannelsSpec()) == []


def test_ways_to_wake_are_all_or_none() -> None:
    ((command, _, fields),) = messages(wake_on_lan=("magic", "unicast"))
    assert command == WOL_SET
    assert bits(fields[2]) == {b"magic": True, b"ucast": True}
    assert 1 in unpack_attributes(fields[2])
    ((_, _, fields),) = messages(wake_on_lan=(NO_WAY,))
    assert bits(fields[2]) == {}

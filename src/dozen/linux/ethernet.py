"""Tells the driver of an Ethernet link what to do, over the generic netlink family ``ethtool``.

Each kind of setting is a message of its own, which drivers know or refuse one by one. Format and numbers:
Documentation/networking/ethtool-netlink.rst, include/uapi/linux/ethtool_netlink.h. What a driver tells is asked for by
the older ioctl (`dozen.linux.ethtool`), which needs no module.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from dozen.linux.genetlink import NESTED, Family
from dozen.linux.netlink import NetlinkError, pack_attributes
from dozen.machinery.resources.ethernet import NO_WAY, ChannelsSpec, EthernetSpecSpec, RingsSpec

FAMILY = "ethtool"
WOL_SET, FEATURES_SET, RINGS_SET, CHANNELS_SET = 10, 12, 16, 18
HEADER, HEADER_NAME = 1, 2
BITSET_NOMASK, BITSET_BITS, BIT, BIT_NAME, BIT_VALUE = 1, 3, 1, 2, 3
WANTED, MODES = 3, 2
# Attribute and bytes of each field.
RINGS = {
    "rx": (6, 4),
    "rx_mini": (7, 4),
    "rx_jumbo": (8, 4),
    "tx": (9, 4),
    "rx_buf_len": (10, 4),
    "tcp_data_split": (11, 1),
    "cqe_size": (12, 4),
    "tx_push": (13, 1),
    "rx_push": (14, 1),
    "tx_push_buf_len": (15, 4),
}
CHANNELS = {"rx": (6, 4), "tx": (7, 4), "other": (8, 4), "combined": (9, 4)}
# The kernel's names for ways to wake a machine (wol_mode_names in net/ethtool/common.c).
WAYS = {"phy": "phy", "unicast": "ucast", "multicast": "mcast", "broadcast": "bcast", "arp": "arp", "magic": "magic"}
WAYS |= {"magicsecure": "magicsecure", "filter": "filter"}
# Whether headers and data are split: unknown, no, yes (ETHTOOL_TCP_DATA_SPLIT_*).
SPLIT = {False: 1, True: 2}

Attributes = list[tuple[int, bytes]]


def set_up(link: str, wanted: EthernetSpecSpec) -> None:
    """Set all that is given; raises OSError that names what the driver refuses, after the rest was tried."""
    refused = []
    with Family(FAMILY) as family:
        for command, what, attributes in pack_settings(link, wanted):
            try:
                family.ask(command, attributes)
            except NetlinkError as error:
                refused.append((error.errno, f"{what}: {error.strerror}"))
    if refused:
        raise OSError(refused[0][0], "; ".join(words for _, words in refused))


def pack_settings(link: str, wanted: EthernetSpecSpec) -> Iterator[tuple[int, str, Attributes]]:
    """The messages: command, what it is about, attributes."""
    header = (HEADER | NESTED, pack_attributes([(HEADER_NAME, link.encode() + b"\0")]))
    for name, value in sorted(wanted.features.items()):
        # One by one: of several the kernel takes none when it does not know one.
        yield FEATURES_SET, f"feature {name}", [header, (WANTED | NESTED, _pack_bits({name: value}, masked=True))]
    for what, command, fields, part in (
        ("rings", RINGS_SET, RINGS, wanted.rings),
        ("channels", CHANNELS_SET, CHANNELS, wanted.channels),
    ):
        if part is not None and (numbers := list(_pack_numbers(part, fields))):
            yield command, what, [header, *numbers]
    if wanted.wake_on_lan:
        ways = {WAYS[name]: True for name in wanted.wake_on_lan if name != NO_WAY}
        yield WOL_SET, "wake on LAN", [header, (MODES | NESTED, _pack_bits(ways, masked=False))]


def _pack_numbers(part: RingsSpec | ChannelsSpec, fields: Mapping[str, tuple[int, int]]) -> Iterator[tuple[int, bytes]]:
    for name, (attribute, size) in fields.items():
        value = getattr(part, name)
        if value is None or (value == 0 and not isinstance(value, bool)):
            continue
        number = SPLIT[value] if name == "tcp_data_split" else int(value)
        yield attribute, number.to_bytes(size, sys.byteorder)


def _pack_bits(values: Mapping[str, bool], *, masked: bool) -> bytes:
    """Bits by name; those that are not named stay as they are when ``masked``, else they are off."""
    bits = []
    for name, value in values.items():
        bit = [(BIT_NAME, name.encode() + b"\0"), *([(BIT_VALUE, b"")] if value else [])]
        bits.append((BIT | NESTED, pack_attributes(bit)))
    rest = [] if masked else [(BITSET_NOMASK, b"")]
    return pack_attributes([*rest, (BITSET_BITS | NESTED, pack_attributes(bits))])

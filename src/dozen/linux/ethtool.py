"""What the driver of an Ethernet link tells of its queues and of the work that it takes off the processors.

Asked by ioctl(2) SIOCETHTOOL; numbers and structures are those of the kernel's ethtool.h. A driver may know only some
of it; what it does not know is None, or empty.
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct
from collections.abc import Callable
from typing import NamedTuple

SIOCETHTOOL = 0x8946
GWOL, GRINGPARAM, GSTRINGS, GSSET_INFO, GFEATURES, GCHANNELS = 0x05, 0x10, 0x1B, 0x37, 0x3A, 0x3C
FEATURES = 4  # ETH_SS_FEATURES
NAME_SIZE = 32  # ETH_GSTRING_LEN
WORDS = struct.Struct("=9I")
BLOCK = struct.Struct("=4I")  # available, requested, active, never changed: one bit for each of 32 features

Ask = Callable[[bytes], bytes]  # a request, and the same bytes as the kernel left them; raises OSError


class Rings(NamedTuple):
    """Places in the queues between driver and device: how many there may be, and how many there are."""

    rx_max: int
    rx_mini_max: int
    rx_jumbo_max: int
    tx_max: int
    rx: int
    rx_mini: int
    rx_jumbo: int
    tx: int


class Channels(NamedTuple):
    """Queues, each with an interrupt of its own: how many there may be, and how many there are."""

    rx_max: int
    tx_max: int
    other_max: int
    combined_max: int
    rx: int
    tx: int
    other: int
    combined: int


class Feature(NamedTuple):
    """Something that the link can do by itself; ``fixed``: nobody can change that."""

    name: str
    active: bool
    fixed: bool


class Details(NamedTuple):
    """All that is told of a link here."""

    rings: Rings | None = None
    channels: Channels | None = None
    features: tuple[Feature, ...] = ()
    wake_on_lan: int = 0  # bits, as WAKE_PHY


def read_ethernet(name: str) -> Details:
    """What the driver of a link tells; nothing for one that is gone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:

        def ask(request: bytes) -> bytes:
            data = array.array("B", request)
            # struct ifreq: the name, and a pointer to the request
            fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sP16x", name.encode(), data.buffer_info()[0]))
            return data.tobytes()

        return read_details(ask)


def read_details(ask: Ask) -> Details:
    """The same by any way to ask."""
    rings, channels = _words(ask, GRINGPARAM), _words(ask, GCHANNELS)
    try:
        features = _features(ask)
    except OSError:
        features = ()
    return Details(
        Rings(*rings) if rings else None, Channels(*channels) if channels else None, features, _ways_to_wake(ask)
    )


def _ways_to_wake(ask: Ask) -> int:
    """Which packets wake the machine: a struct ethtool_wolinfo of what is possible, what is so, and a password."""
    try:
        return int(struct.unpack_from("=3I", ask(struct.pack("=3I6x2x", GWOL, 0, 0)))[2])
    except OSError:
        return 0


def _words(ask: Ask, command: int) -> tuple[int, ...]:
    try:
        return WORDS.unpack(ask(WORDS.pack(command, *bytes(8))))[1:]
    except OSError:
        return ()


def _features(ask: Ask) -> tuple[Feature, ...]:
    count = struct.unpack("=IIQI", ask(struct.pack("=IIQI", GSSET_INFO, 0, 1 << FEATURES, 0)))[3]
    names = ask(struct.pack("=III", GSTRINGS, FEATURES, count) + bytes(count * NAME_SIZE))[12:]
    blocks = -(-count // 32)
    bits = ask(struct.pack("=II", GFEATURES, blocks) + bytes(blocks * BLOCK.size))[8:]
    found = []
    for number in range(count):
        raw = names[number * NAME_SIZE : (number + 1) * NAME_SIZE].split(b"\0", 1)[0]
        available, _, active, never = BLOCK.unpack_from(bits, number // 32 * BLOCK.size)
        bit = 1 << number % 32
        if raw:
            found.append(
                Feature(raw.decode("ascii", "replace"), bool(active & bit), bool(never & bit or not available & bit))
            )
    return tuple(found)

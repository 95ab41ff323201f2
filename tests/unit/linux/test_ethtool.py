"""What a driver tells, by a driver made of data."""

from __future__ import annotations

import errno
import struct

from dozen.linux.ethtool import Channels, Details, Feature, Rings, read_details, read_ethernet

NAMES = ("tx-checksum-ipv4", "", "rx-lro")


def driver(*known: int, features: tuple[int, int, int] = (0, 0, 0)) -> Details:
    """Answers these commands; ``features``: what can be changed, what is active, what never changes."""

    def ask(request: bytes) -> bytes:
        (command,) = struct.unpack_from("=I", request)
        if command not in known:
            raise OSError(errno.EOPNOTSUPP, "not supported")
        if command == 0x05:
            return struct.pack("=3I8x", command, 0x2F, 0x21)
        if command in (0x10, 0x3C):
            return struct.pack("=9I", command, *range(1, 9))
        if command == 0x37:
            return struct.pack("=IIQI", command, 0, 1 << 4, len(NAMES))
        if command == 0x1B:
            return request[:12] + b"".join(name.encode().ljust(32, b"\0") for name in NAMES)
        available, active, never = features
        return request[:8] + struct.pack("=4I", available, 0, active, never)

    return read_details(ask)


def test_a_driver_that_knows_all() -> None:
    assert driver(0x10, 0x1B, 0x37, 0x3A, 0x3C, features=(0b001, 0b101, 0b100)) == Details(
        Rings(1, 2, 3, 4, 5, 6, 7, 8),
        Channels(1, 2, 3, 4, 5, 6, 7, 8),
        (Feature("tx-checksum-ipv4", active=True, fixed=False), Feature("rx-lro", active=True, fixed=True)),
    )


def test_what_a_driver_does_not_know_is_left_out() -> None:
    assert driver() == Details()
    assert driver(0x3C) == Details(channels=Channels(1, 2, 3, 4, 5, 6, 7, 8))


def test_which_packets_wake_the_machine() -> None:
    assert driver(0x05) == Details(wake_on_lan=0x21)


def test_a_link_that_is_gone_tells_nothing() -> None:
    assert read_ethernet("no-such-link") == Details()


def test_this_kernel_s_own_link_has_features() -> None:
    names = {feature.name for feature in read_ethernet("lo").features}
    assert not names or "loopback" in names

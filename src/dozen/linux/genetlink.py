"""Generic netlink: how parts of the kernel that have no netlink protocol of their own are asked, by name.

Each such *family* gets a number when its module is loaded, which the family ``nlctrl`` tells. A message begins with a
command and a version. Format: Documentation/userspace-api/netlink/intro.rst.
"""

from __future__ import annotations

import errno
import struct
import sys
from collections.abc import Iterable

from dozen.linux.netlink import Message, Netlink, NetlinkError, pack_attributes, unpack_attributes

NETLINK_GENERIC = 16
GENL_ID_CTRL = 0x10
CTRL_CMD_GETFAMILY = 3
CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 1, 2
NESTED = 0x8000  # NLA_F_NESTED: families of this kind of netlink insist on it
HEADER = struct.Struct("=BBH")  # command, version, reserved


class UnknownFamily(OSError):
    """The kernel has no such family, or its module is not loaded."""


class Family:
    """One family, opened by name; use as a context. Raises `UnknownFamily`."""

    def __init__(self, name: str, version: int = 1) -> None:
        self._netlink = Netlink(NETLINK_GENERIC)
        self._version = version
        try:
            self._number = self._resolve(name)
        except BaseException:
            self._netlink.close()
            raise

    def __enter__(self) -> Family:
        return self

    def __exit__(self, *_: object) -> None:
        self._netlink.close()

    def _resolve(self, name: str) -> int:
        request = HEADER.pack(CTRL_CMD_GETFAMILY, 1, 0) + pack_attributes(
            [(CTRL_ATTR_FAMILY_NAME, name.encode() + b"\0")]
        )
        try:
            answers = self._netlink.request(GENL_ID_CTRL, request)
        except NetlinkError as error:
            if error.errno == errno.ENOENT:
                raise UnknownFamily(errno.ENOENT, f"the kernel does not speak {name}") from error
            raise
        return int.from_bytes(unpack_attributes(answers[0].payload[HEADER.size :])[CTRL_ATTR_FAMILY_ID], sys.byteorder)

    def ask(self, command: int, attributes: Iterable[tuple[int, bytes]]) -> list[dict[int, bytes]]:
        """Ask for one thing; the attributes of each answer."""
        return _read(self._netlink.request(self._number, self._pack(command, attributes)))

    def dump(self, command: int, attributes: Iterable[tuple[int, bytes]]) -> list[dict[int, bytes]]:
        """Ask for all of something; the attributes of each message."""
        return _read(self._netlink.dump(self._number, self._pack(command, attributes)))

    def _pack(self, command: int, attributes: Iterable[tuple[int, bytes]]) -> bytes:
        return HEADER.pack(command, self._version, 0) + pack_attributes(attributes)


def _read(messages: list[Message]) -> list[dict[int, bytes]]:
    return [unpack_attributes(message.payload[HEADER.size :]) for message in messages]

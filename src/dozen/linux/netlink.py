"""Netlink: the kernel's message protocol for networking, and the socket that speaks it.

A netlink message is a 16 byte header (length, type, flags, sequence, port) and a payload; most payloads end in
*attributes*, each a length, a type and a value, padded to four bytes. A request is answered by data, by an error
number, or by a *dump*: many messages closed by DONE. A socket may also join *multicast groups* and is then told of
every change.

The kernel handles a request inside ``send``: when it returns, the answer is already queued. So requests are plain calls
that never wait for the network, and only listening to a group is asynchronous.

This module exists because the libraries for it import for longer than our whole boot takes. Formats: netlink(7).
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import NamedTuple

HEADER = struct.Struct("=IHHII")
ATTRIBUTE = struct.Struct("=HH")

MAX_ERRNO = 4095  # include/linux/err.h
NLMSG_NOOP = 1
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLMSG_OVERRUN = 4

NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_DUMP_INTR = 0x10
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_DUMP = 0x300

NLM_F_CAPPED = 0x100  # the next two are for acknowledgements
NLM_F_ACK_TLVS = 0x200
NLMSGERR_ATTR_MSG = 1

NLA_TYPE_MASK = 0x3FFF  # the two high bits say "nested" and "network byte order"

SOL_NETLINK = 270
NETLINK_ADD_MEMBERSHIP = 1
NETLINK_EXT_ACK = 11
NETLINK_GET_STRICT_CHK = 12

RECEIVE_SIZE = 64 * 1024  # a dump fills at most 32 KiB per read (netlink_dump in the kernel)
DUMP_ATTEMPTS = 5
SO_RCVBUFFORCE = 33


class MalformedMessage(ValueError):
    """Bytes that are not netlink."""


class NetlinkError(OSError):
    """The kernel refused a request; ``errno`` says why, and the message adds the kernel's own words if it sent any."""


class Overrun(Exception):
    """The socket's buffer was too small for a burst of changes: some were lost, so read the whole state again."""


class Message(NamedTuple):
    """One message without its length. ``port`` is 0 when the kernel wrote it unasked."""

    type: int
    flags: int
    sequence: int
    port: int
    payload: bytes


def align(length: int) -> int:
    """Round up to netlink's four bytes."""
    return (length + 3) & ~3


def pack_message(message: Message) -> bytes:
    """A message as it goes over the socket."""
    length = HEADER.size + len(message.payload)
    head = HEADER.pack(length, message.type, message.flags, message.sequence, message.port)
    return head + message.payload + bytes(align(length) - length)


def unpack_messages(data: bytes) -> Iterator[Message]:
    """All messages of one datagram; raises `MalformedMessage`."""
    offset = 0
    while offset < len(data):
        if len(data) - offset < HEADER.size:
            raise MalformedMessage(f"{len(data) - offset} bytes are left, too few for a header")
        length, kind, flags, sequence, port = HEADER.unpack_from(data, offset)
        if length < HEADER.size or offset + length > len(data):
            raise MalformedMessage(f"a message at {offset} claims {length} of {len(data)} bytes")
        yield Message(kind, flags, sequence, port, data[offset + HEADER.size : offset + length])
        offset += align(length)


def pack_attributes(attributes: Iterable[tuple[int, bytes]]) -> bytes:
    """Attributes in the given order; a value that is itself made by this function is a nested one."""
    out = bytearray()
    for kind, value in attributes:
        length = ATTRIBUTE.size + len(value)
        out += ATTRIBUTE.pack(length, kind)
        out += value
        out += bytes(align(length) - length)
    return bytes(out)


def unpack_attributes(data: bytes) -> dict[int, bytes]:
    """Attributes by type, the last of each; raises `MalformedMessage`."""
    return dict(iterate_attributes(data))


def iterate_attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Attributes in order, repeated types included; raises `MalformedMessage`."""
    offset = 0
    while offset + ATTRIBUTE.size <= len(data):
        length, kind = ATTRIBUTE.unpack_from(data, offset)
        if length < ATTRIBUTE.size or offset + length > len(data):
            raise MalformedMessage(f"an attribute at {offset} claims {length} of {len(data)} bytes")
        yield kind & NLA_TYPE_MASK, data[offset + ATTRIBUTE.size : offset + length]
        offset += align(length)


def unpack_u32(attributes: Mapping[int, bytes], kind: int, default: int = 0) -> int:
    """A 32 bit attribute in the machine's byte order; one of another size counts as absent."""
    value = attributes.get(kind, b"")
    return int.from_bytes(value, sys.byteorder) if len(value) == 4 else default


def unpack_text(attributes: Mapping[int, bytes], kind: int) -> str:
    """A zero-terminated text attribute; absent is the empty text."""
    return attributes.get(kind, b"").split(b"\0", 1)[0].decode("utf-8", "replace")


class Netlink:
    """One socket to the kernel. With ``groups`` it listens; without, it asks. Use one for each."""

    def __init__(self, protocol: int = socket.NETLINK_ROUTE, groups: Iterable[int] = (), buffer: int = 0) -> None:
        flags = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, flags, protocol)
        self._sequence = 0
        if buffer:
            _grow_buffer(self._socket, buffer)
        self._socket.bind((0, 0))
        for option in (NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK):
            _try_option(self._socket, option)
        for group in groups:
            self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)

    def __enter__(self) -> Netlink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def request(self, kind: int, payload: bytes, flags: int = 0) -> list[Message]:
        """Ask for one thing and return what was answered before the acknowledgement; raises `NetlinkError`."""
        return self._exchange(kind, payload, flags | NLM_F_ACK)[0]

    def dump(self, kind: int, payload: bytes) -> list[Message]:
        """Ask for all of something; asks again when the kernel says that it changed meanwhile."""
        for _ in range(DUMP_ATTEMPTS):
            messages, interrupted = self._exchange(kind, payload, NLM_F_DUMP)
            if not interrupted:
                return messages
        return messages

    def _exchange(self, kind: int, payload: bytes, flags: int) -> tuple[list[Message], bool]:
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        self._socket.send(pack_message(Message(kind, flags | NLM_F_REQUEST, self._sequence, 0, payload)))
        answers: list[Message] = []
        interrupted = False
        while True:
            for message in unpack_messages(self._socket.recv(RECEIVE_SIZE)):
                if message.sequence != self._sequence:
                    continue  # the rest of an earlier dump that was given up
                interrupted = interrupted or bool(message.flags & NLM_F_DUMP_INTR)
                if message.type in (NLMSG_DONE, NLMSG_ERROR):
                    raise_error(message)
                    return answers, interrupted
                if message.type != NLMSG_NOOP:
                    answers.append(message)

    def transact(self, messages: list[Message]) -> None:
        """Send messages that the kernel takes all together or not at all; raises the first `NetlinkError`.

        The first and the last are the bounds of the transaction; the last but one is answered when all is done.
        """
        numbered = []
        for message in messages:
            self._sequence = (self._sequence + 1) & 0xFFFFFFFF
            numbered.append(message._replace(sequence=self._sequence))
        numbered[-2] = numbered[-2]._replace(flags=numbered[-2].flags | NLM_F_ACK)
        first, last = numbered[0].sequence, numbered[-2].sequence
        self._socket.send(b"".join(pack_message(message) for message in numbered))
        failure: NetlinkError | None = None
        while True:
            for message in unpack_messages(self._socket.recv(RECEIVE_SIZE)):
                try:
                    raise_error(message)
                except NetlinkError as error:
                    failure = failure or error
                if message.sequence in (first, last):  # only a refusal is answered at the beginning
                    if failure is not None:
                        raise failure
                    return

    async def receive(self) -> list[Message]:
        """The next changes from the groups; raises `Overrun` when some were lost."""
        try:
            data = await asyncio.get_running_loop().sock_recv(self._socket, RECEIVE_SIZE)
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                raise Overrun("netlink changes were lost") from error
            raise
        return list(unpack_messages(data))


def _try_option(sock: socket.socket, option: int) -> None:
    """Both options only make the kernel say more or check more; kernels before 4.12 and 4.20 do without."""
    try:
        sock.setsockopt(SOL_NETLINK, option, 1)
    except OSError:
        return


def _grow_buffer(sock: socket.socket, size: int) -> None:
    """Beyond net.core.rmem_max if we may (it takes CAP_NET_ADMIN), else up to it."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def raise_error(message: Message) -> None:
    """Raise what an ERROR or DONE message carries; zero is success."""
    if len(message.payload) < 4:
        return
    number = int.from_bytes(message.payload[:4], sys.byteorder, signed=True)
    if number >= 0:
        return
    if number < -MAX_ERRNO:
        raise MalformedMessage(f"an error of number {-number}")
    raise NetlinkError(-number, _error_text(message) or os.strerror(-number))


def _error_text(message: Message) -> str:
    """The kernel's explanation (extended acknowledgement), if it is there."""
    if not message.flags & NLM_F_ACK_TLVS:
        return ""
    if message.type == NLMSG_DONE:
        rest = message.payload[4:]
    else:
        # the refused request follows the error number: its header only when capped, else the whole of it
        if len(message.payload) < 4 + HEADER.size:
            return ""
        length = HEADER.size if message.flags & NLM_F_CAPPED else HEADER.unpack_from(message.payload, 4)[0]
        rest = message.payload[4 + align(length) :]
    try:
        return unpack_text(unpack_attributes(rest), NLMSGERR_ATTR_MSG)
    except MalformedMessage:
        return ""

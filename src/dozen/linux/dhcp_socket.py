"""The wire and the clock for a DHCP client: keeps one link's lease for as long as it runs.

A host without an address cannot use UDP, so the first messages are whole IP packets, written to the link itself (a
packet socket, packet(7)). Later ones go through UDP from the address that was granted. Answers are read from the link
in either case, through a filter in the kernel, so that no other packet ever wakes this process; soon after the last one
nothing is open until the next renewal.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import math
import socket
import struct
from array import array
from collections.abc import Callable
from typing import NoReturn

from dozen.linux.dhcp import Lease
from dozen.linux.dhcp_client import Action, Broadcast, Client, Granted, Lost, State, Unicast

SERVER_PORT, CLIENT_PORT = 67, 68
ETHERNET_IP = 0x0800
BROADCAST_HARDWARE = b"\xff" * 6
RECEIVE_SIZE = 4096
UDP = 17

IP_HEAD = struct.Struct(">BBHHHBBH4s4s")
UDP_HEAD = struct.Struct(">HHHH")

LINGER = 3.0  # seconds that the socket stays open after its last use
SO_ATTACH_FILTER = 26
# A classic BPF program over the IP packet (Documentation/networking/filter.rst): UDP, not a later fragment, to port 68
FILTER = (
    (0x30, 0, 0, 9),  # load the protocol
    (0x15, 0, 6, UDP),  # other than UDP: to the end
    (0x28, 0, 0, 6),  # load flags and fragment offset
    (0x45, 4, 0, 0x1FFF),  # an offset: to the end
    (0xB1, 0, 0, 0),  # x = length of the IP head
    (0x48, 0, 0, 2),  # load the destination port, behind it
    (0x15, 0, 1, CLIENT_PORT),
    (0x6, 0, 0, 0xFFFF),  # take the packet
    (0x6, 0, 0, 0),  # drop it
)


class LeaseKeeper:
    """Obtains and prolongs a lease on ``link``, and says so by calling ``granted`` and ``lost``.

    One object serves a link for its whole life: `run` again after the link was down, and it asks for the same address.
    """

    def __init__(
        self,
        link: str,
        hardware: bytes,
        granted: Callable[[Lease], None],
        lost: Callable[[str], None],
        *,
        hostname: str = "",
        identifier: bytes | None = None,
        log: logging.Logger,
    ) -> None:
        self._link = link
        self._client = Client(hardware, hostname, identifier=identifier)
        self._granted = granted
        self._lost = lost
        self._log = log
        self._listener: socket.socket | None = None
        self._sender: socket.socket | None = None

    async def run(self) -> NoReturn:
        """Keep the lease until cancelled; raises OSError when the link goes away."""
        loop = asyncio.get_running_loop()
        try:
            self._perform(self._client.start(loop.time()))
            while True:
                data = await self._wait(loop)
                now = loop.time()
                self._perform(self._client.expire(now) if data is None else self._client.receive(data, now))
        finally:
            self._close()

    async def _wait(self, loop: asyncio.AbstractEventLoop) -> bytes | None:
        """The next message, or None when the client's deadline comes first."""
        timeout = None if math.isinf(self._client.deadline) else max(0.0, self._client.deadline - loop.time())
        if self._client.state is State.BOUND:
            await self._sleep(timeout)
            return None
        if self._listener is None:
            self._listener = open_listener(self._link)
        try:
            async with asyncio.timeout(timeout):
                while True:
                    data = await loop.sock_recv(self._listener, RECEIVE_SIZE)
                    message = unwrap_message(data)
                    if message is not None:
                        return message
        except TimeoutError:
            return None

    async def _sleep(self, timeout: float | None) -> None:
        """Wait without anything open. Closing a packet socket stops the whole process until every processor has passed
        through the scheduler (synchronize_net): not in the moment when all of the boot waits for the address.
        """
        linger = LINGER if timeout is None else min(timeout, LINGER)
        await asyncio.sleep(linger)
        self._close()
        await (asyncio.sleep(timeout - linger) if timeout is not None else asyncio.get_running_loop().create_future())

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Granted):
                self._log.info("dhcp lease link=%s address=%s", self._link, action.lease.address)
                self._granted(action.lease)
            elif isinstance(action, Lost):
                self._log.warning("dhcp lease lost link=%s reason=%s", self._link, action.reason)
                self._lost(action.reason)
            else:
                self._send(action)

    def _send(self, action: Broadcast | Unicast) -> None:
        """Send, or let it be: what the network refuses now is sent again at the next deadline."""
        if self._listener is None:
            # before sending, so that no answer is missed
            self._listener = open_listener(self._link)
        try:
            if isinstance(action, Broadcast) and not action.source:
                packet = wrap_message(action.message)
                self._listener.sendto(packet, (self._link, ETHERNET_IP, 0, 0, BROADCAST_HARDWARE))
                return
            if self._sender is None:
                self._sender = open_sender(self._link, action.source)
            server = action.server if isinstance(action, Unicast) else "255.255.255.255"
            self._sender.sendto(action.message, (server, SERVER_PORT))
        except OSError as error:
            if error.errno in (errno.ENODEV, errno.ENXIO):
                raise
            self._log.warning("dhcp send failed link=%s error=%s", self._link, error)

    def _close(self) -> None:
        for opened in (self._listener, self._sender):
            if opened is not None:
                opened.close()
        self._listener = self._sender = None


def open_listener(link: str) -> socket.socket:
    """A socket that sees only DHCP answers on one link, and that may send to it; raises OSError."""
    flags = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    # protocol 0 hears nothing, so that no packet comes in before the filter is there
    opened = socket.socket(socket.AF_PACKET, flags, 0)
    with contextlib.ExitStack() as stack:
        stack.callback(opened.close)
        program = array("B", b"".join(struct.pack("=HBBI", *line) for line in FILTER))
        address, _ = program.buffer_info()
        opened.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(FILTER), address))
        opened.bind((link, ETHERNET_IP))
        stack.pop_all()
    return opened


def open_sender(link: str, source: str) -> socket.socket:
    """A UDP socket on one link with the client's address and port; raises OSError.

    It is not read, but while it is there the kernel does not tell the server that nobody listens.
    """
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    with contextlib.ExitStack() as stack:
        stack.callback(opened.close)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode() + b"\0")
        opened.bind((source, CLIENT_PORT))
        stack.pop_all()
    return opened


def wrap_message(message: bytes) -> bytes:
    """An IP packet from nobody to everybody."""
    nobody, everybody = bytes(4), b"\xff" * 4
    length = UDP_HEAD.size + len(message)
    pseudo = nobody + everybody + struct.pack(">BBH", 0, UDP, length)
    head = UDP_HEAD.pack(CLIENT_PORT, SERVER_PORT, length, 0)
    checksum = count_checksum(pseudo + head + message) or 0xFFFF  # zero would mean that there is none
    udp = UDP_HEAD.pack(CLIENT_PORT, SERVER_PORT, length, checksum) + message
    ip = IP_HEAD.pack(0x45, 0x10, IP_HEAD.size + length, 0, 0, 64, UDP, 0, nobody, everybody)
    return ip[:10] + count_checksum(ip).to_bytes(2, "big") + ip[12:] + udp


def unwrap_message(packet: bytes) -> bytes | None:
    """What is in an IP packet, if it came from a DHCP server.

    The UDP checksum is not looked at: virtual links leave it to hardware that is not there, so it is often wrong.
    """
    if len(packet) < IP_HEAD.size:
        return None
    head = (packet[0] & 0xF) * 4
    total = int.from_bytes(packet[2:4], "big")
    if packet[0] >> 4 != 4 or packet[9] != UDP:
        return None
    if head < IP_HEAD.size or not head + UDP_HEAD.size <= total <= len(packet):
        return None
    source, target, length, _ = UDP_HEAD.unpack_from(packet, head)
    if source != SERVER_PORT or target != CLIENT_PORT or not UDP_HEAD.size <= length <= total - head:
        return None
    return packet[head + UDP_HEAD.size : head + length]


def count_checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return int(~total & 0xFFFF)

"""The wire and the clock for a DHCPv6 client: keeps one link's addresses for as long as it runs.

Unlike IPv4 a host has an address before it asks for one, that of the link, so an ordinary UDP socket will do. It is
there only while an answer is awaited. Answers come from an address of the link, too; others were sent from elsewhere,
by somebody who has nothing to say here.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import math
import socket
from collections.abc import Callable
from typing import NoReturn

from dozen.linux.dhcp6_client import Action, Client, Granted, Lost, Refused, Send, State
from dozen.linux.dhcp6_lease import Lease

SERVER_PORT, CLIENT_PORT = 547, 546
ALL_SERVERS = "ff02::1:2"  # and relays (RFC 8415, 7.1)
RECEIVE_SIZE = 4096


class LeaseKeeper:
    """Obtains and prolongs addresses on ``link``, and says so by calling ``granted`` and ``lost``.

    One object serves a link for its whole life: `run` again after the link was down, and it asks whether the addresses
    are still good.
    """

    def __init__(
        self,
        link: str,
        client: Client,
        granted: Callable[[Lease], None],
        lost: Callable[[str], None],
        *,
        log: logging.Logger,
    ) -> None:
        self._link = link
        self._client = client
        self._granted = granted
        self._lost = lost
        self._log = log
        self._socket: socket.socket | None = None

    async def run(self) -> NoReturn:
        """Keep the addresses until cancelled; raises OSError when the link goes away."""
        loop = asyncio.get_running_loop()
        try:
            self._perform(self._client.start(loop.time()))
            while True:
                heard = await self._wait(loop)
                now = loop.time()
                self._perform(self._client.expire(now) if heard is None else self._client.receive(*heard, now))
        finally:
            self._close()

    def decline(self, address: str) -> None:
        """Another host has this address; to be told while `run` does not run."""
        self._perform(self._client.decline(address, asyncio.get_running_loop().time()))

    async def _wait(self, loop: asyncio.AbstractEventLoop) -> tuple[bytes, str] | None:
        """The next message and who sent it, or None when the client's deadline comes first."""
        timeout = None if math.isinf(self._client.deadline) else max(0.0, self._client.deadline - loop.time())
        if self._client.state is State.BOUND:
            self._close()
        if self._socket is None:
            await (asyncio.sleep(timeout) if timeout is not None else loop.create_future())
            return None
        try:
            async with asyncio.timeout(timeout):
                while True:
                    data, sender = await loop.sock_recvfrom(self._socket, RECEIVE_SIZE)
                    if is_server(sender):
                        return data, sender[0].partition("%")[0]
        except TimeoutError:
            return None

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Granted):
                addresses = ",".join(each.address for each in action.lease.addresses)
                self._log.info("dhcpv6 lease link=%s addresses=%s", self._link, addresses)
                self._granted(action.lease)
            elif isinstance(action, Lost):
                self._log.warning("dhcpv6 lease lost link=%s reason=%s", self._link, action.reason)
                self._lost(action.reason)
            elif isinstance(action, Refused):
                self._log.warning("dhcpv6 refused link=%s reason=%s", self._link, action.reason)
            else:
                self._send(action)

    def _send(self, action: Send) -> None:
        """Send, or let it be: what the network refuses now is sent again at the next deadline."""
        try:
            if self._socket is None:
                self._socket = open_socket(self._link)
            self._socket.sendto(action.message, (ALL_SERVERS, SERVER_PORT))
        except OSError as error:
            if error.errno in (errno.ENODEV, errno.ENXIO):
                raise
            self._log.warning("dhcpv6 send failed link=%s error=%s", self._link, error)

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def open_socket(link: str) -> socket.socket:
    """A UDP socket for a client on one link; raises OSError."""
    opened = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    with contextlib.ExitStack() as stack:
        stack.callback(opened.close)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode() + b"\0")
        opened.bind(("::", CLIENT_PORT))
        stack.pop_all()
    return opened


def is_server(sender: tuple[str, int] | tuple[str, int, int, int]) -> bool:
    """Whether a message came from an address of the link."""
    return sender[0].lower().startswith("fe80:")

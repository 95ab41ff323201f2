"""apid: the node's door. Lets callers in over mutual TLS, says who they are, and passes their calls on.

It decides three things for a call: who is calling (`apid_callers`), where it goes (`apid_routing`), and what machined
or the other node is told about the caller (metadata ``talos-role``, which no caller can set for itself). It decides
nothing about what a caller may do, and it reads no message: machined does both. So it needs no rights, and has none.
"""

from __future__ import annotations

import logging
import socket
import weakref

from dozen.machinery.roles import METADATA_KEY, Role
from dozen.node import doors
from dozen.node.apid_aggregation import aggregate
from dozen.node.apid_callers import effective_roles, read_roles
from dozen.node.apid_credentials import Credentials
from dozen.node.apid_routing import LOCAL, check_target, choose_route, is_streamed
from dozen.rpc.client import Channel
from dozen.rpc.clientcall import ClientCall
from dozen.rpc.limits import KIB, MIB, Limits
from dozen.rpc.proxy import forward, forwarded_fields
from dozen.rpc.servercall import Peer, ServerCall

DIRECTORY = "/system/run/apid"
MACHINE_SOCKET = "/system/run/machined/machine.sock"
PORT = 50000

# machined is away for a moment when it starts; callers wait so long before they hear that it is.
_MACHINED_PATIENCE = 5.0
# Channels to other nodes that are kept open; above it those without calls go.
_KEPT_CHANNELS = 32
# What a call to one node must not carry to the next.
_ROUTING_NAMES = ("node", "nodes", "proxyfrom", METADATA_KEY)

# Who watches a thousand resources does so on one connection. An idle connection takes 52 KB, a call that waits 8.
# Requests are small, so windows are: what strangers can make us hold is their number times these.
LIMITS = {
    "stream_window": 64 * KIB,
    "connection_window": 256 * KIB,
    "max_streams": 1024,
    "max_calls": 2048,
    "max_connections": 512,
    "max_per_address": 256,
    "unread_budget": 16 * MIB,
}
# Answers that wait for slow readers; of all calls to machined and to other nodes together.
_ANSWER_WINDOW, _ANSWER_BUDGET = 128 * KIB, 48 * MIB


class Apid:
    """The handler of every call, with the channels that it forwards to."""

    def __init__(
        self,
        credentials: Credentials,
        log: logging.Logger,
        *,
        machine_socket: str = MACHINE_SOCKET,
        remote_port: int = PORT,
        machined_patience: float = _MACHINED_PATIENCE,
    ) -> None:
        self._credentials = credentials
        self._log = log
        self._remote_port = remote_port
        self._limits = Limits(stream_window=_ANSWER_WINDOW, unread_budget=_ANSWER_BUDGET)
        self._machined = Channel(
            f"unix:{machine_socket}", wait=machined_patience, max_connections=16, name="machined", limits=self._limits
        )
        self._remotes: dict[tuple[str, int], Channel] = {}
        # A connection's roles are read from its certificate once.
        self._roles: weakref.WeakKeyDictionary[Peer, tuple[str, ...]] = weakref.WeakKeyDictionary()

    async def __call__(self, call: ServerCall) -> None:
        roles = self._caller_roles(call)
        route = LOCAL
        if not self._credentials.maintenance:
            can_forward = self._credentials.can_forward
            route = choose_route(call.path, call.metadata, can_forward=can_forward, is_local=is_own_name)
        if route == LOCAL:
            # Somebody without roles is told as such: a caller who says nothing about roles is a program of the node
            # itself.
            told = [(METADATA_KEY, role) for role in roles or ("",)]
            await forward(call, self._machined, forwarded_fields(call, (METADATA_KEY,), told))
        elif route.many:
            await aggregate(
                call, route.targets, is_streamed(call.path), lambda target: self._open_remote(call, target, roles)
            )
        else:
            channel = await self._remote(route.targets[0])
            await forward(call, channel, self._remote_fields(call, roles))

    async def close(self) -> None:
        for channel in (self._machined, *self._remotes.values()):
            await channel.close()

    def _caller_roles(self, call: ServerCall) -> tuple[str, ...]:
        peer = call.peer
        own = self._roles.get(peer)
        if own is None:
            chain = peer.chain if peer.certificate is not None else ()
            if not chain:
                # Asked anew for each call: whoever came in during maintenance must not stay in afterwards.
                self._credentials.refresh()
                if self._credentials.maintenance:
                    return (Role.READER.value,)
            own = self._roles[peer] = read_roles(chain)
        return effective_roles(own, call.metadata.all(METADATA_KEY))

    def _remote_fields(self, call: ServerCall, roles: tuple[str, ...]) -> list[tuple[bytes, bytes]]:
        told = [("proxyfrom", call.authority or "unknown"), *((METADATA_KEY, role) for role in roles)]
        return forwarded_fields(call, _ROUTING_NAMES, told)

    async def _open_remote(self, call: ServerCall, target: str, roles: tuple[str, ...]) -> ClientCall:
        channel = await self._remote(target)
        return await channel.start(call.path, self._remote_fields(call, roles), call.time_left)

    async def _remote(self, target: str) -> Channel:
        """The channel to another node, with the present certificate."""
        host = check_target(target)
        key = (host, self._credentials.generation)
        channel = self._remotes.get(key)
        if channel is None:
            await self._drop_idle()
            address = f"[{host}]:{self._remote_port}" if ":" in host else f"{host}:{self._remote_port}"
            channel = Channel(address, tls=self._credentials.client, server_name=host, limits=self._limits)
            self._remotes[key] = channel
        return channel

    async def _drop_idle(self) -> None:
        """Close channels that nobody uses: those with an old certificate, and the oldest when there are many."""
        idle = [key for key, channel in self._remotes.items() if not channel.busy]
        idle.sort(key=lambda key: self._remotes[key].last_used)
        surplus = len(self._remotes) - _KEPT_CHANNELS + 1
        for position, key in enumerate(idle):
            if position < surplus or key[1] != self._credentials.generation:
                await self._remotes.pop(key).close()


def is_own_name(target: str) -> bool:
    """Whether a target is this very node: its hostname, or one of its addresses."""
    host = target[1:-1] if target[:1] == "[" and target[-1:] == "]" else target
    own = socket.gethostname()
    if host in ("localhost", own, own.partition(".")[0]):
        return True
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        wanted = socket.inet_pton(family, host)
        if family == socket.AF_INET and wanted[0] == 127:
            return True
        # The kernel reaches an address of its own from that very address. (That one can be bound to would say less:
        # with the parameter ip_nonlocal_bind, any can.) Nothing is sent.
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((host, PORT))
            return socket.inet_pton(family, probe.getsockname()[0]) == wanted
    except OSError:
        return False


async def run() -> int:
    """Serve until SIGTERM. The result is the exit code: 1 when the port cannot be had."""
    return await doors.run("apid", lambda log: Credentials(DIRECTORY, log), Apid, PORT, LIMITS)

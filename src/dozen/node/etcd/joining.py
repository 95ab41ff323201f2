"""Entering a cluster that exists, by way of one of its members."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from dozen.machinery.resources.etcd import EtcdLaunchSpec, EtcdSpec
from dozen.node.etcd.arguments import initial_cluster, peer_urls
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.node.etcd.local import EtcdClients

# Addresses at which other members may be, the likeliest first.
FindPeers = Callable[[], Awaitable[list[str]]]


class Join:
    """The steps of joining; `EtcdMember` takes them."""

    def __init__(self, find_peers: FindPeers) -> None:
        self._find_peers = find_peers
        self._sponsor = ""

    async def find(self, spec: EtcdSpec, clients: EtcdClients) -> str | None:
        """The address of a member that answers and knows a leader; None when there is none now."""
        for address in await self._others(spec):
            async with clients.open(address) as peer:
                try:
                    status = await peer.status()
                except (RpcError, ValueError):
                    continue
            if status.leader and not status.isLearner:
                return address
        return None

    async def enter(self, spec: EtcdSpec, address: str, clients: EtcdClients) -> EtcdLaunchSpec:
        """Have this node added as a learner. Raises RpcError."""
        own = peer_urls(spec)
        self._sponsor = address
        async with clients.open(address) as peer:
            members = await peer.list_members()
            known = next((each for each in members if set(each.peerURLs) & set(own)), None)
            if known is not None and known.name:
                # A member with this address has been here and has lost its data: it can never come back as it was.
                await peer.remove_member(known.ID)
                known = None
            if known is None:
                known, members = await peer.add_learner(own)
        return EtcdLaunchSpec(initial_cluster=describe_cluster(spec, known.ID, members), state="existing", learner=True)

    async def promote(self, own: int, spec: EtcdSpec, clients: EtcdClients) -> None:
        """Ask members with a vote to give this one its own. RpcError with the last refusal: it is behind, mostly.

        They are looked for as when joining: a learner cannot be asked who the others are.
        """
        refusal = RpcError(Code.UNAVAILABLE, "no member with a vote can be reached")
        for address in await self._others(spec):
            async with clients.open(address) as voter:
                try:
                    await voter.promote(own)
                except RpcError as error:
                    refusal = error
                else:
                    return
        raise refusal

    async def _others(self, spec: EtcdSpec) -> list[str]:
        """Where other members may be: the one that has let this one in, then all that are found now."""
        own = {*spec.advertised_addresses, *spec.listen_client_addresses, "127.0.0.1", "::1"}
        found = dict.fromkeys(([self._sponsor] if self._sponsor else []) + await self._find_peers())
        return [address for address in found if address not in own]


def describe_cluster(spec: EtcdSpec, own: int, members: list[Any]) -> str:
    """All members as etcd's flag wants them. Those that were added and never started have no name: they are left out,
    but for this one."""
    parts = [
        initial_cluster(spec.name if own == member.ID else member.name, member.peerURLs)
        for member in members
        if own == member.ID or member.name
    ]
    return ",".join(parts)

"""A client of etcd's API, over our own gRPC: members, upkeep, and as much of the store as an election takes.

Every question has a deadline: etcd without a majority keeps callers waiting. Errors are `RpcError` with etcd's own
words (``etcdserver: …``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from dozen.machinery.messages import message, method_types
from dozen.node.etcd.arguments import CLIENT_PORT, bracket
from dozen.rpc.client import Channel
from dozen.rpc.limits import MIB, Limits
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    import ssl

PACKAGE = "etcdserverpb"
TIMEOUT = 5.0
# Rewrites the whole database, up to 8 GiB of it.
DEFRAGMENT_TIMEOUT = 300.0
CONNECT_TIMEOUT = 3.0


class EtcdClient:
    """Calls to one member. ``address`` is a host; ``tls`` shows a certificate of etcd's authority."""

    def __init__(self, address: str, tls: ssl.SSLContext, port: int = CLIENT_PORT) -> None:
        limits = Limits(max_streams=0, max_message=16 * MIB)
        self._channel = Channel(
            f"{bracket(address)}:{port}",
            tls=tls,
            server_name=address,
            limits=limits,
            connect_timeout=CONNECT_TIMEOUT,
            name="etcd",
        )

    async def __aenter__(self) -> EtcdClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._channel.close()

    async def ask(self, method: str, *, timeout: float = TIMEOUT, **fields: Any) -> Any:
        """``method`` is ``Service/Method``; ``fields`` are the request's."""
        path = f"/{PACKAGE}.{method}"
        types = method_types(path)
        try:
            return await self._channel.unary(path, types.request(**fields), types.response, timeout=timeout)
        except RpcError as error:
            if error.code is Code.UNAVAILABLE and error.message.startswith("cannot connect"):
                # In words for whoever asked the node for something: it is not the node that cannot be reached.
                raise RpcError(error.code, f"etcd does not answer ({error.message}): see `service etcd`") from None
            raise

    # Members.

    async def list_members(self, *, local: bool = False) -> list[Any]:
        """All members; ``local``: as the asked one sees them, even if it has no majority."""
        return list((await self.ask("Cluster/MemberList", linearizable=not local)).members)

    async def add_learner(self, peer_urls: tuple[str, ...]) -> tuple[Any, list[Any]]:
        """The new member among all."""
        reply = await self.ask("Cluster/MemberAdd", peerURLs=peer_urls, isLearner=True)
        return reply.member, list(reply.members)

    async def promote(self, id: int) -> None:
        """FAILED_PRECONDITION while the learner is behind."""
        await self.ask("Cluster/MemberPromote", ID=id)

    async def remove_member(self, id: int) -> None:
        await self.ask("Cluster/MemberRemove", ID=id)

    async def move_leader(self, id: int) -> None:
        await self.ask("Maintenance/MoveLeader", targetID=id)

    # Upkeep.

    async def status(self) -> Any:
        return await self.ask("Maintenance/Status")

    async def list_alarms(self) -> list[Any]:
        return list((await self.ask("Maintenance/Alarm")).alarms)

    async def clear_alarms(self) -> list[Any]:
        """The alarms that were cleared: all that there were."""
        cleared = []
        for alarm in await self.list_alarms():
            action = message(f"{PACKAGE}.AlarmRequest").DEACTIVATE
            fields = {"action": action, "memberID": alarm.memberID, "alarm": alarm.alarm}
            cleared += (await self.ask("Maintenance/Alarm", **fields)).alarms
        return cleared

    async def defragment(self) -> None:
        await self.ask("Maintenance/Defragment", timeout=DEFRAGMENT_TIMEOUT)

    async def downgrade(self, action: str, version: str = "") -> str:
        """``action``: VALIDATE, ENABLE or CANCEL. Gives the cluster's version."""
        request = message(f"{PACKAGE}.DowngradeRequest")
        reply = await self.ask("Maintenance/Downgrade", action=getattr(request, action), version=version)
        return str(reply.version)

    async def snapshot(self) -> AsyncIterator[bytes]:
        """The database, with its checksum at the end."""
        path = f"/{PACKAGE}.Maintenance/Snapshot"
        types = method_types(path)
        async for part in self._channel.server_stream(path, types.request(), types.response):
            yield part.blob

    # The store.

    async def check_majority(self) -> None:
        """Raise RpcError unless the cluster can agree on something: a read that must not be stale."""
        try:
            await self.ask("KV/Range", timeout=2.0, key=b"health")
        except RpcError as error:
            if error.code is not Code.PERMISSION_DENIED:
                raise

    async def grant_lease(self, seconds: int) -> int:
        return int((await self.ask("Lease/LeaseGrant", TTL=seconds)).ID)

    async def revoke_lease(self, id: int) -> None:
        await self.ask("Lease/LeaseRevoke", ID=id)

    async def renew_lease(self, id: int, timeout: float = TIMEOUT) -> int:
        """Seconds that the lease has left; 0 when it is over."""
        path = f"/{PACKAGE}.Lease/LeaseKeepAlive"
        types = method_types(path)
        async with self._channel.call(path, timeout=timeout) as call:
            await call.send(types.request(ID=id).SerializeToString())
            reply = await call.recv()
        return int(types.response.FromString(reply).TTL) if reply is not None else 0

    async def get(self, key: str) -> str:
        """A key's value; empty when it is not there."""
        found = (await self.ask("KV/Range", key=key.encode())).kvs
        return str(found[0].value.decode(errors="replace")) if found else ""

    async def create(self, key: str, value: str, lease: int) -> tuple[bool, str]:
        """Put the key unless it is there already. Gives whether it was put, and the value that is there now."""
        missing = {"result": "EQUAL", "target": "VERSION", "key": key.encode(), "version": 0}
        put = {"request_put": {"key": key.encode(), "value": value.encode(), "lease": lease}}
        get = {"request_range": {"key": key.encode()}}
        reply = await self.ask("KV/Txn", compare=[missing], success=[put], failure=[get])
        if reply.succeeded:
            return True, value
        found = reply.responses[0].response_range.kvs
        return False, found[0].value.decode(errors="replace") if found else ""

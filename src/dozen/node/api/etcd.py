"""etcd over the API: making the cluster, looking after its members, taking and receiving snapshots.

Everything here is about the member on this node, which asks the others if it has to. A worker has none and says so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from dozen.machinery.messages import message
from dozen.rpc.router import Router
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.node.api.ports import Etcd, Machine
    from dozen.node.etcd.client import EtcdClient
    from dozen.rpc.servercall import ServerCall

SERVICE = "/machine.MachineService"
EMPTY = "google.protobuf.Empty"


def register(router: Router, machine: Machine) -> None:
    """Serve the calls of this theme."""
    theme = Theme(machine)
    unary = (
        ("Bootstrap", "machine.BootstrapRequest", theme.bootstrap),
        ("EtcdMemberList", "machine.EtcdMemberListRequest", theme.list_members),
        ("EtcdStatus", EMPTY, theme.status),
        ("EtcdAlarmList", EMPTY, theme.list_alarms),
        ("EtcdAlarmDisarm", EMPTY, theme.clear_alarms),
        ("EtcdDefragment", EMPTY, theme.defragment),
        ("EtcdLeaveCluster", "machine.EtcdLeaveClusterRequest", theme.leave),
        ("EtcdRemoveMemberByID", "machine.EtcdRemoveMemberByIDRequest", theme.remove_member),
        ("EtcdForfeitLeadership", "machine.EtcdForfeitLeadershipRequest", theme.forfeit_leadership),
        ("EtcdDowngradeValidate", "machine.EtcdDowngradeValidateRequest", theme.validate_downgrade),
        ("EtcdDowngradeEnable", "machine.EtcdDowngradeEnableRequest", theme.enable_downgrade),
        ("EtcdDowngradeCancel", EMPTY, theme.cancel_downgrade),
    )
    for method, request, function in unary:
        router.unary(f"{SERVICE}/{method}", request, function)
    router.stream(f"{SERVICE}/EtcdSnapshot", "machine.EtcdSnapshotRequest", theme.snapshot)
    router.bidi(f"{SERVICE}/EtcdRecover", theme.recover)


class Theme:
    """The handlers."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def _member(self, what: str) -> Etcd:
        """This node's member. UNIMPLEMENTED on a worker, FAILED_PRECONDITION before the node could have one."""
        config: Any = self._machine.config
        if config is None or not config.is_complete:
            raise RpcError(Code.FAILED_PRECONDITION, "this node has no configuration yet: apply one first")
        if config.machine_type != "controlplane":
            raise RpcError(Code.UNIMPLEMENTED, f"{what} only available on control plane nodes")
        if self._machine.etcd is None:
            raise RpcError(Code.FAILED_PRECONDITION, "this node is booting: try again in a moment")
        return self._machine.etcd

    def _client(self) -> EtcdClient:
        return self._member("etcd is").local

    async def bootstrap(self, call: object, request: Any) -> Any:
        member = self._member("bootstrap is")
        await member.bootstrap(recover=request.recover_etcd, skip_hash_check=request.recover_skip_hash_check)
        return message("machine.BootstrapResponse")(messages=[{}])

    # -- Members.

    async def list_members(self, call: object, request: Any) -> Any:
        members = await self._client().list_members(local=request.query_local)
        answer = {
            "legacy_members": [each.name for each in members],
            "members": [
                {
                    "id": each.ID,
                    "hostname": each.name,
                    "peer_urls": each.peerURLs,
                    "client_urls": each.clientURLs,
                    "is_learner": each.isLearner,
                }
                for each in members
            ],
        }
        return message("machine.EtcdMemberListResponse")(messages=[answer])

    async def leave(self, call: object, request: Any) -> Any:
        await self._member("etcd is").leave()
        return message("machine.EtcdLeaveClusterResponse")(messages=[{}])

    async def remove_member(self, call: object, request: Any) -> Any:
        client = self._client()
        if not any(request.member_id == each.ID for each in await client.list_members()):
            raise RpcError(Code.NOT_FOUND, f"etcd has no member {request.member_id:016x}")
        if (await client.status()).header.member_id == request.member_id:
            raise RpcError(Code.INVALID_ARGUMENT, "that is this node's own member: use EtcdLeaveCluster")
        await client.remove_member(request.member_id)
        return message("machine.EtcdRemoveMemberByIDResponse")(messages=[{}])

    async def forfeit_leadership(self, call: object, request: Any) -> Any:
        name = await self._member("etcd is").hand_over()
        return message("machine.EtcdForfeitLeadershipResponse")(messages=[{"member": name}])

    # -- Upkeep.

    async def status(self, call: object, request: Any) -> Any:
        found = await self._client().status()
        status = {
            "member_id": found.header.member_id,
            "protocol_version": found.version,
            "storage_version": found.storageVersion,
            "db_size": found.dbSize,
            "db_size_in_use": found.dbSizeInUse,
            "leader": found.leader,
            "raft_index": found.raftIndex,
            "raft_term": found.raftTerm,
            "raft_applied_index": found.raftAppliedIndex,
            "errors": found.errors,
            "is_learner": found.isLearner,
        }
        return message("machine.EtcdStatusResponse")(messages=[{"member_status": status}])

    async def list_alarms(self, call: object, request: Any) -> Any:
        alarms = _alarms(await self._client().list_alarms())
        return message("machine.EtcdAlarmListResponse")(messages=[{"member_alarms": alarms}])

    async def clear_alarms(self, call: object, request: Any) -> Any:
        alarms = _alarms(await self._client().clear_alarms())
        return message("machine.EtcdAlarmDisarmResponse")(messages=[{"member_alarms": alarms}])

    async def defragment(self, call: object, request: Any) -> Any:
        await self._client().defragment()
        return message("machine.EtcdDefragmentResponse")(messages=[{}])

    async def validate_downgrade(self, call: object, request: Any) -> Any:
        return await self._downgrade("Validate", request.version)

    async def enable_downgrade(self, call: object, request: Any) -> Any:
        return await self._downgrade("Enable", request.version)

    async def cancel_downgrade(self, call: object, request: Any) -> Any:
        return await self._downgrade("Cancel")

    async def _downgrade(self, action: str, version: str = "") -> Any:
        cluster = await self._client().downgrade(action.upper(), version)
        answer = {"cluster_downgrade": {"cluster_version": cluster}}
        return message(f"machine.EtcdDowngrade{action}Response")(messages=[answer])

    # -- Snapshots.

    async def snapshot(self, call: object, request: Any) -> AsyncIterator[Any]:
        data = message("common.Data")
        async for part in self._client().snapshot():
            yield data(bytes=part)

    async def recover(self, call: ServerCall) -> None:
        member = self._member("etcd is")
        await member.receive_snapshot(_read_chunks(call))
        await call.send(message("machine.EtcdRecoverResponse")(messages=[{}]).SerializeToString())


async def _read_chunks(call: ServerCall) -> AsyncIterator[bytes]:
    data = message("common.Data")
    while (part := await call.recv()) is not None:
        yield data.FromString(part).bytes


def _alarms(alarms: list[Any]) -> list[dict[str, int]]:
    return [{"member_id": each.memberID, "alarm": each.alarm} for each in alarms]

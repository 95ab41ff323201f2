"""Reset: end this boot, and make the machine forget before the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dozen.machinery.messages import enum, message
from dozen.machinery.resources import etcd as kinds
from dozen.node.ending import Ending
from dozen.node.wiping import ResetWish, collect_facts, plan_reset
from dozen.rpc.router import Router
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.node.api.ports import Machine


def register(router: Router, machine: Machine) -> None:
    """Serve the calls of this theme."""

    async def reset(call: object, request: Any) -> Any:
        wish = ResetWish(
            enum("machine.ResetRequest.WipeMode").Name(request.mode),
            tuple((each.label, each.wipe) for each in request.system_partitions_to_wipe),
            tuple(request.user_disks_to_wipe),
        )
        wipes = plan_reset(collect_facts(machine.store), wish)
        if request.graceful:
            await check_leaving(machine)
        actor_id = machine.events.new_id()
        if not machine.request_ending(Ending("reset", actor_id, not request.graceful, tuple(wipes), request.reboot)):
            raise RpcError(Code.FAILED_PRECONDITION, "the machine is going down already")
        return message("machine.ResetResponse")(messages=[{"actor_id": actor_id}])

    router.unary("/machine.MachineService/Reset", "machine.ResetRequest", reset)


async def check_leaving(machine: Machine) -> None:
    """A graceful reset takes the node out of etcd first. Raises FAILED_PRECONDITION where nobody would be left."""
    if machine.etcd is None or machine.store.find(kinds.ETCD_MEMBER, kinds.LOCAL) is None:
        return
    members = await machine.etcd.local.list_members()
    if sum(not each.isLearner for each in members) < 2:
        raise RpcError(
            Code.FAILED_PRECONDITION,
            "this is etcd's only member with a vote, and the cluster would end with it: reset it without graceful",
        )

"""Ending this boot, and the values that outlive it: Reboot, Shutdown, MetaWrite and MetaDelete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dozen.machinery.messages import enum, message
from dozen.node.ending import Ending
from dozen.rpc.router import Router
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.node.api.ports import Machine

SERVICE = "/machine.MachineService"
_HIGHEST_KEY = 255


def register(router: Router, machine: Machine) -> None:
    """Serve the calls of this theme."""

    async def reboot(call: object, request: Any) -> Any:
        force = request.mode == enum("machine.RebootRequest.Mode").FORCE
        return message("machine.RebootResponse")(messages=[{"actor_id": _end(machine, "reboot", force)}])

    async def shutdown(call: object, request: Any) -> Any:
        actor_id = _end(machine, "shutdown", request.force)
        return message("machine.ShutdownResponse")(messages=[{"actor_id": actor_id}])

    async def meta_write(call: object, request: Any) -> Any:
        key = _check_key(request.key)
        try:
            await machine.meta.set(key, request.value)
        except OSError as error:
            raise _no_meta(error) from None
        return message("machine.MetaWriteResponse")(messages=[{}])

    async def meta_delete(call: object, request: Any) -> Any:
        key = _check_key(request.key)
        try:
            found = await machine.meta.delete(key)
        except OSError as error:
            raise _no_meta(error) from None
        if not found:
            raise RpcError(Code.NOT_FOUND, f"META has no value with key {key}")
        return message("machine.MetaDeleteResponse")(messages=[{}])

    router.unary(f"{SERVICE}/Reboot", "machine.RebootRequest", reboot)
    router.unary(f"{SERVICE}/Shutdown", "machine.ShutdownRequest", shutdown)
    router.unary(f"{SERVICE}/MetaWrite", "machine.MetaWriteRequest", meta_write)
    router.unary(f"{SERVICE}/MetaDelete", "machine.MetaDeleteRequest", meta_delete)


def _end(machine: Machine, kind: str, force: bool) -> str:
    """Begin the end; the id is how the caller recognizes the events that belong to it."""
    actor_id = machine.events.new_id()
    if not machine.request_ending(Ending(kind, actor_id, force)):
        raise RpcError(Code.FAILED_PRECONDITION, "the machine is going down already")
    return actor_id


def _check_key(key: int) -> int:
    if key > _HIGHEST_KEY:
        raise RpcError(Code.INVALID_ARGUMENT, f"META keys are 0 to {_HIGHEST_KEY}, not {key}")
    return key


def _no_meta(error: OSError) -> RpcError:
    return RpcError(Code.UNAVAILABLE, f"META cannot be written: {error.strerror or error}")

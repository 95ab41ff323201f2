"""What waits for installing to a disk: Install, Upgrade and Rollback check what they are asked, and refuse.

A request that is wrong is told so in the words that it will get then; one that is right is told what is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from dozen.machinery.resources import block
from dozen.node.api.absent import explain
from dozen.node.api.images import find_containerd
from dozen.rpc.router import Router
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dozen.node.api.ports import Machine

LIFECYCLE, MACHINE = "/machine.LifecycleService", "/machine.MachineService"


def register(router: Router, machine: Machine) -> None:
    """Serve the calls of this theme."""

    async def install(call: object, request: Any) -> AsyncIterator[Any]:
        check_source(request)
        disk = request.destination.disk
        if not disk:
            raise RpcError(Code.INVALID_ARGUMENT, "say which disk to install to")
        found = [each.spec for each in machine.store.list(block.DISK)]
        if not any(disk in (spec.dev_path, *spec.symlinks) for spec in found):
            raise RpcError(Code.NOT_FOUND, f'there is no disk "{disk}": `get disks` lists them')
        refuse(f"{LIFECYCLE}/Install")
        yield

    async def upgrade(call: object, request: Any) -> AsyncIterator[Any]:
        check_source(request)
        refuse(f"{LIFECYCLE}/Upgrade")
        yield

    async def upgrade_as_before(call: object, request: Any) -> Any:
        if not request.image:
            raise RpcError(Code.INVALID_ARGUMENT, "say which image to upgrade to")
        refuse(f"{MACHINE}/Upgrade")

    async def rollback(call: object, request: Any) -> Any:
        refuse(f"{MACHINE}/Rollback")

    router.stream(f"{LIFECYCLE}/Install", "machine.LifecycleServiceInstallRequest", install)
    router.stream(f"{LIFECYCLE}/Upgrade", "machine.LifecycleServiceUpgradeRequest", upgrade)
    router.unary(f"{MACHINE}/Upgrade", "machine.UpgradeRequest", upgrade_as_before)
    router.unary(f"{MACHINE}/Rollback", "machine.RollbackRequest", rollback)


def check_source(request: Any) -> None:
    """What both calls of the newer service are told alike. Raises INVALID_ARGUMENT."""
    find_containerd(request.containerd)
    if not request.source.image_name:
        raise RpcError(Code.INVALID_ARGUMENT, "say which image to install from")


def refuse(path: str) -> NoReturn:
    """The refusal of a request that is well formed."""
    raise RpcError(Code.UNIMPLEMENTED, explain(path))

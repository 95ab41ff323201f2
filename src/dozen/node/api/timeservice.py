"""The node's clock beside a time server's. Nothing is set."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from dozen.linux import ntp
from dozen.machinery.messages import message
from dozen.machinery.resources.network import TIME_SERVER_STATUS
from dozen.node.api.services import stamp
from dozen.rpc.router import Router
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.node.api.ports import Machine

SERVICE = "/time.TimeService"


def register(router: Router, machine: Machine) -> None:
    """Serve the calls of this theme."""

    async def compare_with_own(call: object, request: Any) -> Any:
        servers = [server for status in machine.store.list(TIME_SERVER_STATUS) for server in status.spec.time_servers]
        if not servers:
            raise RpcError(Code.FAILED_PRECONDITION, "no time server is configured on this node")
        return await compare(servers[0])

    async def compare_with_named(call: object, request: Any) -> Any:
        if not request.server:
            raise RpcError(Code.INVALID_ARGUMENT, "say which time server to compare with")
        return await compare(request.server)

    router.unary(f"{SERVICE}/Time", "google.protobuf.Empty", compare_with_own)
    router.unary(f"{SERVICE}/TimeCheck", "time.TimeRequest", compare_with_named)


async def compare(server: str) -> Any:
    """Both clocks at one moment."""
    try:
        addresses = await ntp.resolve(server)
        sample = await ntp.ask(addresses[0])
    except (ntp.NoAnswer, ntp.KissOfDeath) as error:
        raise RpcError(Code.UNAVAILABLE, f"cannot ask time server {server}: {error}") from None
    now = time.time()
    values = {"server": server, "localtime": stamp(now), "remotetime": stamp(now + sample.offset)}
    return message("time.TimeResponse")(messages=[values])

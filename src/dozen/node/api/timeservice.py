"""The node's clock beside a time server's. Nothing is set."""

from __future__ import annotations

import time
from typing import Any

from dozen.machinery.messages import message
from dozen.node.api.ports import Machine
from dozen.node.api.services import stamp
from dozen.rpc.router import Router
from dozen.rpc.status import Code, RpcError

SERVICE = "/time.TimeService"


def register(router: Router, machine: Machine) -> None:
    """Serve the calls of this theme."""

    async def compare_with_own(call: object, request: Any) -> Any:
        servers = machine.time_servers
        if not servers:
            raise RpcError(Code.FAILED_PRECONDITION, "no time server is configured on this node")
        return await compare(machine, servers[0])

    async def compare_with_named(call: object, request: Any) -> Any:
        if not request.server:
            raise RpcError(Code.INVALID_ARGUMENT, "say which time server to compare with")
        return await compare(machine, request.server)

    router.unary(f"{SERVICE}/Time", "google.protobuf.Empty", compare_with_own)
    router.unary(f"{SERVICE}/TimeCheck", "time.TimeRequest", compare_with_named)


async def compare(machine: Machine, server: str) -> Any:
    """Both clocks at one moment."""
    try:
        remote = await machine.ask_time(server)
    except (OSError, TimeoutError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "no answer in time"
        raise RpcError(Code.UNAVAILABLE, f"cannot ask time server {server}: {reason}") from None
    values = {"server": server, "localtime": stamp(time.time()), "remotetime": stamp(remote)}
    return message("time.TimeResponse")(messages=[values])

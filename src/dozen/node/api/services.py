"""Services: ServiceList, ServiceStart, ServiceStop and ServiceRestart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dozen.machinery.messages import message
from dozen.node.services.supervisor import ServiceError
from dozen.rpc.router import Router
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.node.api.ports import Machine, Service

SERVICE = "/machine.MachineService"
NANOSECONDS = 1_000_000_000


def register(router: Router, machine: Machine) -> None:
    """Serve the calls of this theme."""

    async def service_list(call: object, request: Any) -> Any:
        services = [describe_service(service) for service in machine.services.list()]
        return message("machine.ServiceListResponse")(messages=[{"services": services}])

    async def start(call: object, request: Any) -> Any:
        return await _change(machine, "Start", "started", request.id)

    async def stop(call: object, request: Any) -> Any:
        return await _change(machine, "Stop", "stopped", request.id)

    async def restart(call: object, request: Any) -> Any:
        return await _change(machine, "Restart", "restarted", request.id)

    router.unary(f"{SERVICE}/ServiceList", "google.protobuf.Empty", service_list)
    router.unary(f"{SERVICE}/ServiceStart", "machine.ServiceStartRequest", start)
    router.unary(f"{SERVICE}/ServiceStop", "machine.ServiceStopRequest", stop)
    router.unary(f"{SERVICE}/ServiceRestart", "machine.ServiceRestartRequest", restart)


def describe_service(service: Service) -> dict[str, Any]:
    """A service as fields of machine.ServiceInfo."""
    health = service.health
    described: dict[str, Any] = {
        "id": service.id,
        "state": str(service.state),
        "events": {
            "events": [
                {"msg": event.message, "state": str(event.state), "ts": stamp(event.timestamp)}
                for event in service.events
            ]
        },
        "health": {"unknown": health.unknown, "healthy": health.healthy, "last_message": health.last_message},
    }
    if health.last_change:
        described["health"]["last_change"] = stamp(health.last_change)
    return described


def stamp(seconds: float) -> dict[str, int]:
    """Seconds since the epoch as fields of google.protobuf.Timestamp."""
    whole, fraction = divmod(round(seconds * NANOSECONDS), NANOSECONDS)
    return {"seconds": whole, "nanos": fraction}


async def _change(machine: Machine, verb: str, done: str, id: str) -> Any:
    try:
        await getattr(machine.services, verb.lower())(id)
    except ServiceError as error:
        known = any(service.id == id for service in machine.services.list())
        raise RpcError(Code.FAILED_PRECONDITION if known else Code.NOT_FOUND, str(error)) from None
    return message(f"machine.Service{verb}Response")(messages=[{"resp": f'Service "{id}" {done}'}])

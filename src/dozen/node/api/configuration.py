"""The machine's configuration over the API, and configurations for its clients: ApplyConfiguration,
GenerateClientConfiguration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dozen.machinery.messages import enum, message
from dozen.node import configuration
from dozen.rpc.router import Router
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.machinery.config import Config
    from dozen.node.api.ports import Machine

SERVICE = "/machine.MachineService"
TRIAL_SECONDS = 60.0
_CODES = {
    configuration.Invalid: Code.INVALID_ARGUMENT,
    configuration.NotNow: Code.FAILED_PRECONDITION,
    configuration.NotSupported: Code.UNIMPLEMENTED,
}


def register(router: Router, machine: Machine) -> None:
    """Serve the calls of this theme."""

    async def apply(call: object, request: Any) -> Any:
        modes = enum("machine.ApplyConfigurationRequest.Mode")
        if request.mode not in modes.values():
            raise RpcError(Code.INVALID_ARGUMENT, f"there is no mode {request.mode}")
        seconds = request.try_mode_timeout.seconds + request.try_mode_timeout.nanos / 1e9
        try:
            done = await machine.configuration.apply(
                _text(request.data), modes.Name(request.mode), dry_run=request.dry_run, seconds=seconds or TRIAL_SECONDS
            )
        except configuration.Refusal as refusal:
            raise RpcError(_CODES[type(refusal)], str(refusal)) from None
        answer = {"warnings": list(done.warnings), "mode": modes.Value(done.mode), "mode_details": done.details}
        return message("machine.ApplyConfigurationResponse")(messages=[answer])

    async def generate(call: object, request: Any) -> Any:
        # A certificate's times are whole seconds; a part of one is not "no time given", which is 0.
        seconds = request.crt_ttl.seconds + bool(request.crt_ttl.nanos)
        answer = make_client_configuration(_config(machine), list(request.roles), seconds)
        return message("machine.GenerateClientConfigurationResponse")(messages=[answer])

    router.unary(f"{SERVICE}/ApplyConfiguration", "machine.ApplyConfigurationRequest", apply)
    router.unary(f"{SERVICE}/GenerateClientConfiguration", "machine.GenerateClientConfigurationRequest", generate)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise RpcError(Code.INVALID_ARGUMENT, f"the configuration is not UTF-8: {error}") from None


def _config(machine: Machine) -> Config:
    from dozen.machinery.config import Config

    if not isinstance(machine.config, Config):
        raise RpcError(Code.FAILED_PRECONDITION, "the node has no configuration yet")
    return machine.config


def make_client_configuration(config: Config, roles: list[str], seconds: int) -> dict[str, bytes]:
    """Certificate, key and a client's configuration for these roles; for a year when no time is given."""
    from dozen.machinery import pki, talosconfig
    from dozen.machinery.config import effective
    from dozen.machinery.config.clients import client_config

    issuer = effective.issuing_ca(config)
    if issuer is None:
        raise RpcError(Code.FAILED_PRECONDITION, "only control plane nodes have the key that signs for clients")
    if not roles:
        raise RpcError(Code.INVALID_ARGUMENT, "at least one role is needed, os:reader for one")
    if seconds < 0:
        raise RpcError(Code.INVALID_ARGUMENT, "the certificate's lifetime must be positive")
    name = effective.cluster_name(config) or "default"
    made = client_config(name, issuer, roles=roles, lifetime=seconds or pki.ADMIN_LIFETIME)
    context = made.select()
    return {
        "ca": context.ca.encode(),
        "crt": context.crt.encode(),
        "key": context.key.encode(),
        "talosconfig": talosconfig.render(made).encode(),
    }

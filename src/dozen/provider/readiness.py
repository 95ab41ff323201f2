"""From machines that answer to a cluster that works, one step after the other, each with its time.

etcd is told to begin (once, on the first control plane), then the Kubernetes API answers, then every node is Ready,
then names are resolved. Whoever waits in vain is told what the nodes themselves say that they wait for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from dozen.client.kubernetes import Kubernetes, KubernetesError
from dozen.machinery import kubeconfig, yaml
from dozen.machinery.kubernetes.objects import is_true
from dozen.machinery.messages import method_types
from dozen.machinery.talosconfig import Context
from dozen.provider.access import open_channel
from dozen.provider.console import last_lines, read_console
from dozen.provider.machines import Machine, OpenStep, ProviderError, Report, reported
from dozen.provider.waiting import NotYetError
from dozen.rpc.client import Channel
from dozen.rpc.status import Code, RpcError

ValueT = TypeVar("ValueT")

MACHINE = "/machine.MachineService/"
ASK_EVERY = 1.0
NOTE_EVERY = 5.0
CALL_SECONDS = 20.0
STEP_SECONDS = 900.0
"""For each step. Under emulation, with several machines on few cores, some take minutes."""
LATER = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.CANCELLED, Code.FAILED_PRECONDITION, Code.NOT_FOUND)

NODES = "/api/v1/nodes"
DNS = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"


class Bringing:
    """Bringing up one cluster. ``machines`` are its machines with their roles known to the caller; the first one is
    the control plane that is asked."""

    def __init__(self, context: Context, machines: Sequence[Machine], report: Report) -> None:
        self.context, self.machines, self.report = context, machines, report

    async def bootstrap(self) -> None:
        """Tells etcd on the first control plane to begin. That it has begun already is fine."""
        with reported("bootstrap", self.report) as step:
            step.result(await self._until(self._bootstrap, step))

    async def etcd(self) -> None:
        with reported("etcd", self.report) as step:
            step.result(await self._until(lambda: self._healthy("etcd"), step))

    async def api(self, server: str) -> dict[str, Any]:
        """Waits until the Kubernetes API says that it is ready; gives the administrator's configuration for it, with
        ``server`` as its address."""
        with reported("Kubernetes API", self.report) as step:
            config = kubeconfig.with_server(await self._until(self._kubeconfig, step), server)
            client = Kubernetes(kubeconfig.selected(config))
            await self._until(lambda: asyncio.to_thread(ask_ready, client), step)
            step.result(f"{server} is ready")
        return config

    async def nodes(self, client: Kubernetes, names: Sequence[str]) -> None:
        with reported("nodes", self.report) as step:
            step.result(await self._until(lambda: asyncio.to_thread(ask_nodes, client, names), step))

    async def dns(self, client: Kubernetes) -> None:
        with reported("CoreDNS", self.report) as step:
            step.result(await self._until(lambda: asyncio.to_thread(ask_dns, client), step))

    async def _bootstrap(self) -> str:
        types = method_types(MACHINE + "Bootstrap")
        async with open_channel(self.machines[0].address, self.context) as channel:
            try:
                await channel.unary(MACHINE + "Bootstrap", types.request(), types.response, timeout=CALL_SECONDS)
            except RpcError as error:
                if error.code == Code.ALREADY_EXISTS:
                    return "etcd had been told to begin before"
                raise
        return f"etcd begins on {self.machines[0].name}"

    async def _healthy(self, name: str) -> str:
        async with open_channel(self.machines[0].address, self.context) as channel:
            for service in await services(channel):
                if service.id == name:
                    if service.health.healthy:
                        return f"healthy on {self.machines[0].name}"
                    raise NotYetError(describe_service(service))
        raise NotYetError(f"there is no service {name}")

    async def _kubeconfig(self) -> dict[str, Any]:
        types = method_types(MACHINE + "Kubeconfig")
        async with open_channel(self.machines[0].address, self.context) as channel:
            parts = channel.server_stream(MACHINE + "Kubeconfig", types.request(), types.response, timeout=CALL_SECONDS)
            archive = b"".join([part.bytes async for part in parts])
        try:
            return kubeconfig.parse(kubeconfig.unpack_kubeconfig(archive), "the node's kubeconfig")
        except kubeconfig.KubeconfigError as error:
            raise NotYetError(str(error)) from None

    async def _until(self, ask: Callable[[], Awaitable[ValueT]], step: OpenStep) -> ValueT:
        """Asks until there is an answer. Raises ProviderError with what the nodes say when time is up."""
        deadline = time.monotonic() + STEP_SECONDS
        noted, reason = time.monotonic(), ""
        while time.monotonic() < deadline:
            try:
                return await ask()
            except NotYetError as error:
                now = str(error)
            except RpcError as error:
                if error.code not in LATER:
                    raise
                now = error.message
            except OSError as error:
                now = str(error) or type(error).__name__
            if now != reason and time.monotonic() - noted >= NOTE_EVERY:
                step.note(now)
                noted = time.monotonic()
            reason = now
            await asyncio.sleep(ASK_EVERY)
        raise ProviderError(
            f"{step.name}: not ready within {STEP_SECONDS:.0f} s ({reason})",
            "`dozenctl health` tells more; running the command again goes on from here",
            await self.told(),
        )

    async def told(self) -> str:
        """What the machines say that they wait for."""
        reports = await asyncio.gather(*(ask_waiting(machine, self.context) for machine in self.machines))
        return "\n".join(reports)


def ask_ready(client: Kubernetes) -> None:
    try:
        if client.is_ready():
            return
    except KubernetesError as error:
        raise NotYetError(error.message) from error
    raise NotYetError("it answers, but not that it is ready")


def ask_nodes(client: Kubernetes, names: Sequence[str]) -> str:
    """In words, how many are Ready. Raises NotYetError that names those which are not."""
    try:
        ready = {item["metadata"]["name"] for item in client.items(NODES) if is_true(item, "Ready")}
    except KubernetesError as error:
        raise NotYetError(error.message) from error
    if missing := [name for name in names if name not in ready]:
        raise NotYetError(f"not Ready yet: {', '.join(missing)}")
    return f"{len(names)} Ready" if len(names) > 1 else f"{names[0]} is Ready"


def ask_dns(client: Kubernetes) -> str:
    try:
        status = client.get(DNS).get("status") or {}
    except KubernetesError as error:
        raise NotYetError(error.message) from error
    available = int(status.get("availableReplicas") or 0)
    if not available:
        raise NotYetError("no replica is available")
    return f"{available} of {status.get('replicas')} available"


async def services(channel: Channel) -> list[Any]:
    path = MACHINE + "ServiceList"
    reply = await channel.unary(path, b"", method_types(path).response, timeout=CALL_SECONDS)
    return list(reply.messages[0].services)


def describe_service(service: Any) -> str:
    last = service.events.events[-1].msg if service.events.events else ""
    told = last if service.health.unknown else service.health.last_message or last
    return f"{service.id} is {service.state}: {told}" if told else f"{service.id} is {service.state}"


async def ask_waiting(machine: Machine, context: Context) -> str:
    """One machine's own words: services that are not well, diagnostics, unmet conditions; its console's last lines
    when it does not answer."""
    lines: list[str] = []
    try:
        async with open_channel(machine.address, context) as channel:
            for service in await services(channel):
                if service.state not in ("Running", "Finished") or not (
                    service.health.healthy or service.health.unknown
                ):
                    lines.append(describe_service(service))
            for spec in await specs(channel, "Diagnostics.runtime.talos.dev", "runtime"):
                lines.append(str(spec.get("message", "")))
            for spec in await specs(channel, "MachineStatuses.runtime.talos.dev", "runtime"):
                unmet = (spec.get("status") or {}).get("unmetConditions") or []
                lines += [f"unmet: {each.get('name')}: {each.get('reason')}" for each in unmet]
    except (RpcError, OSError) as error:
        lines.append(f"does not answer: {error}")
        lines.append(last_lines(read_console(machine.console)))
    return "\n".join(f"  {machine.name}: {line}" for line in lines or ["it waits for nothing that it knows of"])


async def specs(channel: Channel, kind: str, namespace: str) -> list[dict[str, Any]]:
    path = "/cosi.resource.State/List"
    types = method_types(path)
    request = types.request(type=kind, namespace=namespace)
    replies = channel.server_stream(path, request, types.response, timeout=CALL_SECONDS)
    return [yaml.load(reply.resource.spec.yaml_spec) async for reply in replies]

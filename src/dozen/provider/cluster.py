"""A cluster as a person asks for it: made, shown and destroyed by name, on this computer.

A cluster is a folder under the state folder:

    cluster.json        its machines, and how far it got (`layout.Plan`)
    secrets.yaml        the authorities and tokens that all its configurations are made from
    talosconfig, kubeconfig
    network/            the emulator that is its network (`network`)
    nodes/NAME/         a machine as its provider keeps it, and config.yaml, its configuration

`create` makes sure that the cluster is there and works, wherever an earlier command was interrupted: what runs is left
running, what is out of date is started from the new image with the same disk and keys, what is missing is made. It
never removes a machine.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from dozen.client.kubernetes import Kubernetes
from dozen.machinery import kubeconfig, talosconfig
from dozen.machinery.config import secrets as cluster_secrets
from dozen.machinery.config.clients import client_config
from dozen.machinery.config.secrets import Secrets, new_secrets
from dozen.provider import balancer, layout
from dozen.provider.access import ask_version
from dozen.provider.exclusive import exclusively
from dozen.provider.layout import Member, Plan
from dozen.provider.machines import BootImage, Machine, MachineSpec, ProviderError, Report, reported
from dozen.provider.network import TRUST_PORT, Place, Router, address_of
from dozen.provider.qemu import Qemu, find_port, write_private
from dozen.provider.readiness import Bringing
from dozen.provider.waiting import await_answer

GUEST_ADDRESS = address_of(0)
"""What the emulator's own DHCP server gives to the first guest of each of its networks."""

BOOT_SECONDS = 300.0
CONTROL_PLANE_MIB, WORKER_MIB = 3072, 2048


@dataclass(frozen=True, slots=True)
class Options:
    """What to make. ``memory_mib`` of 0 gives each machine what its role needs. ``patches`` are texts laid over every
    new machine's configuration. ``kubernetes`` of False ends when the machines answer; so it does for an image that
    brings no container images. ``config`` is a whole configuration for a single machine (a ``talosconfig`` has to fit
    it), whose owner brings up what it describes."""

    control_planes: int = 1
    workers: int = 0
    cpus: int = 2
    memory_mib: int = 0
    disk_mib: int = 8192
    arguments: tuple[str, ...] = ()
    patches: tuple[str, ...] = ()
    version: str = ""
    kubernetes: bool = True
    config: str | None = None
    talosconfig: str | None = None

    def memory_of(self, member: Member) -> int:
        return self.memory_mib or (CONTROL_PLANE_MIB if member.leads else WORKER_MIB)


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of a cluster. ``machine`` is None when it was not made yet."""

    member: Member
    place: Place
    machine: Machine | None

    @property
    def state(self) -> str:
        if self.machine is None:
            return "incomplete"
        return "running" if self.machine.pid else "stopped"


@dataclass(frozen=True, slots=True)
class Cluster:
    """``version`` is what the first node answered when it was asked last, None when it was not asked. ``kubernetes``:
    whether its Kubernetes was brought up and is described by the kubeconfig. ``profile``: see `layout.Plan`."""

    name: str
    folder: Path
    nodes: tuple[Node, ...] = ()
    version: str | None = None
    kubernetes: bool = False
    profile: str = ""

    @property
    def talosconfig(self) -> Path:
        return self.folder / "talosconfig"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"


def state_folder(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_STATE_HOME") or f"{environ.get('HOME', '/root')}/.local/state"
    return Path(base) / "dozen" / "clusters"


def cache_folder(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_CACHE_HOME") or f"{environ.get('HOME', '/root')}/.cache"
    return Path(base) / "dozen"


class Clusters:
    """All clusters of one person on this computer."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self.folder = state_folder(environ)
        self.provider = Qemu(cache_folder(environ), environ.get("DOZEN_ACCELERATOR"))

    async def create(self, name: str, image: Path, report: Report, options: Options | None = None) -> Cluster:
        """The cluster, there and working. Raises ProviderError; nothing has to be cleaned up before a next try."""
        folder = self._folder(name)
        boot_image = BootImage.load(image)
        with exclusively(self._lock(name), name):
            work = Creation(self.provider, name, folder, boot_image, options or Options(), report)
            return await work.run()

    def show(self, name: str) -> Cluster | None:
        """What is known of the cluster without asking its nodes."""
        folder = self._folder(name)
        return describe(self.provider, name, folder) if folder.is_dir() else None

    def list(self) -> tuple[Cluster, ...]:
        if not self.folder.is_dir():
            return ()
        names = sorted(path.name for path in self.folder.iterdir() if path.is_dir())
        return tuple(cluster for name in names if (cluster := self.show(name)))

    async def destroy(self, name: str, report: Report) -> bool:
        """Ends the cluster's machines and removes all that is kept of it; False when there is no such cluster."""
        folder = self._folder(name)
        if not folder.exists():
            return False
        with exclusively(self._lock(name), name), reported("destroy", report) as step:
            nodes = sorted((folder / "nodes").glob("*"))
            await asyncio.gather(*(self.provider.stop(node) for node in nodes))
            await asyncio.to_thread(balancer.stop, folder)
            await asyncio.to_thread(Router(folder / "network").stop)
            await self.provider.destroy(folder)
            step.result(f"{name} is gone, with its disks and its keys")
            self._lock(name).unlink(missing_ok=True)
        return True

    def _folder(self, name: str) -> Path:
        if not name or not all(char.isascii() and (char.isalnum() or char in "-_") for char in name):
            raise ProviderError(f'"{name}" cannot be the name of a cluster', "use letters, digits, - and _")
        return self.folder / name

    def _lock(self, name: str) -> Path:
        return self.folder / f".{name}.lock"


def describe(provider: Qemu, name: str, folder: Path) -> Cluster:
    plan = layout.read_plan(folder) or Plan()
    places = Router(folder / "network").places()
    nodes = tuple(
        Node(member, places[member.name], provider.show(folder / "nodes" / member.name))
        for member in plan.members
        if member.name in places
    )
    return Cluster(name, folder, nodes, kubernetes=(folder / "kubeconfig").exists(), profile=plan.profile)


class Creation:
    """One run of `Clusters.create`."""

    def __init__(
        self, provider: Qemu, name: str, folder: Path, image: BootImage, options: Options, report: Report
    ) -> None:
        self.provider, self.name, self.folder, self.image = provider, name, folder, image
        self.options, self.report = options, report
        self.plan = self._plan()
        self.secrets = self._secrets()
        self.router = Router(folder / "network")

    async def run(self) -> Cluster:
        """Network, machines, Kubernetes. Machines start together, as many at a time as there are cores for them; the
        first, which the others ask for certificates, before them."""
        places = await asyncio.to_thread(self._connect)
        context = self._write_client(places)
        first, *others = self.plan.members
        turns = asyncio.Semaphore(at_a_time(os.cpu_count() or 1, self.options.cpus))
        nodes = [await self._bring_up(first, places[first.name], context, turns)]
        bringing = Bringing(context, [node.machine for node in nodes if node.machine], self.report)
        kubernetes = self.options.kubernetes and self.options.config is None and self.image.images is not None
        if kubernetes and not self.plan.bootstrapped:
            await bringing.bootstrap()
            self._keep(bootstrapped=True)
        nodes += await gather(*(self._bring_up(each, places[each.name], context, turns) for each in others))
        version = await self._version(nodes[0], context)
        if kubernetes:
            bringing.machines = [node.machine for node in nodes if node.machine]
            await self._await_kubernetes(bringing, places)
        return Cluster(self.name, self.folder, tuple(nodes), version, kubernetes, self.plan.profile)

    def _plan(self) -> Plan:
        if (self.folder / "machine.json").exists():
            raise ProviderError(
                f"cluster {self.name} was made by an older version", "destroy it and create it again; its data is lost"
            )
        options = self.options
        known = layout.read_plan(self.folder)
        several = options.control_planes > 1
        before = known or Plan(balancer=find_port() if several else 0, alone=options.workers == 0)
        plan = layout.grown(before, self.name, options.control_planes, options.workers)
        if options.config is not None and len(plan.members) > 1:
            raise ProviderError("a configuration of your own is for one machine", "give --config-patch instead")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        layout.write_plan(plan, self.folder)
        return plan

    def _keep(self, **changes: Any) -> None:
        """Change the plan, and what is kept of it."""
        self.plan = msgspec.structs.replace(self.plan, **changes)
        layout.write_plan(self.plan, self.folder)

    def _secrets(self) -> Secrets:
        kept = self.folder / "secrets.yaml"
        if not kept.exists():
            write_private(kept, cluster_secrets.render(new_secrets()).encode())
        return cluster_secrets.parse(kept.read_text(), str(kept))

    def _connect(self) -> dict[str, Place]:
        with reported("network", self.report) as step:
            places = self.router.ensure(member.name for member in self.plan.members)
            ways = f"{places[self.plan.members[0].name].address} and up"
            if self.plan.balancer:
                leaders = [places[member.name] for member in self.plan.control_planes]
                services = {self.plan.balancer: [place.kubernetes for place in leaders]}
                if len(leaders) < len(self.plan.members):
                    # Workers ask where the cluster's endpoint is, at a port that cannot be chosen.
                    services[TRUST_PORT] = [place.trust for place in leaders]
                balancer.ensure(services, self.folder)
                ways += f", the control planes' API behind {self.plan.endpoint}"
            step.result(ways)
        return places

    def _write_client(self, places: Mapping[str, Place]) -> talosconfig.Context:
        """The client's configuration, leading to where the control planes' APIs are now."""
        path = self.folder / "talosconfig"
        endpoints = tuple(f"127.0.0.1:{places[member.name].api}" for member in self.plan.control_planes)
        if self.options.talosconfig:
            write_private(path, self.options.talosconfig.encode())
        elif not path.exists():
            config = client_config(self.name, self.secrets.os, endpoints=endpoints)
            write_private(path, talosconfig.render(config).encode())
        return point_client(path, endpoints)

    async def _bring_up(
        self, member: Member, place: Place, context: talosconfig.Context, turns: asyncio.Semaphore
    ) -> Node:
        """One machine, running from the present image and answering."""
        folder = self.folder / "nodes" / member.name
        async with turns:
            machine = self.provider.show(folder)
            if machine and machine.pid and machine.image != self.image.identity:
                with reported(f"{member.name}: stop", self.report) as step:
                    await self.provider.stop(folder)
                    step.result("it ran an older image; its disk and its keys are kept")
                machine = None
            if not (machine and machine.pid):
                spec = self._spec(member, place, self._configure(member, place, folder))
                machine = await self.provider.create(spec, folder, self._named(member))
            with reported(f"{member.name}: API", self.report) as step:
                address = machine.address
                answer = await await_answer(
                    self.provider, machine, lambda: ask_version(address, context), step, BOOT_SECONDS
                )
                step.result(f"{answer.version.tag} answers on {address}")
        return Node(member, place, machine)

    def _named(self, member: Member) -> Report:
        """A report whose steps carry the machine's name, since several go on at a time."""
        if len(self.plan.members) == 1:
            return self.report
        return lambda step: self.report(replace(step, name=f"{member.name}: {step.name}"))

    def _spec(self, member: Member, place: Place, config: str) -> MachineSpec:
        return MachineSpec(
            name=member.name,
            image=self.image,
            config=config,
            cpus=self.options.cpus,
            memory_mib=self.options.memory_of(member),
            disk_mib=self.options.disk_mib,
            plug=place.plug(self.router.folder),
            arguments=self.options.arguments,
        )

    def _configure(self, member: Member, place: Place, folder: Path) -> str:
        """The machine's configuration: the one that is kept, or a new one."""
        kept = folder / "config.yaml"
        if self.options.config is None and kept.exists():
            return kept.read_text()
        with reported(f"{member.name}: configuration", self.report) as step:
            if self.options.config is not None:
                config = self.options.config
                step.result("taken as given")
            else:
                patches = list(self.options.patches)
                emulated = member.leads and self.provider.accelerator(self.image.kernel).name == "tcg"
                if emulated:
                    patches.insert(0, layout.EMULATED)
                    self._keep(profile="emulated")
                config = layout.configure(
                    self.name,
                    self.plan,
                    member,
                    place,
                    self.secrets,
                    version=self.options.version,
                    patches=patches,
                )
                step.result("made, with the profile `emulated`" if emulated else "made")
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(kept, config.encode())
        return config

    async def _version(self, node: Node, context: talosconfig.Context) -> str:
        answer = await ask_version(f"127.0.0.1:{node.place.api}", context)
        return str(answer.version.tag)

    async def _await_kubernetes(self, bringing: Bringing, places: Mapping[str, Place]) -> None:
        await bringing.etcd()
        port = self.plan.balancer or places[self.plan.members[0].name].kubernetes
        config = await bringing.api(f"https://127.0.0.1:{port}")
        write_private(self.folder / "kubeconfig", kubeconfig.render(config).encode())
        client = Kubernetes(kubeconfig.selected(config))
        await bringing.nodes(client, [member.name for member in self.plan.members])
        await bringing.dns(client)


def at_a_time(cores: int, cpus: int) -> int:
    """How many machines with so many processors may start together: more would only wait for each other."""
    return max(1, cores // cpus)


async def gather(*work: Coroutine[Any, Any, Node]) -> list[Node]:
    """All results; the first failure ends the others, so that nothing goes on behind an error message."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


def point_client(path: Path, endpoints: tuple[str, ...]) -> talosconfig.Context:
    """Makes the kept client configuration lead to where the control planes are now; gives the selected context."""
    try:
        client = talosconfig.parse(path.read_text(), str(path))
        context = client.select()
    except FileNotFoundError:
        raise ProviderError(f"{path} is missing", "destroy the cluster and create it again") from None
    except talosconfig.TalosconfigError as error:
        raise ProviderError(str(error), "destroy the cluster and create it again") from error
    if context.endpoints != endpoints:
        context = msgspec.structs.replace(context, endpoints=endpoints)
        write_private(path, talosconfig.render(client.with_context(client.context, context)).encode())
    return context

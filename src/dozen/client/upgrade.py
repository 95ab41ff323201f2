"""Upgrading a cluster's Kubernetes: one program after another, one node after another, each waited for.

The images in the machine configurations are changed through the API, as a person would, and the nodes do the rest. It
can be interrupted at any time and begun again: what is done already is passed over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple

from dozen.client.errors import ClientError
from dozen.client.kubernetes import Kubernetes, KubernetesError
from dozen.client.machine import Node
from dozen.client.state import CONFIG, config_text, get_record
from dozen.machinery.health.view import internal_addresses
from dozen.machinery.kubernetes import upgrades
from dozen.machinery.kubernetes.objects import is_true
from dozen.machinery.kubernetes.upgrades import CONTROL_PLANE, KUBELET, PROXY, Version

PERIOD = 2.0
# For one program on one node: pulling its image may take most of it.
STEP_SECONDS = 600.0
SYSTEM = "/api/v1/namespaces/kube-system"
DAEMON_SET = "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy"
CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"


class Member(NamedTuple):
    """A node of the cluster: its name there, and the address of its machine API."""

    name: str
    address: str
    control_plane: bool


class Upgrade:
    """One upgrade. ``say`` gets a line for each thing that happens; ``dry_run`` changes nothing."""

    def __init__(
        self,
        connect: Callable[[str], Node],
        kubernetes: Kubernetes,
        say: Callable[[str], None],
        *,
        kubelets: bool = True,
        dry_run: bool = False,
        ignore_removed: bool = False,
    ) -> None:
        self._connect = connect
        self._kubernetes = kubernetes
        self._say = say
        self._kubelets = kubelets
        self._dry_run = dry_run
        self._ignore_removed = ignore_removed

    async def run(self, new: Version) -> None:
        """Raises UpgradeError, ClientError and what calls raise."""
        old = upgrades.read_version((await self._ask("/version"))["gitVersion"])
        members = await self._members()
        upgrades.check_path(await self._oldest(old), new)
        self._say(f"upgrading Kubernetes from {old} to {new} on {', '.join(each.name for each in members)}")
        await self._check(members, new)
        control_planes = [each for each in members if each.control_plane]
        for program in CONTROL_PLANE:
            for member in control_planes:
                await self._change(member, program, new, partial(self._pod_runs, program, member))
        for member in control_planes:
            await self._change(member, PROXY, new, self._proxies_run)
        for member in members if self._kubelets else ():
            await self._change(member, KUBELET, new, partial(self._kubelet_runs, member, new))
        self._say("done" if not self._dry_run else "nothing was changed: this was a dry run")

    # -- Before anything changes.

    async def _members(self) -> list[Member]:
        found = []
        for node in (await self._ask("/api/v1/nodes"))["items"]:
            address = next(iter(internal_addresses(node)), "")
            labels = node["metadata"].get("labels") or {}
            found.append(Member(node["metadata"]["name"], address, CONTROL_PLANE_LABEL in labels))
        if not any(each.control_plane for each in found):
            raise ClientError("Kubernetes knows no control plane node", f"label it {CONTROL_PLANE_LABEL}")
        return sorted(found, key=lambda each: (not each.control_plane, each.name))

    async def _oldest(self, api: Version) -> Version:
        """The API server may have been upgraded by an attempt that was interrupted; kubelets come last."""
        nodes = (await self._ask("/api/v1/nodes"))["items"]
        versions = [upgrades.read_version(node["status"]["nodeInfo"]["kubeletVersion"]) for node in nodes]
        return min([api, *versions]) if self._kubelets else api

    async def _check(self, members: list[Member], new: Version) -> None:
        problems = []
        for member in members:
            config, _ = await self._read(member)
            programs = (*CONTROL_PLANE, PROXY, KUBELET) if member.control_plane else (KUBELET,)
            for program in programs:
                gone = upgrades.removed_flags(program, upgrades.flags_of(config, program), new)
                problems += [f"{member.name}: {program} of {new} has no flag --{flag}" for flag in gone]
        metrics = (await asyncio.to_thread(self._kubernetes.request, "GET", "/metrics")).decode(errors="replace")
        used = upgrades.removed_apis(metrics, new)
        problems += [f"clients still use {api}, which {new} does not have" for api in used]
        self._say(f"checked for what {new} no longer has: {'; '.join(problems) or 'nothing is used'}")
        if problems and not self._ignore_removed:
            raise ClientError("; ".join(problems), "change what uses it first, or go on with --ignore-removed")

    # -- Each step.

    async def _change(self, member: Member, program: str, new: Version, runs: Callable[[str], Awaitable[str]]) -> None:
        """Change a program's image in a node's configuration and wait until it runs."""
        config, text = await self._read(member)
        old = upgrades.image_of(config, program)
        image = upgrades.with_version(old, new)
        if old == image:
            self._say(f"{member.name}: {program} is {image} already")
        elif self._dry_run:
            self._say(f"{member.name}: {program} would become {image}")
        else:
            changed = upgrades.with_image(config, text, program, image)
            await self._connect(member.address).apply_configuration(changed, "NO_REBOOT")
            self._say(f"{member.name}: {program} becomes {image}")
        if not self._dry_run:
            await self._until(f"{member.name}: {program}", lambda: runs(image))

    async def _until(self, what: str, ask: Callable[[], Awaitable[str]]) -> None:
        """Wait until ``ask`` has nothing to complain about."""
        end, said = time.monotonic() + STEP_SECONDS, ""
        while True:
            try:
                problem = await ask()
            except KubernetesError as error:
                problem = f"the Kubernetes API: {error.message}"  # it is being changed itself
            if not problem:
                self._say(f"{what}: OK")
                return
            if problem != said:
                said = problem
                self._say(f"{what}: {said}")
            if time.monotonic() > end:
                raise ClientError(f"{what}: {said}", "`dozenctl health` tells more; the upgrade can be begun again")
            await asyncio.sleep(PERIOD)

    async def _pod_runs(self, program: str, member: Member, image: str) -> str:
        try:
            pod = await self._ask(f"{SYSTEM}/pods/{program}-{member.name}")
        except KubernetesError as error:
            if error.status == 404:
                return "is being started anew"
            raise
        if pod["spec"]["containers"][0]["image"] != image:
            return "has not been changed yet"
        return "" if is_true(pod, "Ready") else "is not ready yet"

    async def _proxies_run(self, image: str) -> str:
        try:
            found = await self._ask(DAEMON_SET)
        except KubernetesError as error:
            if error.status == 404:
                return ""  # a cluster may do without
            raise
        if found["spec"]["template"]["spec"]["containers"][0]["image"] != image:
            return "has not been changed yet"
        status = found.get("status") or {}
        wanted, fresh = status.get("desiredNumberScheduled", 0), status.get("updatedNumberScheduled", 0)
        seen = status.get("observedGeneration") == found["metadata"].get("generation")
        done = seen and fresh == wanted and status.get("numberReady", 0) == wanted
        return "" if done else f"{fresh} of {wanted} pods are new"

    async def _kubelet_runs(self, member: Member, new: Version, image: str) -> str:
        node = await self._ask(f"/api/v1/nodes/{member.name}")
        version = node["status"]["nodeInfo"]["kubeletVersion"]
        if upgrades.read_version(version) != new:
            return f"is still {version}"
        return "" if is_true(node, "Ready") else "its node is not ready yet"

    # -- Asking.

    async def _read(self, member: Member) -> tuple[Any, str]:
        """A node's configuration, decoded and as text."""
        from dozen.machinery.config import load

        text = config_text((await get_record(self._connect(member.address), *CONFIG)).spec)
        return load(text, f"configuration of {member.name}"), text

    async def _ask(self, path: str) -> Any:
        return await asyncio.to_thread(self._kubernetes.get, path)

"""What a cluster consists of, and what each of its machines is told: pure, made from the few things that are kept.

`Plan` is the file cluster.json. It only ever grows: a command that asks for more machines adds them, one that asks for
fewer leaves those that are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from dozen.machinery import yaml
from dozen.machinery.config import load
from dozen.machinery.config.generating import generate
from dozen.machinery.config.patches import patch, read_patch
from dozen.machinery.config.secrets import Secrets
from dozen.machinery.kubernetes import versions
from dozen.provider.network import GATEWAY, KUBERNETES_PORT, PREFIX, RESOLVER, Place, address_of

CONTROL_PLANE, WORKER = "controlplane", "worker"
LOCAL_NAMES = ("127.0.0.1", "localhost")
"""How this computer calls the Kubernetes API: by the loopback port that leads there."""


class Member(msgspec.Struct, frozen=True):
    """One machine. ``role`` is the configuration's machine type."""

    name: str
    role: str

    @property
    def leads(self) -> bool:
        return self.role == CONTROL_PLANE


class Plan(msgspec.Struct, frozen=True):
    """``balancer`` is the port of the load balancer in front of the control planes, 0 for a cluster that was made with
    one. ``alone``: it was made without workers, so workloads go to the control planes. ``bootstrapped``: etcd was told
    to begin, which happens once. ``profile``: under which name a control plane was given other limits than usual."""

    members: tuple[Member, ...] = ()
    balancer: int = 0
    alone: bool = True
    bootstrapped: bool = False
    profile: str = ""

    @property
    def control_planes(self) -> tuple[Member, ...]:
        return tuple(member for member in self.members if member.leads)

    @property
    def endpoint(self) -> str:
        """The Kubernetes API as the machines see it."""
        if self.balancer:
            return f"https://{GATEWAY}:{self.balancer}"
        return f"https://{address_of(0)}:{KUBERNETES_PORT}"


def read_plan(folder: Path) -> Plan | None:
    try:
        return msgspec.json.decode((folder / "cluster.json").read_bytes(), type=Plan)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write_plan(plan: Plan, folder: Path) -> None:
    part = folder / "cluster.json.part"
    part.write_bytes(msgspec.json.format(msgspec.json.encode(plan)))
    part.replace(folder / "cluster.json")


def grown(plan: Plan, cluster: str, control_planes: int, workers: int) -> Plan:
    """The plan with at least so many machines of each role; the first is a control plane, and stays the first."""
    members = list(plan.members)
    for role, wanted in ((CONTROL_PLANE, control_planes), (WORKER, workers)):
        there = sum(1 for member in members if member.role == role)
        members += [Member(f"{host_name(cluster)}-{role}-{number}", role) for number in range(there + 1, wanted + 1)]
    return msgspec.structs.replace(plan, members=tuple(members))


def host_name(name: str) -> str:
    """A cluster's name as part of a host name (RFC 1123: lower-case letters, digits, hyphens)."""
    return name.lower().replace("_", "-").strip("-") or "node"


EMULATED = """
cluster:
  controllerManager:
    extraArgs:
      leader-elect-lease-duration: 120s
      leader-elect-renew-deadline: 100s
      leader-elect-retry-period: 10s
      node-monitor-grace-period: 180s
  scheduler:
    extraArgs:
      leader-elect-lease-duration: 120s
      leader-elect-renew-deadline: 100s
      leader-elect-retry-period: 10s
  etcd:
    extraArgs: {heartbeat-interval: "1000", election-timeout: "10000"}
"""
"""The profile ``emulated``: patience for machines without hardware virtualization, which are some thirty times slower.
At the usual limits a busy one loses elections that nobody else stands in, and Kubernetes takes its node for dead.
An idle API server wrote 1.24 leases a second, and two that are renewed every two seconds, as is usual, make one."""
PROFILES = {"emulated": "longer limits for machines without hardware virtualization"}
"""What each profile is, for whoever is told that one is in force."""


def configure(
    cluster: str,
    plan: Plan,
    member: Member,
    place: Place,
    secrets: Secrets,
    version: str = "",
    patches: Sequence[str] = (),
) -> str:
    """The machine's configuration. ``version`` is Kubernetes', empty for the image's own; ``patches`` are texts that
    are applied last, in order. Raises ConfigError for a patch, or a result, that is no good."""
    bundle = generate(cluster, plan.endpoint, secrets=secrets, sans=(place.address, "localhost"))
    parts = [special_part(plan, member, place)]
    if version:
        parts.append(version_part(version, member.leads))
    wanted = [read_patch(yaml.dump(part)) for part in parts]
    wanted += [read_patch(text, "the configuration patch") for text in patches]
    text = patch(bundle.controlplane if member.leads else bundle.worker, wanted)
    load(text, f"the configuration of {member.name}")
    return text


def special_part(plan: Plan, member: Member, place: Place) -> dict[str, Any]:
    """What sets the machine apart from any other of its role. The emulator gives it this computer's clock, so it needs
    no time server, which might be out of reach."""
    part: dict[str, Any] = {"machine": {"network": network_part(member, place), "time": {"disabled": True}}}
    if member.leads:
        part["cluster"] = {"apiServer": {"certSANs": [*LOCAL_NAMES]}, "allowSchedulingOnControlPlanes": plan.alone}
    return part


def network_part(member: Member, place: Place) -> dict[str, Any]:
    """Fixed addresses: a machine that comes back has the one that its certificates and etcd know."""
    card = {
        "interface": "eth0",
        "addresses": [f"{place.address}/{PREFIX}"],
        "routes": [{"network": "0.0.0.0/0", "gateway": GATEWAY}],
    }
    return {"hostname": member.name, "interfaces": [card], "nameservers": [RESOLVER]}


def version_part(version: str, leads: bool) -> dict[str, Any]:
    """Another Kubernetes version than the image's own; its images come from a registry."""
    tag = f"v{version.removeprefix('v')}"
    part: dict[str, Any] = {"machine": {"kubelet": {"image": versions.kubelet_image(tag)}}}
    if leads:
        programs = {
            "apiServer": "kube-apiserver",
            "controllerManager": "kube-controller-manager",
            "scheduler": "kube-scheduler",
            "proxy": "kube-proxy",
        }
        part["cluster"] = {field: {"image": versions.component_image(name, tag)} for field, name in programs.items()}
    return part

"""etcd as a service: what it runs, and how its health is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dozen.node.services.definition import (
    ContainerProgram,
    Health,
    Mount,
    Service,
    needs_control_plane,
    needs_own_kernel,
)

if TYPE_CHECKING:
    from dozen.node.machine import Machine


def _program(machine: Machine) -> ContainerProgram | None:
    """None until it is known how the member comes into being (`dozen.node.etcd.member`)."""
    from dozen.machinery.kubernetes.versions import ETCD_UID
    from dozen.machinery.resources import etcd
    from dozen.node.etcd.arguments import DATA, SECRETS, render_arguments

    spec = machine.store.find(etcd.ETCD_SPEC, etcd.ID)
    launch = machine.store.find(etcd.ETCD_LAUNCH, etcd.ID)
    if spec is None or launch is None:
        return None
    return ContainerProgram(
        spec.spec.image,
        ("/usr/local/bin/etcd", *render_arguments(spec.spec, launch.spec)),
        mounts=(Mount(DATA, DATA), Mount(SECRETS, SECRETS, ("rbind", "ro"))),
        uid=ETCD_UID,
        gid=ETCD_UID,
        cgroup="/podruntime/etcd",
        oom=-998,
    )


async def _answers(machine: Machine) -> None:
    """Healthy is a member with a vote, in a cluster with a majority: only then Kubernetes can work with it."""
    from dozen.node.etcd.local import etcd_clients

    client = etcd_clients(machine.store).local
    status = await client.status()
    if status.isLearner:
        raise RuntimeError("this member copies the data and has no vote yet")
    if not status.leader:
        raise RuntimeError("the cluster has no leader: most of its members cannot be reached")
    await client.check_majority()


def _reason_against(machine: Machine) -> str | None:
    return needs_own_kernel(machine) or needs_control_plane(machine)


ETCD = Service(
    id="etcd",
    program=_program,
    needs=("containerd",),
    health=Health(_answers, first_after=0.5),
    unavailable=_reason_against,
    stop_grace=30.0,
    awaits="`bootstrap` on this node, or a member to join",
)

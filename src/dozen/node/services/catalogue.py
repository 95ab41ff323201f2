"""The services of a node, as a table. Adding one is adding a row."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from dozen.node.process import Confinement
from dozen.node.services.containerd import CONTAINERD
from dozen.node.services.definition import Condition, Health, Service
from dozen.node.services.etcd import ETCD
from dozen.node.services.kubelet import KUBELET

if TYPE_CHECKING:
    from dozen.node.machine import Machine

APID_UID = 50
TRUSTD_UID = 51
TRUSTD_CERTIFICATE = "/system/run/trustd/server.pem"
DASHBOARD_TTY = "/dev/tty2"
UDEVD_SOCKET = "/run/udev/control"


def _needs_own_kernel(machine: Machine) -> str | None:
    if machine.mode == "container":
        return "needs a kernel of its own; this machine is a container"
    return None


def _needs_console(machine: Machine) -> str | None:
    return _needs_own_kernel(machine) or (None if os.path.exists(DASHBOARD_TTY) else f"there is no {DASHBOARD_TTY}")


async def _apid_answers(machine: Machine) -> None:
    import asyncio

    _, writer = await asyncio.open_connection("127.0.0.1", 50000)
    writer.close()


async def _trustd_answers(machine: Machine) -> None:
    import asyncio

    _, writer = await asyncio.open_connection("127.0.0.1", 50001)
    writer.close()


def _signs_nothing(machine: Machine) -> str | None:
    if machine.config is not None and machine.config.is_complete and machine.config.machine_type != "controlplane":
        return "runs on control planes only; this machine is a worker"
    return None


def apid_listens() -> bool:
    """Whether somebody accepts connections on the port of the API. On this way no connection can take long."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        return probe.connect_ex(("127.0.0.1", 50000)) == 0


async def _udevd_listens(machine: Machine) -> None:
    if not os.path.exists(UDEVD_SOCKET):
        raise FileNotFoundError(f"{UDEVD_SOCKET} is missing")


MACHINED = Service(id="machined", argv=(), confinement=Confinement())

CATALOGUE: tuple[Service, ...] = (
    MACHINED,
    Service(
        id="apid",
        argv=("/sbin/init",),
        # Speaks to the network, therefore may do nothing else: no user rights, no capability, no way to gain any.
        confinement=Confinement(
            cgroup="system/apid", uid=APID_UID, gid=APID_UID, oom=-998, caps="none", no_new_privs=True, argv0="apid"
        ),
        health=Health(_apid_answers, first_after=0.5),
    ),
    Service(
        id="udevd",
        argv=("/sbin/udevd", "--resolve-names=never"),
        confinement=Confinement(cgroup="system/udevd", oom=-800),
        unavailable=_needs_own_kernel,
        health=Health(_udevd_listens),
    ),
    CONTAINERD,
    ETCD,
    KUBELET,
    Service(
        id="trustd",
        argv=("/sbin/init",),
        # Strangers may speak to it: it has no rights, holds no key but its own, and can ask machined for one thing.
        confinement=Confinement(
            cgroup="system/trustd",
            uid=TRUSTD_UID,
            gid=TRUSTD_UID,
            oom=-998,
            caps="none",
            no_new_privs=True,
            argv0="trustd",
        ),
        conditions=(
            Condition("a certificate of the cluster's authority", lambda machine: os.path.exists(TRUSTD_CERTIFICATE)),
        ),
        unavailable=_signs_nothing,
        health=Health(_trustd_answers, first_after=0.5),
    ),
    Service(
        id="dashboard",
        argv=("/sbin/dashboard",),
        confinement=Confinement(cgroup="system/dashboard", caps="none", no_new_privs=True),
        needs=("machined",),
        unavailable=_needs_console,
        stop_signal=signal.SIGTERM,
        stop_grace=1.0,
    ),
)
EARLY = ("apid",)
DEVICES = ("udevd",)
LAST = ("dashboard",)

"""The services of a node, as a table. Adding one is adding a row."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from dozen.node.process import Confinement
from dozen.node.services.containerd import CONTAINERD
from dozen.node.services.definition import Condition, Health, Service, needs_control_plane, needs_own_kernel
from dozen.node.services.etcd import ETCD
from dozen.node.services.kubelet import KUBELET

if TYPE_CHECKING:
    from dozen.node.machine import Machine

APID_UID = 50
TRUSTD_UID = 51
# Said again in the programs themselves, which are not imported here (a test compares).
APID_PORT, TRUSTD_PORT = 50000, 50001
TRUSTD_CERTIFICATE = "/system/run/trustd/server.pem"
DASHBOARD_TTY = "/dev/tty2"
UDEVD_SOCKET = "/run/udev/control"


def _needs_console(machine: Machine) -> str | None:
    return needs_own_kernel(machine) or (None if os.path.exists(DASHBOARD_TTY) else f"there is no {DASHBOARD_TTY}")


def _accepts(port: int) -> Callable[[Machine], Awaitable[None]]:
    """Asks whether the port accepts connections. Raises OSError."""

    async def connect(machine: Machine) -> None:
        import asyncio

        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()

    return connect


def apid_listens() -> bool:
    """Whether somebody accepts connections on the port of the API. On this way no connection can take long."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        return probe.connect_ex(("127.0.0.1", APID_PORT)) == 0


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
        health=Health(_accepts(APID_PORT), first_after=0.5),
    ),
    Service(
        id="udevd",
        argv=("/sbin/udevd", "--resolve-names=never"),
        confinement=Confinement(cgroup="system/udevd", oom=-800),
        unavailable=needs_own_kernel,
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
        unavailable=needs_control_plane,
        health=Health(_accepts(TRUSTD_PORT), first_after=0.5),
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
RUNTIME = "containerd"
DEVICES = ("udevd",)
LAST = ("trustd", "dashboard")

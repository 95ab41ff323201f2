"""Looks for what keeps a node from becoming a member of its cluster, and says it in words that name the way out.

A kubelet that cannot join tries for ever and fills a log that nobody reads. The usual causes can be told apart from
outside it: a clock that is not within the life of the cluster's authority, an endpoint whose name does not resolve, a
server there that is not ours, a token that the cluster does not know, a disk without space. Each is a Diagnostic while
it lasts, so that it is on the console, in ``dozenctl health`` and among the node's resources.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dozen.machinery.kubeconfig import Access, KubeconfigError, split_server
from dozen.machinery.kubernetes.paths import KUBELET_KUBECONFIG
from dozen.machinery.resources import config as kinds
from dozen.node.configuration import parse
from dozen.node.kubernetes.client import Client
from dozen.node.kubernetes.errors import ApiError, Unreachable

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store
    from dozen.machinery.config import Config
    from dozen.node.problems import Problems

PERIOD = 20.0
CLOCK, ENDPOINT, TOKEN, DISK = "cluster-clock", "cluster-endpoint", "cluster-token", "disk-full"
DATA = "/var"
# The kubelet evicts pods below a tenth of the volume; at this little, etcd and the container runtime fail to write.
LEAST_FREE = 64 << 20
UNAUTHORIZED = 401


class MembershipDiagnosis:
    """The machine as it is → Diagnostics about its way into the cluster."""

    name = "membership-diagnosis"
    outputs = ()

    def __init__(self, store: Store, problems: Problems) -> None:
        self._store = store
        self._problems = problems
        self._open: set[str] = set()

    async def run(self, publish: Publisher) -> None:
        while True:
            active = self._store.find(kinds.MACHINE_CONFIG, kinds.ACTIVE)
            config = parse(active.spec.text) if active is not None else None
            if config is not None and config.is_complete:
                self._tell(await diagnose(config))
            await asyncio.sleep(PERIOD)

    def _tell(self, found: dict[str, str]) -> None:
        for id, text in found.items():
            self._problems.report_problem(id, text)
        for id in self._open - set(found):
            self._problems.clear_problem(id)
        self._open = set(found)


async def diagnose(config: Config) -> dict[str, str]:
    """Sentences by id, for everything that is wrong now."""
    from dozen.machinery.config import effective, kubernetes_secrets

    ca = kubernetes_secrets.kubernetes_ca(config).trusted
    endpoint = effective.cluster_endpoint(config)
    found = {CLOCK: clock_problem(ca, time.time()), DISK: disk_problem(DATA)}
    found[ENDPOINT] = await name_problem(endpoint)
    if not found[ENDPOINT] and not found[CLOCK] and config.machine_type == "worker":
        found |= await joining_problems(config, endpoint, ca)
    return {id: text for id, text in found.items() if text}


def clock_problem(ca: str, now: float) -> str:
    """What is wrong with the clock, judged by the life of the cluster's authority."""
    from dozen.machinery import pki
    from dozen.machinery.der import DerError

    try:
        authority = pki.certificate(ca)
    except (pki.PkiError, DerError):
        return ""  # the configuration's own check says so
    if now < authority.not_before:
        return (
            f"this machine's clock says {_date(now)}, but the cluster's authority was made on "
            f"{_date(authority.not_before)}: set the clock, or let the machine reach a time server (machine.time)"
        )
    if now > authority.not_after:
        return (
            f"the cluster's authority ended on {_date(authority.not_after)} and this machine's clock says {_date(now)}:"
            " correct the clock, or renew the authority"
        )
    return ""


def disk_problem(path: str) -> str:
    """Whether the volume of the data is as good as full. Until it is mounted, what is there is the root image, which
    is always full."""
    try:
        if not os.path.ismount(path):
            return ""
        volume = os.statvfs(path)
    except OSError:
        return ""
    free = volume.f_bavail * volume.f_frsize
    if volume.f_blocks and free < LEAST_FREE:
        return (
            f"the volume of {path} has {free >> 20} MiB left: remove images or volumes that are not needed, "
            "or give the machine a bigger disk"
        )
    return ""


async def name_problem(endpoint: str) -> str:
    """Whether the cluster's endpoint can be found by its name."""
    try:
        host, port = split_server(endpoint)
    except KubeconfigError as error:
        return f"{error}; correct cluster.controlPlane.endpoint"
    try:
        await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        reason = error.strerror or str(error)
        return (
            f"the cluster's endpoint {host} does not resolve ({reason}): "
            "correct cluster.controlPlane.endpoint or the name servers (machine.network.nameservers)"
        )
    return ""


async def joining_problems(config: Config, endpoint: str, ca: str) -> dict[str, str]:
    """What keeps a worker without an identity of its own from asking for one; an endpoint that is merely not up yet is
    no problem, because a cluster takes its time to begin."""
    from dozen.machinery.config import kubernetes

    if await asyncio.to_thread(Path(KUBELET_KUBECONFIG).exists):
        return {}
    host, port = split_server(endpoint)
    access = Access(host, port, ca.encode(), token=kubernetes.bootstrap_token(config).reveal())
    async with Client(access, timeout=10) as client:
        try:
            # Whoever the server knows may ask what it serves.
            await client.text("/api")
        except Unreachable as error:
            if "certificate verify failed" in str(error):
                return {
                    ENDPOINT: f"the server at {host}:{port} is not of this cluster: its certificate is not signed by "
                    "cluster.ca; correct cluster.controlPlane.endpoint or cluster.ca"
                }
        except ApiError as error:
            if error.status == UNAUTHORIZED:
                return {
                    TOKEN: f"the cluster at {host}:{port} does not know this machine's cluster.token: "
                    "give the machine the token of its cluster"
                }
    return {}


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))

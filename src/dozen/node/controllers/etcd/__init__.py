"""From the configuration to etcd's member on this node, and its certificates as files."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dozen.machinery.plan import Controller
    from dozen.node.etcd.member import EtcdMember
    from dozen.node.machine import Machine

RESTORE_TIMEOUT = 600.0


def etcd_controllers() -> tuple[Controller, ...]:
    """All of them; on a worker they have nothing to do."""
    from dozen.node.controllers.etcd.files import EtcdFilesController
    from dozen.node.controllers.etcd.member import EtcdConfigController, EtcdSpecController

    return EtcdConfigController(), EtcdSpecController(), EtcdFilesController()


def make_member(machine: Machine) -> EtcdMember:
    """The member of this machine, which is a watcher too."""
    from dozen.node.etcd.joining import Join
    from dozen.node.etcd.member import EtcdMember, Ground
    from dozen.node.etcd.peers import peers_of

    async def stop() -> None:
        await machine.services.get("etcd").stop()

    async def restore(image: str, arguments: tuple[str, ...]) -> None:
        await run_etcdutl(machine, image, arguments)

    def cluster_id() -> str:
        from dozen.machinery.config.kubernetes import cluster_id as read

        return read(machine.config) if machine.config is not None else ""

    ground = Ground(
        var_is_ready=lambda: machine.var_is_ready,
        stop_service=stop,
        start_service=lambda: machine.services.get("etcd").start(),
        restore=restore,
        cluster_id=cluster_id,
        problems=machine,
    )
    return EtcdMember(machine.store, logging.getLogger("dozen.etcd"), ground, Join(peers_of(machine.store)))


async def run_etcdutl(machine: Machine, image: str, arguments: tuple[str, ...]) -> None:
    """Run etcdutl in etcd's image. Raises RpcError with what it printed."""
    from dozen.machinery.kubernetes.versions import ETCD_UID
    from dozen.node.etcd.arguments import DATA, SNAPSHOT
    from dozen.node.services.container import run_to_end
    from dozen.node.services.definition import ContainerProgram, Mount
    from dozen.rpc.status import Code, RpcError

    program = ContainerProgram(
        image,
        ("/usr/local/bin/etcdutl", *arguments),
        mounts=(Mount(DATA, DATA), Mount(SNAPSHOT, SNAPSHOT, ("bind", "ro"))),
        uid=ETCD_UID,
        gid=ETCD_UID,
        cgroup="/podruntime/etcd-recovery",
    )
    output = machine.logs.open("etcd")
    try:
        status = await run_to_end("etcd-recovery", program, output, RESTORE_TIMEOUT)
    except TimeoutError:
        raise RpcError(Code.DEADLINE_EXCEEDED, "the snapshot could not be restored in time") from None
    if status.code != 0:
        said = output.tail(3).decode(errors="replace").strip()
        raise RpcError(Code.INTERNAL, f"the snapshot cannot be restored ({status}): {said}")

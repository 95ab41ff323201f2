"""What ends a boot without losing anything: pods, services, mounts, disks, in this order, each within a bound."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dozen.linux import sys as linux

if TYPE_CHECKING:
    from dozen.node.machine import Machine

# As kubelet's shutdownGracePeriod and shutdownGracePeriodCriticalPods usually are, seconds.
ORDINARY_PODS, CRITICAL_PODS = 20.0, 10.0
CONTAINER_GRACE = 10.0
PROCESS_GRACE = 5.0
SYNC_BOUND = 30.0
# Without a backing store: nothing is lost when they just go.
PSEUDO_TYPES = frozenset(("proc", "sysfs", "devtmpfs", "devpts", "tmpfs", "cgroup2", "mqueue", "securityfs", "debugfs",
                          "tracefs", "bpf", "pstore", "rootfs", "ramfs"))  # fmt: skip


async def cordon_and_drain_node(machine: Machine) -> None:
    """Take no new pods and send those that are here to other nodes, if there are any and nobody is in a hurry."""
    from dozen.node.kubernetes import leaving

    await leaving.cordon_and_drain_node(machine)


async def stop_pods(machine: Machine) -> None:
    """End pods by their priorities; kubelet before them, since it would start them again."""
    if not machine.services.get("containerd").ready or (await machine.ending()).force:
        return
    from dozen.node import pods
    from dozen.node.containers import containerd
    from dozen.node.kubernetes.leaving import ask_priorities

    priorities = await ask_priorities(machine)
    await machine.services.end("kubelet")
    await pods.stop_pods(containerd(), priorities, pods.Budget(ORDINARY_PODS, CRITICAL_PODS))


async def hand_over_leadership(machine: Machine) -> None:
    """Give virtual addresses up, and etcd's leadership to another member: the cluster need not find out by itself then
    that this machine is gone."""
    if machine.virtual_addresses is not None:
        await machine.virtual_addresses.resign()
    if machine.etcd is not None:
        await machine.etcd.prepare_for_ending()


async def leave_cluster(machine: Machine) -> None:
    """Before a reset: out of etcd, so that its other members need not wait for one that will not come back."""
    from dozen.machinery.resources import etcd

    if machine.etcd is None or (await machine.ending()).force:
        return
    if machine.store.find(etcd.ETCD_MEMBER, etcd.LOCAL) is not None:
        await machine.etcd.leave()


async def stop_containers(machine: Machine) -> None:
    """Ask the main process of every container that is left to end, then make it."""
    if not machine.services.get("containerd").ready:
        return
    from dozen.node.containers import stop_all
    from dozen.rpc.status import RpcError

    try:
        await asyncio.wait_for(stop_all(CONTAINER_GRACE), CONTAINER_GRACE + 5)
    except (RpcError, TimeoutError) as error:
        machine.log.warning("containers are left to be killed: %s", error or "they do not end")


async def stop_all_services(machine: Machine) -> None:
    """Stop all services but apid: whoever asked for the end may still be watching it.

    The runtime of containers goes last, when nothing is left that it could end.
    """
    await machine.services.stop_all(keep=("machined", "apid", "containerd"))
    await stop_containers(machine)
    await machine.services.stop_all(keep=("machined", "apid"))


async def announce_restart(machine: Machine) -> None:
    """Tell how the machine ends, while somebody can hear it: apid goes with the next phase."""
    ending = await machine.ending()
    command = linux.RB_AUTOBOOT if ending.boots_again else linux.RB_POWER_OFF
    machine.events.publish("RestartEvent", {"cmd": command}, ending.actor_id)


async def stop_controllers(machine: Machine) -> None:
    """From here on nothing reacts to changes any more; otherwise what is unmounted would be mounted again."""
    for task in tuple(machine.background):
        task.cancel()
    if machine.background:
        await asyncio.wait(set(machine.background), timeout=5)


async def kill_processes(machine: Machine) -> None:
    """Signal every process of the machine but this one: first politely."""
    machine.logs.let_go()
    await machine.services.stop_all(keep=("machined",))
    for number, patience in ((signal.SIGTERM, PROCESS_GRACE), (signal.SIGKILL, 2.0)):
        if not _others():
            return
        os.kill(-1, number)
        deadline = asyncio.get_running_loop().time() + patience
        while _others() and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.05)


def _others() -> bool:
    """Whether a process with a program is left besides PID 1. Kernel threads have no /proc/PID/exe."""
    for entry in os.listdir("/proc"):
        if entry.isdigit() and entry != "1":
            try:
                os.readlink(f"/proc/{entry}/exe")
            except OSError:
                continue
            return True
    return False


async def unmount_all(machine: Machine) -> None:
    """Unmount all that has a disk behind it, newest first; what is busy is made read-only instead."""
    if machine.mode == "container":
        return
    for target in reversed(list(_backed_mounts())):
        try:
            linux.umount(target)
        except OSError as error:
            machine.log.warning("unmount=%s error=%s; making it read-only", target, error)
            try:
                linux.mount("none", target, "", linux.MS_REMOUNT | linux.MS_RDONLY, "")
            except OSError as refusal:
                machine.log.error("unmount=%s read-only=%s", target, refusal)


def _backed_mounts() -> Iterator[str]:
    with open("/proc/self/mountinfo") as stream:
        for line in stream:
            before, _, after = line.partition(" - ")
            target = before.split()[4]
            if target != "/" and after.split()[0] not in PSEUDO_TYPES:
                # Octal escapes: blank, tab, newline, backslash (proc_pid_mountinfo(5)).
                yield target.encode().decode("unicode_escape") if "\\" in target else target


async def sync_disks(machine: Machine) -> None:
    """Write everything out; a disk that does not answer must not keep the machine from going down."""
    try:
        await asyncio.wait_for(asyncio.to_thread(os.sync), SYNC_BOUND)
    except TimeoutError:
        machine.log.error("sync did not end within %g s; going down all the same", SYNC_BOUND)


async def wipe_disks(machine: Machine) -> None:
    """Do what a reset is for; what cannot be wiped is told, and the rest is wiped all the same."""
    from dozen.machinery.plan import EffectError

    for effect in (await machine.ending()).wipes:
        machine.log.warning("reset: %s", effect)
        try:
            await machine.run_effect(effect)
        except EffectError as error:
            machine.report_problem("reset", str(error))

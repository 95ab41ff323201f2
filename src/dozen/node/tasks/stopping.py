"""What ends a boot without losing anything: pods, services, mounts, disks, in this order, each within a bound.

A disk that does not answer holds whoever asks it inside the kernel, where no signal and no cancelling reaches: a
service that was killed does not end, umount(2) and sync(2) do not return. So nothing here waits for a process, a mount
or a disk for good, and what asks a disk does so in a thread that nobody ever joins (`ends_apart`). Only a reset's
wiping takes as long as it takes: half a wipe is none. `dozen.node.main` ends a boot that is stuck in spite of all this.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from dozen.linux import sys as linux

if TYPE_CHECKING:
    from dozen.node.machine import Machine

# As kubelet's shutdownGracePeriod and shutdownGracePeriodCriticalPods usually are, seconds.
ORDINARY_PODS, CRITICAL_PODS = 20.0, 10.0
CONTAINER_GRACE = 10.0
PROCESS_GRACE = 5.0
# After so many seconds the end goes on without: pods in all their waves, services in the order of their needs (etcd may
# take 30 s of it), the few services that are left then.
PODS_BOUND, SERVICES_BOUND, LAST_SERVICES_BOUND = 120.0, 90.0, 15.0
# One mount, and all of them together: one disk that does not answer must leave time for the others'.
MOUNT_BOUND, UNMOUNT_BOUND = 10.0, 60.0
LEAVE_BOUND = 90.0
SYNC_BOUND = 30.0
# Without a backing store: nothing is lost when they just go.
PSEUDO_TYPES = frozenset(("proc", "sysfs", "devtmpfs", "devpts", "tmpfs", "cgroup2", "mqueue", "securityfs", "debugfs",
                          "tracefs", "bpf", "pstore", "rootfs", "ramfs"))  # fmt: skip


async def ends_within(work: Coroutine[Any, Any, object], seconds: float) -> bool:
    """Whether ``work`` ended within so many seconds; what has not is cancelled, and not waited for."""
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        task.cancel()
        return False
    task.result()
    return True


def start_apart(work: Callable[[], object]) -> threading.Event:
    """Do what may block in the kernel for good in a thread that nobody waits for; the event says that it is done."""
    ended = threading.Event()

    def run() -> None:
        try:
            work()
        finally:
            ended.set()

    threading.Thread(target=run, daemon=True).start()
    return ended


async def ends_apart(work: Callable[[], object], seconds: float) -> bool:
    """Whether ``work``, which may block in the kernel, ended within so many seconds. The loop goes on meanwhile."""
    ended = start_apart(work)
    deadline = asyncio.get_running_loop().time() + seconds
    while not ended.is_set() and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.01)
    return ended.is_set()


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

    async def stop() -> None:
        priorities = await ask_priorities(machine)
        await machine.services.end("kubelet")
        await pods.stop_pods(containerd(), priorities, pods.Budget(ORDINARY_PODS, CRITICAL_PODS))

    if not await ends_within(stop(), PODS_BOUND):
        machine.log.warning("pods did not end within %g s; they end with the machine", PODS_BOUND)


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
    is_member = machine.store.find(etcd.ETCD_MEMBER, etcd.LOCAL) is not None
    if is_member and not await ends_within(machine.etcd.leave(), LEAVE_BOUND):
        raise TimeoutError(f"etcd was not left within {LEAVE_BOUND:g} s; take this member out of it by hand")


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
    await _stop_services(machine, SERVICES_BOUND, "machined", "apid", "containerd")
    await stop_containers(machine)
    await _stop_services(machine, LAST_SERVICES_BOUND, "machined", "apid")


async def _stop_services(machine: Machine, bound: float, *keep: str) -> None:
    """Stop all services but these. One whose disk does not answer may have been killed and still not end."""
    if not await ends_within(machine.services.stop_all(keep=keep), bound):
        machine.log.error("services did not end within %g s; going down all the same", bound)


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
    await _stop_services(machine, LAST_SERVICES_BOUND, "machined")
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
    clock = asyncio.get_running_loop().time
    deadline = clock() + UNMOUNT_BOUND
    for target in reversed(list(_backed_mounts())):
        bound = min(MOUNT_BOUND, deadline - clock())
        if bound <= 0:
            machine.log.error("unmount=%s error=no time is left for it", target)
        elif not await ends_apart(partial(_unmount, machine, target), bound):
            machine.log.error("unmount=%s error=it did not end within %g s", target, bound)


def _unmount(machine: Machine, target: str) -> None:
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
    if not await ends_apart(os.sync, SYNC_BOUND):
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

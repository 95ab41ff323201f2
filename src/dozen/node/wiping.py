"""What may be wiped: who uses a device, and which effects a request for wiping or resetting comes to.

All of it is a function of what the node observes (`Facts`): nothing is opened here. A request is checked whole before
anything of it is done. The kernel has the last word, because an effect opens what it wipes for itself alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from dozen.machinery.effects.wipe import DropPartition, WipeDevice
from dozen.machinery.resources import block
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.engine.store import Store
    from dozen.machinery.plan import Effect

# What a machine keeps of its own: the labels of its partitions.
SYSTEM_LABELS = ("META", "STATE", "EPHEMERAL")


class Facts(NamedTuple):
    """What is known of the machine's disks. ``mounts`` are pairs of a device and a folder, ``swaps`` devices."""

    devices: dict[str, block.BlockDeviceSpec]
    disks: dict[str, block.DiskSpec]
    volumes: dict[str, block.VolumeStatusSpec]
    system_disk: str = ""
    mounts: tuple[tuple[str, str], ...] = ()
    swaps: tuple[str, ...] = ()


def collect_facts(store: Store, mounts: Iterable[tuple[str, str]] = ()) -> Facts:
    """The facts as the node's resources have them."""
    system = store.find(block.SYSTEM_DISK, "system-disk")
    return Facts(
        {each.id: each.spec for each in store.list(block.BLOCK_DEVICE)},
        {each.id: each.spec for each in store.list(block.DISK)},
        {each.id: each.spec for each in store.list(block.VOLUME_STATUS) if each.spec.location},
        "" if system is None else system.spec.disk_id,
        tuple(mounts),
        tuple(each.spec.device for each in store.list(block.SWAP_STATUS)),
    )


class Wish(NamedTuple):
    """One device of a request to wipe, as the API's descriptor says it."""

    device: str
    zeroes: bool = False
    skip_volumes: bool = False
    skip_secondaries: bool = False
    drop: bool = False


# -- Wiping devices.


def plan_wipes(facts: Facts, wishes: Sequence[Wish]) -> list[Effect]:
    """The effects that do what is wished for. Raises RpcError for the first device that must not be wiped."""
    if not wishes:
        raise RpcError(Code.INVALID_ARGUMENT, "say which devices to wipe")
    return [effect for wish in wishes for effect in _plan_wipe(facts, wish)]


def _plan_wipe(facts: Facts, wish: Wish) -> Iterator[Effect]:
    name = wish.device.removeprefix("/dev/")
    device = facts.devices.get(name)
    if device is None:
        raise RpcError(Code.NOT_FOUND, f'there is no block device "{wish.device}": `get blockdevices` lists them')
    disk = facts.disks.get(device.parent or name)
    if disk is not None and (disk.readonly or disk.cdrom):
        raise RpcError(Code.FAILED_PRECONDITION, f"{name} cannot be written")
    if wish.drop and not device.parent:
        raise RpcError(Code.INVALID_ARGUMENT, f"{name} is no partition that could be dropped")
    users = [
        *find_users(facts, name),
        *(() if wish.skip_volumes else find_volumes(facts, name)),
        *(() if wish.skip_secondaries else find_secondaries(facts, name)),
    ]
    if users:
        raise RpcError(Code.FAILED_PRECONDITION, f"{name} is in use: {'; '.join(users)}")
    # What is made of it holds it open for itself alone; who skips that check wants it wiped all the same.
    yield WipeDevice(f"/dev/{name}", device.generation, wish.zeroes, exclusive=not wish.skip_secondaries)
    if wish.drop:
        yield DropPartition(f"/dev/{device.parent}", device.partition_number, device.generation)


def find_users(facts: Facts, name: str) -> list[str]:
    """What nothing may be wiped under: the running system, mounts, swap."""
    concerned = {f"/dev/{each}" for each in family(facts, name)}
    system = [f"{facts.system_disk} is what the system runs from"] if facts.system_disk in family(facts, name) else []
    mounted = [f"{source} is mounted on {target}" for source, target in facts.mounts if source in concerned]
    return [*system, *mounted, *(f"{each} is used as swap" for each in facts.swaps if each in concerned)]


def find_volumes(facts: Facts, name: str) -> list[str]:
    """The system's own volumes on a device."""
    concerned = {f"/dev/{each}" for each in family(facts, name)}
    return [f"{spec.location} is the volume {id}" for id, spec in facts.volumes.items() if spec.location in concerned]


def find_secondaries(facts: Facts, name: str) -> list[str]:
    """Devices that are made of this one: those of the device mapper, RAID."""
    concerned = family(facts, name)
    return [
        f"{other} is made of {each}"
        for other, spec in facts.devices.items()
        for each in spec.secondaries
        if each in concerned
    ]


def family(facts: Facts, name: str) -> set[str]:
    """A device and its partitions."""
    return {name, *(each for each, spec in facts.devices.items() if spec.parent == name)}


# -- Resetting the machine.


class ResetWish(NamedTuple):
    """A request to reset. ``partitions`` are labels with whether to wipe them; ``mode`` as the API names it."""

    mode: str = "ALL"
    partitions: tuple[tuple[str, bool], ...] = ()
    user_disks: tuple[str, ...] = ()


def plan_reset(facts: Facts, wish: ResetWish) -> list[Effect]:
    """What a reset wipes, once nothing uses it any more. Raises RpcError when the request makes no sense here."""
    if wish.mode == "SYSTEM_DISK" and wish.user_disks:
        raise RpcError(Code.INVALID_ARGUMENT, "mode SYSTEM_DISK wipes no user disks: name none, or use mode ALL")
    if wish.mode == "USER_DISKS" and wish.partitions:
        raise RpcError(Code.INVALID_ARGUMENT, "mode USER_DISKS wipes no system partitions: name none, or use mode ALL")
    if wish.mode == "USER_DISKS" and not wish.user_disks:
        raise RpcError(Code.INVALID_ARGUMENT, "mode USER_DISKS wipes the disks that user_disks_to_wipe names")
    effects: list[Effect] = [] if wish.mode == "USER_DISKS" else list(_wipe_system(facts, wish.partitions))
    return effects + [_wipe_user_disk(facts, path) for path in wish.user_disks]


def _wipe_system(facts: Facts, partitions: Sequence[tuple[str, bool]]) -> Iterator[Effect]:
    if partitions:
        for label, wanted in partitions:
            if label not in facts.volumes:
                there = ", ".join(sorted(facts.volumes)) or "none"
                raise RpcError(Code.INVALID_ARGUMENT, f'there is no system partition "{label}"; there are: {there}')
            if wanted:
                yield _wipe_path(facts, facts.volumes[label].location)
        return
    paths = {facts.volumes[label].location for label in SYSTEM_LABELS if label in facts.volumes}
    if not paths:
        raise RpcError(Code.FAILED_PRECONDITION, "this machine has no system partitions that could be wiped")
    disks = {spec.parent for name, spec in facts.devices.items() if f"/dev/{name}" in paths}
    # Where the running system's image shares the disk, what it keeps goes and the image stays.
    whole = disks and facts.system_disk not in disks
    for path in sorted(f"/dev/{disk}" for disk in disks) if whole else sorted(paths):
        yield _wipe_path(facts, path)


def _wipe_user_disk(facts: Facts, path: str) -> Effect:
    found = next((id for id, spec in facts.disks.items() if path in (spec.dev_path, id, *spec.symlinks)), None)
    if found is None:
        raise RpcError(Code.INVALID_ARGUMENT, f'there is no disk "{path}": `get disks` lists them')
    if facts.system_disk == found or find_volumes(facts, found):
        raise RpcError(Code.INVALID_ARGUMENT, f"{path} is the system's own disk and not a user's")
    if facts.disks[found].readonly or facts.disks[found].cdrom:
        raise RpcError(Code.INVALID_ARGUMENT, f"{path} cannot be written")
    return _wipe_path(facts, f"/dev/{found}")


def _wipe_path(facts: Facts, path: str) -> WipeDevice:
    device = facts.devices.get(path.removeprefix("/dev/"))
    # Everything is unmounted by then; what could not be is read-only, and wiped all the same.
    return WipeDevice(path, 0 if device is None else device.generation, exclusive=False)

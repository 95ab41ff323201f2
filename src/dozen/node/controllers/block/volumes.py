"""Plans the system's volumes: META, STATE and EPHEMERAL, on one data disk.

The disk is the one that carries our partition labels. Where none does, a blank one is partitioned: the disk that the
configuration names, or else the first that is writable, large enough and not the one that the system runs from. A disk
with anything recognizable on it is never written to. EPHEMERAL and STATE are then formatted, mounted on /var and
/system/state, and repaired when they do not mount. Whatever stands in the way becomes the volume's reason, and the node
goes on without. One thing is done at a time: EPHEMERAL's first, because services wait for it, and a volume that failed
gives way to the other one.

How far things got is told by what is observed alone: partition labels, what a device holds, the table of mounts, and
the outcome of earlier effects. So a plan picks up wherever an interrupted boot left off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from dozen.linux import block_kinds as words
from dozen.linux.block_devices import VIRTUAL, natural
from dozen.machinery.effects.block import FormatXFS, RepairXFS, WritePartitionTable
from dozen.machinery.effects.mount import Mount
from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources import block, config
from dozen.node.configuration import complete
from dozen.node.controllers.block.wanted import EPHEMERAL, META, STATE, is_settled, owners, setting, wanted_disk

MIB = 1 << 20
# behaviours of the reference: META 1 MiB raw, STATE 100 MiB, EPHEMERAL all that is left.
LAYOUT = ((META, 1 * MIB), (STATE, 100 * MIB), (EPHEMERAL, 0))
# mkfs.xfs refuses less than 300 MB; a little room for the table and the two small partitions.
SMALLEST_XFS = 300 * MIB
SMALLEST_DISK = 512 * MIB
VAR = "/var"
# Quotas by project are what the kubelet measures local storage with. Nothing of the node's own needs device nodes or
# set-uid programs from there; container root file systems are mounts of their own and are not bound by this.
VAR_OPTIONS = ("nosuid", "nodev", "prjquota")
STATE_DIRECTORY = "/system/state"
STATE_OPTIONS = ("nosuid", "nodev", "noexec")


class Volume(NamedTuple):
    """A partition with one of our labels, and what is known of it."""

    name: str
    found: block.DiscoveredVolumeSpec
    content: words.ContentSpec


class Place(NamedTuple):
    """What a volume with a file system is for."""

    label: str
    target: str
    options: tuple[str, ...]
    quotas: bool = False


PLACES = (
    Place(EPHEMERAL, VAR, VAR_OPTIONS, quotas=True),
    Place(STATE, STATE_DIRECTORY, STATE_OPTIONS),
)


class Choice(NamedTuple):
    """The disk for the volumes: the one that has them, or a blank one to be partitioned, or neither and the reasons.
    ``waiting``: the answer may be another one once all has been read."""

    present: str = ""
    blank: str = ""
    reason: str = ""
    waiting: bool = False


class VolumesController:
    """Devices, outcomes, mounts, configuration → partitions, file system, mount; VolumeStatus."""

    name = "volumes"
    inputs = (
        Input(block.DISK),
        Input(block.BLOCK_DEVICE),
        Input(block.DISCOVERED_VOLUME),
        Input(block.SYSTEM_DISK),
        Input(block.MOUNT_STATUS),
        Input(words.CONTENT),
        Input(words.OUTCOME),
        Input(words.SCAN),
        Input(config.MACHINE_CONFIG, config.ACTIVE),
    )
    outputs = (block.VOLUME_STATUS,)

    def plan(self, view: View) -> Iterable[Step]:
        choice = choose_disk(view)
        if choice.present:
            volumes = volumes_of(view, choice.present)
            yield from _plan_meta(volumes.get(META))
            yield from _plan_filesystems(view, volumes)
            return
        last = _outcome(view, choice.blank, words.PARTITION) if choice.blank else None
        failed = last is not None and last.result == words.FAILED
        reason = last.message if failed and last is not None else choice.reason
        phase = "failed" if failed else "waiting" if choice.waiting else "missing"
        # Status before effects: a reader sees the reason even if the effect takes long, or fails.
        for name, _ in LAYOUT:
            yield Put(block.VOLUME_STATUS, name, block.VolumeStatusSpec(phase=phase, error_message=reason))
        content = _content(view, choice.blank) if choice.blank else None
        if content is not None:
            yield WritePartitionTable(f"/dev/{choice.blank}", content.generation, LAYOUT, content.content)


# -- Which disk.


def choose_disk(view: View) -> Choice:
    """The disk that has our volumes, or that may get them.

    Only once all devices are known may a blank disk be taken unasked: another may turn up that has the volumes.
    """
    wanted = wanted_disk(view)
    owning = owners(view)
    if wanted in owning:
        return Choice(present=wanted)
    system = system_disk(view)
    if not wanted and system in owning:
        return Choice(present=system)
    if len(owning) > 1 and not wanted:
        return Choice(
            reason=f"{_both(owning)} each hold an {EPHEMERAL} volume, and which is this node's cannot be told; "
            "name it in machine.install.disk or remove the others"
        )
    if owning and not wanted:
        return Choice(present=owning[0])
    # A disk that its owner named needs no comparison with disks that are still to be found.
    if not wanted and not is_settled(view):
        return Choice(reason="waiting for all disks to be found", waiting=True)
    choice = _choose_blank(view, wanted)
    return choice._replace(waiting=choice.waiting or not is_settled(view))


def _choose_blank(view: View, wanted: str | None) -> Choice:
    if complete(view) is None:
        # Which disk it is to be, only the configuration can say: a wrong guess could not be undone.
        return Choice(reason="no disk is taken before the machine has a configuration")
    if wanted == "":
        return _first_blank(view)
    if wanted is None or view.get(block.DISK, wanted) is None:
        return Choice(reason=f"{setting(view)} names a disk that this machine does not have")
    if _has_unread(view, wanted):
        return Choice(reason=_unread([wanted]), waiting=True)
    # Named by its owner, a disk may hold stray data; still nothing that is recognizably somebody's.
    refusal = refuse_disk(view, wanted, named=True)
    return Choice(reason=f"{setting(view)} cannot be used: {refusal}") if refusal else Choice(blank=wanted)


def _first_blank(view: View) -> Choice:
    refusals = []
    found = (each.id for each in view.list(block.DISK) if not each.spec.cdrom and not VIRTUAL.match(each.id))
    disks = sorted(found, key=natural)
    # One of them may have the volumes. So has the disk that was partitioned a moment ago, on a machine that is slow to
    # read: neither is that one a stranger's, nor is a second disk needed.
    if unread := [disk for disk in disks if _has_unread(view, disk)]:
        return Choice(reason=_unread(unread), waiting=True)
    for disk in disks:
        refusal = refuse_disk(view, disk, named=False)
        if not refusal:
            return Choice(blank=disk)
        refusals.append(refusal)
    seen = "; ".join(refusals) if refusals else "this machine has no disks"
    return Choice(reason=f"no blank disk for the volume {EPHEMERAL}: {seen}")


def _has_unread(view: View, disk: str) -> bool:
    """Whether the kernel knows of partitions on the disk that were not looked into yet."""
    partitions = (each.id for each in view.list(block.BLOCK_DEVICE) if each.spec.parent == disk)
    return any(_content(view, partition) is None for partition in partitions)


def _unread(disks: list[str]) -> str:
    return f"waiting for the partitions of {_both(disks)} to be read"


def refuse_disk(view: View, name: str, *, named: bool) -> str:
    """Why a disk may not be partitioned, or "" when it may."""
    disk, content = view.get(block.DISK, name), _content(view, name)
    held = view.get(block.DISCOVERED_VOLUME, name)
    if disk is None or VIRTUAL.match(name):
        return f"{name} is no disk"
    if name == system_disk(view):
        return f"{name} is the system's own"
    if disk.spec.cdrom or disk.spec.readonly:
        return f"{name} is read-only"
    if disk.spec.size < SMALLEST_DISK:
        return f"{name} is too small ({disk.spec.pretty_size}; {SMALLEST_DISK // MIB} MiB are needed)"
    if disk.spec.secondary_disks or any(name in each.spec.secondary_disks for each in view.list(block.DISK)):
        return f"{name} is in use by another device"
    if content is None:
        return f"{name} does not answer"
    if content.content == words.UNREADABLE:
        return f"{name} cannot be read ({content.error})"
    if content.content == words.BLANK or (named and content.content == words.UNKNOWN):
        return ""
    if content.content == words.RECOGNIZED and held is not None:
        return f"{name} holds {held.spec.name}"
    return f"{name} holds data"


def system_disk(view: View) -> str:
    """The name of the disk that the root file system is on, or ""."""
    found = view.get(block.SYSTEM_DISK, "system-disk")
    return "" if found is None else found.spec.disk_id


def _both(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


# -- The volumes on it.


def volumes_of(view: View, disk: str) -> dict[str, Volume]:
    """Our partitions of a disk, by label."""
    volumes = {}
    for each in view.list(block.DISCOVERED_VOLUME):
        content = _content(view, each.id)
        if each.spec.parent == disk and each.spec.partition_label in (META, STATE, EPHEMERAL) and content is not None:
            volumes[each.spec.partition_label] = Volume(each.id, each.spec, content)
    return volumes


def _content(view: View, device: str) -> words.ContentSpec | None:
    found = view.get(words.CONTENT, device)
    return None if found is None else found.spec


def _outcome(view: View, device: str, action: str) -> words.OutcomeSpec | None:
    """The last outcome, unless the device was detached since: then it is another device's."""
    found, content = view.get(words.OUTCOME, words.outcome_id(device, action)), _content(view, device)
    if found is None or content is None or found.spec.generation != content.generation:
        return None
    return found.spec


def _status(volume: Volume, phase: str, reason: str = "") -> block.VolumeStatusSpec:
    found = volume.found
    return block.VolumeStatusSpec(
        phase=phase,
        type="partition",
        location=found.dev_path,
        mount_location=found.dev_path,
        partition_index=found.partition_index,
        parent_location=found.parent_dev_path,
        uuid=found.uuid,
        partition_uuid=found.partition_uuid,
        size=found.size,
        pretty_size=found.pretty_size,
        filesystem="xfs" if found.name == "xfs" else "none",
        error_message=reason,
    )


def _plan_meta(volume: Volume | None) -> Iterator[Step]:
    """META is used as it is (`dozen.linux.meta`)."""
    if volume is None:
        yield Put(block.VOLUME_STATUS, META, block.VolumeStatusSpec(phase="missing"))
    elif volume.content.content == words.UNREADABLE:
        yield Put(block.VOLUME_STATUS, META, _status(volume, "failed", _unreadable(volume)))
    else:
        yield Put(block.VOLUME_STATUS, META, _status(volume, "ready"))


def _plan_filesystems(view: View, volumes: dict[str, Volume]) -> Iterator[Step]:
    """All statuses, then the effect of the volume whose last failure is the longest ago."""
    effects = []
    for place in PLACES:
        volume = volumes.get(place.label)
        for step in plan_volume(view, place, volume):
            if isinstance(step, Put):
                yield step
            elif volume is not None:
                effects.append((_last_failure(view, volume), step))
    if effects:
        yield min(effects, key=lambda pair: pair[0])[1]


def _last_failure(view: View, volume: Volume) -> int:
    """The number of the volume's last outcome if that was a failure, else 0."""
    outcomes = [_outcome(view, volume.name, action) for action in (words.FORMAT, words.MOUNT, words.REPAIR)]
    last = max((each for each in outcomes if each is not None), key=lambda each: each.number, default=None)
    return last.number if last is not None and last.result == words.FAILED else 0


def _unreadable(volume: Volume) -> str:
    return f"{volume.name} cannot be read ({volume.content.error})"


def plan_volume(view: View, place: Place, volume: Volume | None) -> Iterator[Step]:
    """From a partition to a file system in its place: a status, then at most one effect."""
    label = place.label
    if volume is None:
        # Its disk was seen a moment ago, but the partition itself has not been read yet.
        yield Put(block.VOLUME_STATUS, label, block.VolumeStatusSpec(phase="waiting"))
        return
    mounted = view.get(block.MOUNT_STATUS, label)
    if mounted is not None:
        if mounted.spec.source == volume.found.dev_path:
            mount = block.VolumeMount(target_path=place.target, project_quota_support=place.quotas, secure=True)
            yield _put(place, msgspec.structs.replace(_status(volume, "ready"), mount_spec=mount))
        else:
            reason = f"{mounted.spec.source} is mounted on {place.target} instead of {volume.name}"
            yield _put(place, _status(volume, "failed", reason))
    elif volume.content.content == words.UNREADABLE:
        yield _put(place, _status(volume, "failed", _unreadable(volume)))
    elif volume.content.content in (words.BLANK, words.INTERRUPTED):
        yield from _plan_format(view, place, volume)
    elif volume.content.content == words.RECOGNIZED and volume.found.name != "xfs":
        reason = f"{volume.name} holds {volume.found.name}, which is not ours to change"
        yield _put(place, _status(volume, "failed", reason))
    else:
        yield from _plan_mount(view, place, volume)


def _put(place: Place, spec: block.VolumeStatusSpec) -> Put[block.VolumeStatusSpec]:
    return Put(block.VOLUME_STATUS, place.label, spec)


def _plan_format(view: View, place: Place, volume: Volume) -> Iterator[Step]:
    last = _outcome(view, volume.name, words.FORMAT)
    failed = last is not None and last.result == words.FAILED
    status = _status(volume, "failed", last.message) if failed and last is not None else _status(volume, "located")
    yield _put(place, status)
    small = volume.found.size < SMALLEST_XFS
    yield FormatXFS(volume.found.dev_path, volume.content.generation, place.label, volume.content.content, small)


def _plan_mount(view: View, place: Place, volume: Volume) -> Iterator[Step]:
    """Mount; if the file system is damaged repair it and mount again, once; give its log up only as the last resort."""
    device, generation = volume.found.dev_path, volume.content.generation
    mount = Mount(device, place.target, "xfs", place.options, generation)
    tried = _outcome(view, volume.name, words.MOUNT)
    repaired = _outcome(view, volume.name, words.REPAIR)
    if tried is None or tried.result == words.OK:
        yield _put(place, _status(volume, "provisioned"))
        yield mount
    elif tried.result == words.FAILED:
        # The disk may come to its senses: the effect fails with a back-off, so this is no busy loop.
        yield _put(place, _status(volume, "failed", tried.message))
        yield mount
    elif repaired is None:
        yield _put(place, _status(volume, "provisioned", f"{tried.message}; it is being repaired"))
        yield RepairXFS(device, generation)
    elif repaired.result == words.DIRTY_LOG:
        yield _put(place, _status(volume, "provisioned", f"{tried.message}; it is being repaired without its log"))
        yield RepairXFS(device, generation, zero_log=True)
    elif repaired.result == words.FAILED:
        yield _put(place, _status(volume, "failed", f"{tried.message}, and repairing it failed: {repaired.message}"))
    elif repaired.number > tried.number:
        yield _put(place, _status(volume, "provisioned"))
        yield mount
    else:
        yield _put(place, _status(volume, "failed", f"{tried.message}, even after it was repaired"))

"""Disks, what is on them, and the volumes that the system keeps there. Sizes are bytes."""

from __future__ import annotations

from dozen.machinery.resource import Kind
from dozen.machinery.resources.spec import Spec


class BlockDeviceSpec(Spec):
    """A block device that the kernel announced; id ``sda``, ``vda1``."""

    type: str = ""
    major: int = 0
    minor: int = 0
    partition_name: str = ""
    partition_number: int = 0
    device_path: str = ""
    generation: int = 0
    parent: str = ""
    secondaries: tuple[str, ...] = ()

    WIRE = """
        1 type string, 2 major int64, 3 minor int64, 4 partitionName string omit, 5 partitionNumber int64 omit,
        7 devicePath string, 6 generation int64, 8 parent string omit, 9 secondaries [string] omit
    """


BLOCK_DEVICE = Kind(
    "BlockDevices.block.talos.dev",
    "runtime",
    BlockDeviceSpec,
    "BlockDevice",
    aliases=("blockdevice", "bd", "bds"),
    columns=(("Type", "{.type}"), ("PartitionName", "{.partitionName}"), ("Generation", "{.generation}")),
)


class DiscoveredVolumeSpec(Spec):
    """What probing a block device found on it. Sizes and offsets are bytes."""

    dev_path: str = ""
    type: str = ""
    device_path: str = ""
    parent: str = ""
    parent_dev_path: str = ""
    offset: int = 0
    size: int = 0
    pretty_size: str = ""
    sector_size: int = 0
    io_size: int = 0
    name: str = ""
    uuid: str = ""
    label: str = ""
    block_size: int = 0
    filesystem_block_size: int = 0
    probed_size: int = 0
    partition_uuid: str = ""
    partition_type: str = ""
    partition_label: str = ""
    partition_index: int = 0

    WIRE = """
        17 dev_path string, 14 type string, 15 device_path string, 16 parent string omit,
        18 parent_dev_path string omit, 20 offset uint64, 1 size uint64, 19 pretty_size string,
        2 sector_size uint64 omit, 3 io_size uint64 omit, 4 name string, 5 uuid string omit,
        6 label string omit, 7 block_size uint32 omit, 8 filesystem_block_size uint32 omit,
        9 probed_size uint64 omit, 10 partition_uuid string omit, 11 partition_type string omit,
        12 partition_label string omit, 13 partition_index uint64 omit
    """


DISCOVERED_VOLUME = Kind(
    "DiscoveredVolumes.block.talos.dev",
    "runtime",
    DiscoveredVolumeSpec,
    "DiscoveredVolume",
    aliases=("discoveredvolume", "dv", "dvs"),
    columns=(
        ("Type", "{.type}"),
        ("Size", "{.pretty_size}"),
        ("Discovered", "{.name}"),
        ("Label", "{.label}"),
        ("PartitionLabel", "{.partition_label}"),
    ),
)


class DiskSpec(Spec):
    """A whole disk."""

    dev_path: str = ""
    size: int = 0
    pretty_size: str = ""
    io_size: int = 0
    sector_size: int = 0
    readonly: bool = False
    cdrom: bool = False
    model: str = ""
    firmware_version: str = ""
    serial: str = ""
    modalias: str = ""
    wwid: str = ""
    uuid: str = ""
    bus_path: str = ""
    sub_system: str = ""
    transport: str = ""
    rotational: bool = False
    secondary_disks: tuple[str, ...] = ()
    symlinks: tuple[str, ...] = ()

    WIRE = """
        14 dev_path string, 1 size uint64, 15 pretty_size string, 2 io_size uint64, 3 sector_size uint64,
        4 readonly bool, 13 cdrom bool, 5 model string omit, 19 firmware_version string omit,
        6 serial string omit, 7 modalias string omit, 8 wwid string omit, 17 uuid string omit,
        9 bus_path string omit, 10 sub_system string omit, 11 transport string omit, 12 rotational bool omit,
        16 secondary_disks [string] omit, 18 symlinks [string] omit
    """


DISK = Kind(
    "Disks.block.talos.dev",
    "runtime",
    DiskSpec,
    "Disk",
    aliases=("disk",),
    columns=(
        ("Size", "{.pretty_size}"),
        ("Read Only", "{.readonly}"),
        ("Transport", "{.transport}"),
        ("Rotational", "{.rotational}"),
        ("WWID", "{.wwid}"),
        ("Model", "{.model}"),
        ("Serial", "{.serial}"),
    ),
)


class SystemDiskSpec(Spec):
    """The disk that the system is installed on; id ``system-disk``."""

    disk_id: str = ""
    dev_path: str = ""

    WIRE = "1 diskID string, 2 devPath string"


SYSTEM_DISK = Kind(
    "SystemDisks.block.talos.dev",
    "runtime",
    SystemDiskSpec,
    "SystemDisk",
    aliases=("systemdisk", "sd", "sds"),
    columns=(("Disk", "{.diskID}"),),
)


class TpmOptions(Spec):
    """What a TPM-sealed key is bound to."""

    pcrs: tuple[int, ...] = ()
    pub_key_pcrs: tuple[int, ...] = ()

    WIRE = "1 pcrs [int64] omit, 2 pubKeyPcrs [int64] omit"


class FilesystemParameter(Spec):
    """One parameter of a file system."""

    type: str = "string"
    name: str = ""
    string: str = ""
    binary: bytes = b""

    WIRE = "1 type enum:FSParameterType, 2 name string, 3 string string omit, 5 binary bytes omit"


class VolumeMount(Spec):
    """Where and how a volume is mounted."""

    target_path: str = ""
    selinux_label: str = ""
    project_quota_support: bool = False
    parent_id: str = ""
    file_mode: int = 0
    uid: int = 0
    gid: int = 0
    recursive_relabel: bool = False
    bind_target: str = ""
    parameters: tuple[FilesystemParameter, ...] = ()
    secure: bool = False
    no_exec: bool = False

    WIRE = """
        1 targetPath string, 2 selinuxLabel string, 3 projectQuotaSupport bool, 4 parentId string omit,
        5 fileMode uint32 omit, 6 uid int64 omit, 7 gid int64 omit, 8 recursiveRelabel bool omit,
        9 bindTarget string omit, 10 parameters [FilesystemParameter] omit, 11 secure bool omit,
        12 noExec bool omit
    """


class VolumeSymlink(Spec):
    """A volume that is a symbolic link."""

    symlink_target_path: str = ""
    force: bool = False

    WIRE = "1 symlinkTargetPath string, 2 force bool"


class VolumeStatusSpec(Spec):
    """A volume and how far its provisioning got."""

    phase: str = "waiting"
    pre_fail_phase: str = ""
    type: str = "partition"
    parent_id: str = ""
    location: str = ""
    mount_location: str = ""
    partition_index: int = 0
    parent_location: str = ""
    uuid: str = ""
    partition_uuid: str = ""
    size: int = 0
    pretty_size: str = ""
    filesystem: str = ""
    encryption_provider: str = ""
    encryption_failed_syncs: tuple[str, ...] = ()
    configured_encryption_keys: tuple[str, ...] = ()
    encryption_locked_to_state: bool = False
    encryption_slot: int = 0
    tpm_encryption_options: TpmOptions | None = None
    encryption_allow_discards: bool = False
    trim_enabled: bool = False
    trim_interval: int = 0
    scrub_enabled: bool = False
    scrub_interval: int = 0
    mount_spec: VolumeMount | None = None
    symlink: VolumeSymlink | None = None
    error_message: str = ""

    WIRE = """
        1 phase enum:VolumePhase, 6 preFailPhase enum:VolumePhase omit, 16 type enum:VolumeType,
        19 parentID string omit, 2 location string omit, 11 mountLocation string omit,
        8 partitionIndex int64 omit, 7 parentLocation string omit, 4 uuid string omit,
        5 partitionUUID string omit, 9 size uint64 omit, 13 prettySize string omit,
        10 filesystem enum:FilesystemType omit, 12 encryptionProvider enum:EncryptionProviderType omit,
        14 encryptionFailedSyncs [string] omit, 17 configuredEncryptionKeys [string] omit,
        20 encryptionLockedToState bool omit, 21 encryptionSlot int64 omit,
        22 tpmEncryptionOptions TpmOptions omit, 23 encryptionAllowDiscards bool omit, 24 trimEnabled bool omit,
        25 trimInterval duration omit, 26 scrubEnabled bool omit, 27 scrubInterval duration omit,
        15 mountSpec VolumeMount omit, 18 symlink VolumeSymlink omit, 3 errorMessage string omit
    """


VOLUME_STATUS = Kind(
    "VolumeStatuses.block.talos.dev",
    "runtime",
    VolumeStatusSpec,
    "VolumeStatus",
    aliases=("volumestatus", "vs"),
    columns=(("Type", "{.type}"), ("Phase", "{.phase}"), ("Location", "{.location}"), ("Size", "{.prettySize}")),
)


class MountRequest(Spec):
    """Who asked for a mount, and how."""

    volume_id: str = ""
    parent_id: str = ""
    read_only: bool = False
    detached: bool = False
    disable_access_time: bool = False
    secure: bool = False
    no_exec: bool = False
    requesters: tuple[str, ...] = ()
    requester_ids: tuple[str, ...] = ()

    WIRE = """
        1 volumeID string, 2 parentID string, 5 readOnly bool, 6 detached bool, 7 disableAccessTime bool omit,
        8 secure bool omit, 9 noExec bool omit, 3 requesters [string], 4 requesterIDs [string]
    """


class MountStatusSpec(Spec):
    """A mounted volume."""

    spec: MountRequest = MountRequest()
    source: str = ""
    target: str = ""
    filesystem: str = "none"
    encryption_provider: str = ""
    read_only: bool = False
    project_quota_support: bool = False
    detached: bool = False

    WIRE = """
        1 spec MountRequest, 3 source string, 2 target string, 4 filesystem enum:FilesystemType,
        7 encryptionProvider enum:EncryptionProviderType omit, 5 readOnly bool, 6 projectQuotaSupport bool,
        8 detached bool
    """


MOUNT_STATUS = Kind(
    "MountStatuses.block.talos.dev",
    "runtime",
    MountStatusSpec,
    "MountStatus",
    aliases=("mountstatus", "ms"),
    columns=(
        ("Source", "{.source}"),
        ("Target", "{.target}"),
        ("Filesystem", "{.filesystem}"),
        ("Volume", "{.spec.volumeID}"),
    ),
)


class SymlinkSpec(Spec):
    """The links under /dev/disk that point to a block device; its id is the device."""

    paths: tuple[str, ...] = ()

    WIRE = "1 paths [string]"


BLOCK_SYMLINK = Kind(
    "BlockSymlinks.block.talos.dev",
    "runtime",
    SymlinkSpec,
    "BlockSymlink",
    aliases=("blocksymlink", "bs"),
)


class SwapStatusSpec(Spec):
    """Memory on a disk or in a file that the kernel uses; the id is its path. Bytes."""

    device: str = ""
    type: str = ""
    size: int = 0
    size_human: str = ""
    used: int = 0
    used_human: str = ""
    priority: int = 0

    WIRE = """
        1 device string, 7 type string, 2 size uint64, 3 sizeHuman string, 4 used uint64, 5 usedHuman string,
        6 priority int32
    """


SWAP_STATUS = Kind(
    "SwapStatuses.block.talos.dev",
    "runtime",
    SwapStatusSpec,
    "SwapStatus",
    aliases=("swap", "swaps", "swapstatus", "ss"),
    columns=(
        ("Device", "{.device}"),
        ("Size", "{.sizeHuman}"),
        ("Used", "{.usedHuman}"),
        ("Priority", "{.priority}"),
    ),
)


class VolumeTrimScheduleSpec(Spec):
    """When a volume's unused blocks are given back to its disk; ids are the volumes'."""

    filesystem: str = ""
    interval: int = 0
    next_trim: int = 0

    WIRE = "1 filesystem enum:FilesystemType, 2 interval duration, 3 nextTrim timestamp"


VOLUME_TRIM_SCHEDULE = Kind(
    "VolumeTrimSchedules.block.talos.dev",
    "runtime",
    VolumeTrimScheduleSpec,
    "VolumeTrimSchedule",
    aliases=("volumetrimschedule", "vts"),
    columns=(("Filesystem", "{.filesystem}"), ("Interval", "{.interval}"), ("Next Trim", "{.nextTrim}")),
)

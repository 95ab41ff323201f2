"""Who may call what: roles, and the table of methods that each may use.

A caller's roles are the organizations in its certificate. A method that the table does not name is for administrators.
Unknown roles are kept, as a newer client may carry them, and open nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

METADATA_KEY = "talos-role"


class Role(StrEnum):
    """A role, by its name in certificates."""

    ADMIN = "os:admin"
    OPERATOR = "os:operator"
    READER = "os:reader"
    ETCD_BACKUP = "os:etcd:backup"
    IMAGE_VERIFIER = "os:image:verifier"
    META_WRITER = "os:meta:writer"
    IMPERSONATOR = "os:impersonator"


class NotAuthorized(Exception):
    """The caller has none of the roles that the method asks for."""

    def __init__(self, path: str) -> None:
        super().__init__("not authorized")
        self.path = path


_ADMINS = frozenset({Role.ADMIN})
_OPERATORS = _ADMINS | {Role.OPERATOR}
_READERS = _OPERATORS | {Role.READER}
# Readers are let through by the table, and by `authorize` only while the machine has no configuration: then every
# caller is a reader, and these calls are what gets it out of that state.
_ADMINS_OR_FIRST_VISITORS = _ADMINS | {Role.READER}


def _expand(service: str, rules: dict[frozenset[Role], str]) -> dict[str, frozenset[Role]]:
    return {f"/{service}/{method}": roles for roles, methods in rules.items() for method in methods.split()}


RULES: dict[str, frozenset[Role]] = {
    **_expand(
        "machine.MachineService",
        {
            _READERS: """
                CPUInfo CPUFreqStats Containers DiskStats DiskUsage Dmesg Events Hostname ImageList List LoadAvg Logs
                LogsContainers Memory Mounts NetworkDeviceStats Netstat Processes ServiceList Stats SystemStat Version
            """,
            _OPERATORS: """
                EtcdAlarmDisarm EtcdDefragment ImagePull PacketCapture Reboot Restart ServiceRestart ServiceStart
                ServiceStop Shutdown
            """,
            _ADMINS: """
                Bootstrap Copy EtcdDowngradeCancel EtcdDowngradeEnable EtcdDowngradeValidate EtcdForfeitLeadership
                EtcdLeaveCluster EtcdRecover EtcdRemoveMemberByID GenerateClientConfiguration Kubeconfig Read Reset
                Rollback Upgrade
            """,
            _ADMINS_OR_FIRST_VISITORS: "ApplyConfiguration",
            _READERS | {Role.ETCD_BACKUP}: "EtcdAlarmList EtcdMemberList EtcdStatus",
            _OPERATORS | {Role.ETCD_BACKUP}: "EtcdSnapshot",
            _ADMINS | {Role.META_WRITER}: "MetaWrite MetaDelete",
        },
    ),
    **_expand(
        "machine.ImageService",
        {
            _READERS: "List",
            _OPERATORS: "Pull",
            _ADMINS: "Import Remove",
            _READERS | {Role.IMAGE_VERIFIER}: "Verify",
        },
    ),
    **_expand("machine.DebugService", {_ADMINS: "ContainerRun"}),
    **_expand("machine.LifecycleService", {_ADMINS: "Install Upgrade"}),
    **_expand("machine.StorageService", {_READERS: "Statfs"}),
    **_expand(
        "machine.LVMService",
        {_ADMINS_OR_FIRST_VISITORS: "LogicalVolumeRemove VolumeGroupRemove PhysicalVolumeRemove"},
    ),
    **_expand("machine.MDService", {_ADMINS_OR_FIRST_VISITORS: "Destroy"}),
    **_expand(
        "cosi.resource.State",
        {_READERS: "Get List Watch", _ADMINS: "Create Destroy Teardown TeardownAndDestroy Update"},
    ),
    **_expand("storage.StorageService", {_READERS: "Disks", _ADMINS_OR_FIRST_VISITORS: "BlockDeviceWipe"}),
    **_expand("cluster.ClusterService", {_READERS: "HealthCheck"}),
    **_expand("inspect.InspectService", {_READERS: "ControllerRuntimeDependencies"}),
    **_expand("time.TimeService", {_READERS: "Time TimeCheck"}),
    # Neither is served on the port where roles count: trustd knows its callers by the machine's token, and signing for
    # secure boot is nothing that a node does. Here an administrator is told so, and nobody else is told anything.
    **_expand("securityapi.SecurityService", {_ADMINS: "Certificate"}),
    **_expand("signerapi.SignerService", {_ADMINS: "GetCertificate GetPublicKey Sign"}),
}

_FIRST_VISITS = frozenset(path for path, roles in RULES.items() if roles == _ADMINS_OR_FIRST_VISITORS)


def authorize(path: str, roles: Iterable[str], *, maintenance: bool = False) -> None:
    """Raise NotAuthorized unless one of the roles may call the method.

    ``maintenance``: the machine waits for its first configuration.
    """
    allowed = RULES.get(path, _ADMINS)
    if path in _FIRST_VISITS and not maintenance:
        allowed = _ADMINS
    if allowed.isdisjoint(roles):
        raise NotAuthorized(path)

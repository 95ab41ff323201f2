"""The machine API: one module per theme, each with a `register(router, machine)`.

`build_router` makes the handler of the machine socket. A theme is imported when one of its methods is called for the
first time: a node answers its first call seconds before anybody asks for an archive or a container, and importing is
what a start of Python is made of. So the table `THEMES` says which theme serves what, and a test holds each theme to
it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from dozen.node.api.access import check_access
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.node.api.ports import Machine
    from dozen.rpc.router import Router
    from dozen.rpc.servercall import ServerCall

# Theme → services and their methods.
THEMES: dict[str, dict[str, str]] = {
    "stats": {
        "machine.MachineService": """
            Version Hostname Memory LoadAvg SystemStat CPUInfo CPUFreqStats
            DiskStats NetworkDeviceStats Mounts Processes
        """,
        "machine.StorageService": "Statfs",
    },
    "files": {"machine.MachineService": "List DiskUsage Read Copy"},
    "services": {"machine.MachineService": "ServiceList ServiceStart ServiceStop ServiceRestart"},
    "logs": {"machine.MachineService": "Logs LogsContainers Dmesg Events"},
    "configuration": {"machine.MachineService": "ApplyConfiguration GenerateClientConfiguration"},
    "lifecycle": {"machine.MachineService": "Reboot Shutdown MetaWrite MetaDelete"},
    "reset": {"machine.MachineService": "Reset"},
    "installing": {
        "machine.LifecycleService": "Install Upgrade",
        "machine.MachineService": "Upgrade Rollback",
    },
    "storage": {"storage.StorageService": "Disks BlockDeviceWipe"},
    "lvm": {"machine.LVMService": "LogicalVolumeRemove VolumeGroupRemove PhysicalVolumeRemove"},
    "kubeconfig": {"machine.MachineService": "Kubeconfig"},
    "etcd": {
        "machine.MachineService": """
            Bootstrap EtcdMemberList EtcdStatus EtcdSnapshot EtcdRecover EtcdAlarmList EtcdAlarmDisarm EtcdDefragment
            EtcdLeaveCluster EtcdRemoveMemberByID EtcdForfeitLeadership EtcdDowngradeValidate EtcdDowngradeEnable
            EtcdDowngradeCancel
        """
    },
    "containers": {"machine.MachineService": "Containers Stats Restart"},
    "images": {
        "machine.ImageService": "List Pull Import Remove",
        "machine.MachineService": "ImageList ImagePull",
    },
    "debug": {"machine.DebugService": "ContainerRun"},
    "network": {"machine.MachineService": "Netstat PacketCapture"},
    "inspect": {"inspect.InspectService": "ControllerRuntimeDependencies"},
    "health": {"cluster.ClusterService": "HealthCheck"},
    "timeservice": {"time.TimeService": "Time TimeCheck"},
    "state": {"cosi.resource.State": "Get List Watch Create Update Destroy Teardown TeardownAndDestroy"},
}


class Theme(Protocol):
    """A module of this package that serves methods."""

    def register(self, router: Router, machine: Machine) -> None: ...


def theme_paths(theme: str) -> list[str]:
    """The methods of a theme, as ``/package.Service/Method``."""
    return [f"/{service}/{method}" for service, methods in THEMES[theme].items() for method in methods.split()]


def import_theme(theme: str) -> Theme:
    """The module of a theme."""
    import importlib

    module: Theme = importlib.import_module(f"dozen.node.api.{theme}")
    return module


def build_router(machine: Machine) -> Callable[[ServerCall], Awaitable[None]]:
    """A handler for `dozen.rpc.server.serve` that answers every method of the API on the machine's behalf."""
    from dozen.rpc.router import Router

    router = Router()
    themes = {path: theme for theme in THEMES for path in theme_paths(theme)}
    registered: set[str] = set()

    async def answer(call: ServerCall) -> None:
        check_access(call, maintenance=machine.maintenance)
        theme = themes.get(call.path)
        if theme is None:
            from dozen.node.api.absent import explain

            raise RpcError(Code.UNIMPLEMENTED, explain(call.path))
        if theme not in registered:
            import_theme(theme).register(router, machine)
            registered.add(theme)
        await router(call)

    return answer

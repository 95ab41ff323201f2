"""The document that describes a container the node runs beside Kubernetes."""

from __future__ import annotations

from typing import Literal

from dozen.machinery.config.model import Document, Model
from dozen.machinery.config.scalars import AbsolutePath


class ContainerRunAs(Model, frozen=True):
    uid: int = 0
    gid: int = 0


class UserVolumeMount(Model, frozen=True):
    name: str = ""
    destination: AbsolutePath = ""
    options: Literal["ro", "rw", "noexec", "nosuid", "nodev", "noatime", "rbind", "rshared"] | None = None


class TmpfsMount(Model, frozen=True):
    destination: AbsolutePath = ""
    size: str = ""
    options: tuple[str, ...] = ()


class HostPathMount(Model, frozen=True):
    source: str = ""
    destination: AbsolutePath = ""
    options: tuple[str, ...] = ()


class ContainerMount(Model, frozen=True):
    user_volume: UserVolumeMount | None = None
    tmpfs: TmpfsMount | None = None
    host_path: HostPathMount | None = None


class ContainerCapabilities(Model, frozen=True):
    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


class ContainerSecurity(Model, frozen=True):
    profile: str = ""
    capabilities: ContainerCapabilities | None = None


class ContainerNetwork(Model, frozen=True):
    mode: str = ""


class ContainerResourceLimits(Model, frozen=True):
    cpu: str = ""
    memory: str = ""


class ContainerResources(Model, frozen=True):
    limits: ContainerResourceLimits | None = None


class ContainerDependsOn(Model, frozen=True):
    paths: tuple[str, ...] = ()
    networks: Literal["addresses", "connectivity", "hostname", "etcfiles"] | None = None
    time: bool | None = None
    containers: tuple[str, ...] = ()


class ContainerConfig(Document, frozen=True):
    name: str = ""
    image: str = ""
    entrypoint: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    run_as: ContainerRunAs | None = None
    environment: tuple[str, ...] = ()
    mounts: tuple[ContainerMount, ...] = ()
    security: ContainerSecurity | None = None
    network: ContainerNetwork | None = None
    resources: ContainerResources | None = None
    depends_on: ContainerDependsOn | None = None

"""Files below /etc that change while the system runs."""

from __future__ import annotations

from dozen.machinery.resource import Kind, Sensitivity
from dozen.machinery.resources.spec import Spec


class EtcFileSpec(Spec):
    """A file that should be in /etc; its id is the path below /etc."""

    contents: str = ""
    mode: int = 0
    selinux_label: str = ""

    WIRE = "1 contents text, 2 mode uint32, 3 selinux_label string"


ETC_FILE_SPEC = Kind(
    "EtcFileSpecs.files.talos.dev",
    "files",
    EtcFileSpec,
    "EtcFileSpec",
    aliases=("etcfilespec", "efs"),
    sensitivity=Sensitivity.SENSITIVE,
)


class EtcFileStatusSpec(Spec):
    """Which version of the spec the file holds; empty while it has not been written."""

    spec_version: str = ""

    WIRE = "1 specVersion string"


ETC_FILE_STATUS = Kind(
    "EtcFileStatuses.files.talos.dev",
    "files",
    EtcFileStatusSpec,
    "EtcFileStatus",
    aliases=("etcfilestatus", "efs"),
)


class HostFileSpec(Spec):
    """A file that the configuration asks for; its id is the path. ``operation``: create, overwrite or append."""

    operation: str = ""
    contents: str = ""
    mode: int = 0

    WIRE = "1 operation string, 2 contents text, 3 mode uint32"


HOST_FILE = Kind(
    "HostFiles.files.dozen",
    "files",
    HostFileSpec,
    "HostFile",
    aliases=("hostfile",),
    columns=(("Operation", "{.operation}"),),
    sensitivity=Sensitivity.SENSITIVE,
)


HOST_FILE_STATUS = Kind(
    "HostFileStatuses.files.dozen",
    "files",
    EtcFileStatusSpec,
    "HostFileStatus",
    aliases=("hostfilestatus",),
)

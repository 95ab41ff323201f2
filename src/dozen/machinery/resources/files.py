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
    """Which version of the spec the file holds."""

    spec_version: str = ""

    WIRE = "1 specVersion string"


ETC_FILE_STATUS = Kind(
    "EtcFileStatuses.files.talos.dev",
    "files",
    EtcFileStatusSpec,
    "EtcFileStatus",
    aliases=("etcfilestatus", "efs"),
)

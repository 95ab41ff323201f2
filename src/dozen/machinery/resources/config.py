"""The machine configuration, as resources."""

from __future__ import annotations

from dozen.machinery.resource import Kind, Sensitivity
from dozen.machinery.resources.spec import Spec

ACTIVE = "v1alpha1"  # the id of the configuration that the node runs with
PERSISTENT = "persistent"  # the id of the one that it will start with


class MachineConfigSpec(Spec):
    """The YAML text of a machine configuration, as it was given."""

    text: str

    WIRE = "1 @ text"


MACHINE_CONFIG = Kind(
    "MachineConfigs.config.talos.dev",
    "config",
    MachineConfigSpec,
    "MachineConfig",
    aliases=("machineconfig", "mc", "mcs"),
    sensitivity=Sensitivity.SENSITIVE,
)


class MachineTypeSpec(Spec):
    """``controlplane`` or ``worker``; id ``machine-type``."""

    type: str = "unknown"

    WIRE = "1 @ enum:MachineType"


MACHINE_TYPE = Kind(
    "MachineTypes.config.talos.dev",
    "config",
    MachineTypeSpec,
    "MachineType",
    aliases=("machinetype", "mt", "mts"),
    columns=(("Type", "{@}"),),
)

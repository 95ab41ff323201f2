"""What the kernel was told: modules, sysctls and its command line."""

from __future__ import annotations

from dozen.machinery.resource import Kind
from dozen.machinery.resources.spec import Spec


class KernelModuleSpec(Spec):
    """A kernel module that should be loaded; its id is the name."""

    name: str = ""
    parameters: tuple[str, ...] = ()

    WIRE = "1 string string, 2 parameters [string]"


KERNEL_MODULE_SPEC = Kind(
    "KernelModuleSpecs.runtime.talos.dev",
    "runtime",
    KernelModuleSpec,
    "KernelModuleSpec",
    aliases=("kernelmodulespec", "kms"),
)


class KernelModuleStatusSpec(Spec):
    """A kernel module that is there."""

    type: str = "dynamic"
    size: int = 0
    reference_count: int = 0
    dependencies: tuple[str, ...] = ()
    state: str = "live"
    address: str = ""

    WIRE = """
        1 type enum:KernelModuleType, 2 size int64, 3 referenceCount int64, 4 dependencies [string] omit,
        5 state enum:KernelModuleState, 6 address string
    """


KERNEL_MODULE_STATUS = Kind(
    "KernelModuleStatuses.runtime.talos.dev",
    "runtime",
    KernelModuleStatusSpec,
    "KernelModuleStatus",
    aliases=("module", "modules", "kernelmodulestatus", "kms"),
    columns=(("Type", "{.type}"), ("State", "{.state}")),
)


class KernelParamSpec(Spec):
    """A sysctl or sysfs value that should be set; the id is its path, ``proc.sys.net.ipv4.ip_forward``."""

    value: str = ""
    ignore_errors: bool = False

    WIRE = "1 value string, 2 ignoreErrors bool"


KERNEL_PARAM_SPEC = Kind(
    "KernelParamSpecs.runtime.talos.dev",
    "runtime",
    KernelParamSpec,
    "KernelParamSpec",
    aliases=("kernelparamspec", "kps"),
)


KERNEL_PARAM_DEFAULT_SPEC = Kind(
    "KernelParamDefaultSpecs.runtime.talos.dev",
    "runtime",
    KernelParamSpec,
    "KernelParamDefaultSpec",
    aliases=("kernelparamdefaultspec", "kpds"),
)


class KernelParamStatusSpec(Spec):
    """A value that was set, and what it was before."""

    current: str = ""
    default: str = ""
    unsupported: bool = False

    WIRE = "1 current string, 2 default string, 3 unsupported bool"


KERNEL_PARAM_STATUS = Kind(
    "KernelParamStatuses.runtime.talos.dev",
    "runtime",
    KernelParamStatusSpec,
    "KernelParamStatus",
    aliases=("sysctls", "kernelparameters", "kernelparams", "kernelparamstatus", "kps"),
    columns=(("Current", "{.current}"), ("Default", "{.default}"), ("Unsupported", "{.unsupported}")),
)


class LoadedKernelModuleSpec(Spec):
    """A loaded module, in the older form."""

    size: int = 0
    reference_count: int = 0
    dependencies: tuple[str, ...] = ()
    state: str = ""
    address: str = ""

    WIRE = "1 size int64, 2 referenceCount int64, 3 dependencies [string] omit, 4 state string, 5 address string"


LOADED_KERNEL_MODULE = Kind(
    "LoadedKernelModules.runtime.talos.dev",
    "runtime",
    LoadedKernelModuleSpec,
    "LoadedKernelModule",
    aliases=("loadedkernelmodule", "lkm", "lkms"),
    columns=(("State", "{.state}"),),
)


class KernelCmdlineSpec(Spec):
    """The command line of the kernel; id ``cmdline``."""

    cmdline: str = ""

    WIRE = "1 cmdline string"


KERNEL_CMDLINE = Kind(
    "KernelCmdlines.runtime.talos.dev",
    "runtime",
    KernelCmdlineSpec,
    "KernelCmdline",
    aliases=("cmdline", "kernelcmdline", "kc", "kcs"),
    columns=(("Cmdline", "{.cmdline}"),),
)

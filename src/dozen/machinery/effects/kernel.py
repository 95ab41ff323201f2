"""Effects on the kernel: parameters, modules, and the device manager that answers its events."""

from __future__ import annotations

import msgspec

from dozen.machinery.plan import Effect


class Parameter(msgspec.Struct, frozen=True):
    """A kernel parameter, named as in ``proc.sys.net.ipv4.ip_forward`` or ``sys.block.vda.queue.scheduler``.

    ``optional``: a kernel that refuses the value is fine.
    """

    name: str
    value: str
    optional: bool = False


class WriteParameters(Effect, msgspec.Struct, frozen=True):
    """Set kernel parameters: each is tried even if another one is refused, then that is told."""

    parameters: tuple[Parameter, ...]

    def __str__(self) -> str:
        shown = ", ".join(f"{each.name}={each.value}" for each in self.parameters[:3])
        more = len(self.parameters) - 3
        return f"set {shown}" + (f" and {more} more" if more > 0 else "")


class Module(msgspec.Struct, frozen=True):
    """A kernel module, and parameters as ``name=value``."""

    name: str
    parameters: tuple[str, ...] = ()


class LoadModules(Effect, msgspec.Struct, frozen=True):
    """Load kernel modules and what they depend on: each is tried even if another one fails, then that is told.

    One that is loaded already, or built in, is fine.
    """

    modules: tuple[Module, ...]

    def __str__(self) -> str:
        return "load " + ", ".join(" ".join((each.name, *each.parameters)) for each in self.modules)


class ReloadDeviceRules(Effect, msgspec.Struct, frozen=True):
    """Tell udevd that its rules changed, and have the kernel announce every device again.

    Nothing is done while udevd does not run: it reads its rules when it starts, and is told of every device then.
    """

    def __str__(self) -> str:
        return "reload device rules and announce every device"


class RebindDevice(Effect, msgspec.Struct, frozen=True):
    """Give a PCI device, by its address, to a driver; an empty one means the driver that the kernel would choose."""

    address: str
    driver: str

    def __str__(self) -> str:
        return f"give device {self.address} to {self.driver or 'its own driver'}"

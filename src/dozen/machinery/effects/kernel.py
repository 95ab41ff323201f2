"""Effects on the kernel: parameters, modules, and the device manager that answers its events."""

from __future__ import annotations

from dataclasses import dataclass

from dozen.machinery.plan import Effect


@dataclass(frozen=True, slots=True)
class WriteParameter(Effect):
    """Set one kernel parameter, named as in ``proc.sys.net.ipv4.ip_forward`` or ``sys.block.vda.queue.scheduler``.

    ``optional``: a kernel that lacks the parameter, or refuses the value, is fine.
    """

    name: str
    value: str
    optional: bool = False

    def __str__(self) -> str:
        return f"set {self.name} = {self.value}"


@dataclass(frozen=True, slots=True)
class LoadModule(Effect):
    """Load a kernel module and what it depends on; one that is loaded or built in is fine."""

    name: str
    parameters: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join(("load module", self.name, *self.parameters))


@dataclass(frozen=True, slots=True)
class ReloadDeviceRules(Effect):
    """Tell udevd that its rules changed, and have the kernel announce every device again."""

    def __str__(self) -> str:
        return "reload device rules and announce every device"

"""Rules for udevd from the machine configuration: written where it looks, and read again when they change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from dozen.linux.udev import RULES, render_rules
from dozen.machinery.effects.files import RemoveFile, WriteFile
from dozen.machinery.effects.kernel import ReloadDeviceRules
from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resource import Kind
from dozen.machinery.resources.settings import KERNEL, KERNEL_SETTINGS
from dozen.machinery.resources.spec import Spec

if TYPE_CHECKING:
    from dozen.machinery.plan import Controller


class AppliedRules(Spec):
    """The rules that udevd was told; id ``machine``."""

    rules: tuple[str, ...] = ()

    WIRE = "1 rules [string]"


APPLIED_RULES = Kind(
    "AppliedRules.udev.dozen", "runtime", AppliedRules, "AppliedRules", columns=(("Rules", "{.rules}"),)
)


class UdevRulesController:
    """KernelSettings → the rules file → udevd reads it → AppliedRules."""

    name = "udev-rules"
    inputs = (Input(KERNEL_SETTINGS),)
    outputs = (APPLIED_RULES,)

    def plan(self, view: View) -> Iterable[Step]:
        settings = view.get(KERNEL_SETTINGS, KERNEL)
        if settings is None:
            return
        wanted = AppliedRules(rules=settings.spec.udev_rules)
        done = view.get(APPLIED_RULES, "machine")
        if wanted != (done.spec if done else AppliedRules()):
            yield WriteFile(RULES, render_rules(wanted.rules)) if wanted.rules else RemoveFile(RULES)
            yield ReloadDeviceRules()
        yield Put(APPLIED_RULES, "machine", wanted)


def udev_controllers() -> Iterator[Controller]:
    """Everything that plans; not for a container, whose devices are its host's."""
    yield UdevRulesController()

"""Rules for udevd: written when they change, and only then."""

from dozen.linux.udev import RULES
from dozen.machinery.effects.files import RemoveFile, WriteFile
from dozen.machinery.effects.kernel import ReloadDeviceRules
from dozen.machinery.plan import Put
from dozen.machinery.resources.settings import KERNEL, KERNEL_SETTINGS, KernelSettings
from dozen.node.controllers.udev import APPLIED_RULES, AppliedRules, UdevRulesController
from dozen.testing.controllers import PlainView

RULE = 'SUBSYSTEM=="block", ENV{ID_SERIAL}=="data", SYMLINK+="data"'


def plan(wanted: tuple[str, ...], applied: tuple[str, ...] | None) -> list[object]:
    view = PlainView((KERNEL_SETTINGS, KERNEL, KernelSettings(udev_rules=wanted)))
    if applied is not None:
        view.add(APPLIED_RULES, "machine", AppliedRules(rules=applied))
    *effects, put = UdevRulesController().plan(view)
    assert put == Put(APPLIED_RULES, "machine", AppliedRules(rules=wanted))
    return list(effects)


def test_rules_are_written_and_read_again() -> None:
    assert plan((RULE,), None) == [WriteFile(RULES, RULE + "\n"), ReloadDeviceRules()]


def test_nothing_is_done_without_rules_or_without_a_change() -> None:
    assert plan((), None) == plan((), ()) == plan((RULE,), (RULE,)) == []


def test_rules_that_are_gone_leave_no_file() -> None:
    assert plan((), (RULE,)) == [RemoveFile(RULES), ReloadDeviceRules()]


def test_before_the_configuration_is_known_nothing_is_done() -> None:
    assert list(UdevRulesController().plan(PlainView())) == []

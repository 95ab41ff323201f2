"""Kernel parameters and modules: the table's sanity, who wins, what is written, what is restored."""

import asyncio

import pytest

from dozen.linux.sysctl import find_path
from dozen.machinery.effects.kernel import LoadModules, Module, Parameter, WriteParameters
from dozen.machinery.plan import Permanent, Put
from dozen.machinery.resources import settings
from dozen.machinery.resources.kernel import (
    KERNEL_MODULE_SPEC,
    KERNEL_PARAM_DEFAULT_SPEC,
    KERNEL_PARAM_SPEC,
    KERNEL_PARAM_STATUS,
    KernelModuleSpec,
    KernelParamSpec,
    KernelParamStatusSpec,
)
from dozen.machinery.resources.settings import KERNEL, KERNEL_SETTINGS, KernelSettings
from dozen.node.controllers.kernel.hardening import DEFAULTS
from dozen.node.controllers.kernel.modules import LOADED_WISH, LoadedWish, ModuleController, ModuleSpecController
from dozen.node.controllers.kernel.parameters import (
    FOUND_PARAMETER,
    FoundParameter,
    ParameterController,
    ParameterSpecController,
    read_found,
)
from dozen.testing.controllers import Bench, PlainView

NAME = "proc.sys.vm.max_map_count"


def test_the_table_is_sound() -> None:
    names = [default.name for default in DEFAULTS]
    assert len(set(names)) == len(names)
    for default in DEFAULTS:
        assert find_path("proc.sys." + default.name).startswith("/proc/sys/")
        assert default.value.isdecimal()
        assert len(default.reason) > 15


def test_what_kubelet_demands_is_there() -> None:
    values = {default.name: default.value for default in DEFAULTS}
    demanded = {
        "vm.overcommit_memory": "1",
        "vm.panic_on_oom": "0",
        "kernel.panic": "10",
        "kernel.panic_on_oops": "1",
        "kernel.keys.root_maxkeys": "1000000",
        "kernel.keys.root_maxbytes": "25000000",
    }
    assert {name: values.get(name) for name in demanded} == demanded


def test_specs_come_from_the_table_and_the_configuration() -> None:
    said = KernelSettings(
        sysctls=(settings.Parameter(name="vm.swappiness", value="0"),),
        sysfs=(settings.Parameter(name="block.vda.queue.scheduler", value="none"),),
    )
    steps = list(ParameterSpecController().plan(PlainView((KERNEL_SETTINGS, KERNEL, said))))
    puts = {(step.kind.display, step.id): step.spec for step in steps if isinstance(step, Put)}
    assert len(puts) == len(DEFAULTS) + 2
    default = KernelParamSpec(value="1", ignore_errors=True)
    assert puts["KernelParamDefaultSpec", "proc.sys.net.ipv4.ip_forward"] == default
    assert puts["KernelParamSpec", "proc.sys.vm.swappiness"] == KernelParamSpec(value="0")
    assert puts["KernelParamSpec", "sys.block.vda.queue.scheduler"] == KernelParamSpec(value="none")
    assert list(ParameterSpecController().plan(PlainView())) == []


@pytest.mark.parametrize(
    ("default", "configured", "found", "written", "status"),
    [
        ("2", None, "1", "2", KernelParamStatusSpec(current="2", default="1")),
        ("2", "3", "1", "3", KernelParamStatusSpec(current="3", default="1")),
        ("2", None, "2", None, KernelParamStatusSpec(current="2", default="2")),
        ("1 2", None, "1\t2", None, KernelParamStatusSpec(current="1 2", default="1\t2")),
        (None, "3", None, None, KernelParamStatusSpec(unsupported=True)),
    ],
    ids=["default", "configured", "already so", "kernel's tabs", "missing"],
)
def test_what_is_written(
    default: str | None, configured: str | None, found: str | None, written: str | None, status: KernelParamStatusSpec
) -> None:
    view = PlainView((FOUND_PARAMETER, NAME, FoundParameter(value=found or "", missing=found is None)))
    if default is not None:
        view.add(KERNEL_PARAM_DEFAULT_SPEC, NAME, KernelParamSpec(value=default, ignore_errors=True))
    if configured is not None:
        view.add(KERNEL_PARAM_SPEC, NAME, KernelParamSpec(value=configured))
    *effects, put = ParameterController().plan(view)
    optional = configured is None
    assert effects == ([WriteParameters((Parameter(NAME, written, optional),))] if written else [])
    assert put == Put(KERNEL_PARAM_STATUS, NAME, status)


def test_a_parameter_waits_until_its_old_value_is_known() -> None:
    view = PlainView((KERNEL_PARAM_SPEC, NAME, KernelParamSpec(value="1")))
    assert list(ParameterController().plan(view)) == []


def test_what_nobody_wants_any_more_gets_its_old_value_back() -> None:
    view = PlainView((FOUND_PARAMETER, NAME, FoundParameter(value="65530")))
    view.add(KERNEL_PARAM_STATUS, NAME, KernelParamStatusSpec(current="1", default="65530"))
    assert list(ParameterController().plan(view)) == [WriteParameters((Parameter(NAME, "65530", True),))]


def test_what_is_not_there_is_missing() -> None:
    assert read_found("proc.sys.nosuch.parameter") == FoundParameter(missing=True)
    assert read_found("nonsense") == FoundParameter(missing=True)
    assert read_found("proc.sys.kernel.ostype") == FoundParameter(value="Linux")


def test_modules_are_loaded_together_and_once() -> None:
    said = KernelSettings(modules=(settings.Module(name="xfs"), settings.Module(name="tun", parameters=("a=1",))))
    (bridge, tun, xfs) = sorted(
        ModuleSpecController().plan(PlainView((KERNEL_SETTINGS, KERNEL, said))),
        key=lambda step: step.id,  # type: ignore[union-attr]
    )
    assert bridge == Put(KERNEL_MODULE_SPEC, "br_netfilter", KernelModuleSpec(name="br_netfilter"))
    assert tun == Put(KERNEL_MODULE_SPEC, "tun", KernelModuleSpec(name="tun", parameters=("a=1",)))
    view = PlainView((tun.kind, tun.id, tun.spec), (xfs.kind, xfs.id, xfs.spec))  # type: ignore[union-attr]
    wishes = [Put(LOADED_WISH, "tun", LoadedWish(parameters=("a=1",))), Put(LOADED_WISH, "xfs", LoadedWish())]
    assert list(ModuleController().plan(view)) == [LoadModules((Module("tun", ("a=1",)), Module("xfs"))), *wishes]
    view.add(LOADED_WISH, "tun", LoadedWish(parameters=("a=1",)))
    assert list(ModuleController().plan(view)) == [LoadModules((Module("xfs"),)), *wishes]
    view.add(LOADED_WISH, "xfs", LoadedWish())
    assert list(ModuleController().plan(view)) == wishes


async def refuse() -> str:
    async with Bench(ModuleController()) as bench:
        bench.recorded.prepare(LoadModules, Permanent("no kernel module 'nosuch'"))
        bench.put(KERNEL_MODULE_SPEC, "nosuch", KernelModuleSpec(name="nosuch"))
        await bench.settle()
        await bench.advance(3600)
        assert len(bench.recorded.tried) == 1, "what cannot succeed is not tried again and again"
        return bench.runtime.status("kernel-modules").last_error


def test_a_module_that_does_not_exist_is_told() -> None:
    assert "nosuch" in asyncio.run(refuse())

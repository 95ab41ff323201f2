"""Kernel modules: loading those that the configuration names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dozen.machinery.effects.kernel import LoadModules, Module
from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resource import Kind
from dozen.machinery.resources.kernel import (
    KERNEL_MODULE_SPEC,
    KernelModuleSpec,
)
from dozen.machinery.resources.settings import KERNEL, KERNEL_SETTINGS
from dozen.machinery.resources.spec import Spec

if TYPE_CHECKING:
    pass


# Not loaded by its first user, as others are: without it packets between pods of one bridge pass by the filter that
# translates service addresses.
BRIDGE_FILTER = "br_netfilter"


class LoadedWish(Spec):
    """A wish for a module that was carried out, so that it is not again at the next change of another one."""

    parameters: tuple[str, ...] = ()

    WIRE = "1 parameters [string]"


LOADED_WISH = Kind("LoadedModuleWishes.kernel.dozen", "runtime", LoadedWish, "LoadedModuleWish")


class ModuleSpecController:
    """KernelSettings, and what every node of a cluster needs → KernelModuleSpec."""

    name = "kernel-module-specs"
    inputs = (Input(KERNEL_SETTINGS),)
    outputs = (KERNEL_MODULE_SPEC,)

    def plan(self, view: View) -> Iterable[Step]:
        settings = view.get(KERNEL_SETTINGS, KERNEL)
        if settings is None:
            return
        modules = {BRIDGE_FILTER: KernelModuleSpec(name=BRIDGE_FILTER)}
        for module in settings.spec.modules:
            spec = KernelModuleSpec(name=module.name, parameters=module.parameters)
            modules[module.name] = spec
        for name, spec in modules.items():
            yield Put(KERNEL_MODULE_SPEC, name, spec)


class ModuleController:
    """KernelModuleSpec → the module is loaded."""

    name = "kernel-modules"
    inputs = (Input(KERNEL_MODULE_SPEC),)
    outputs = (LOADED_WISH,)

    def plan(self, view: View) -> Iterable[Step]:
        done = {wish.id: wish.spec for wish in view.list(LOADED_WISH)}
        wanted = {spec.id: spec.spec for spec in view.list(KERNEL_MODULE_SPEC)}
        wishes = {id: LoadedWish(parameters=spec.parameters) for id, spec in wanted.items()}
        new = [Module(wanted[id].name, wanted[id].parameters) for id, wish in wishes.items() if done.get(id) != wish]
        if new:
            yield LoadModules(tuple(new))
        for id, wish in wishes.items():
            yield Put(LOADED_WISH, id, wish)

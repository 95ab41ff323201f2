"""Kernel modules: loading those that the configuration names, and saying which there are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dozen.machinery.effects.kernel import LoadModules, Module
from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resource import Kind
from dozen.machinery.resources.kernel import (
    KERNEL_MODULE_SPEC,
    KERNEL_MODULE_STATUS,
    KernelModuleSpec,
    KernelModuleStatusSpec,
)
from dozen.machinery.resources.settings import KERNEL, KERNEL_SETTINGS
from dozen.machinery.resources.spec import Spec

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.linux.modules import LoadedModule

STATES = {"Live": "live", "Loading": "loading", "Unloading": "unloading"}


class LoadedWish(Spec):
    """A wish for a module that was carried out, so that it is not again at the next change of another one."""

    parameters: tuple[str, ...] = ()

    WIRE = "1 parameters [string]"


LOADED_WISH = Kind("LoadedModuleWishes.kernel.dozen", "runtime", LoadedWish, "LoadedModuleWish")


class ModuleSpecController:
    """KernelSettings → KernelModuleSpec."""

    name = "kernel-module-specs"
    inputs = (Input(KERNEL_SETTINGS),)
    outputs = (KERNEL_MODULE_SPEC,)

    def plan(self, view: View) -> Iterable[Step]:
        settings = view.get(KERNEL_SETTINGS, KERNEL)
        if settings is None:
            return
        for module in settings.spec.modules:
            spec = KernelModuleSpec(name=module.name, parameters=module.parameters)
            yield Put(KERNEL_MODULE_SPEC, module.name, spec)


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


class ModuleWatcher:
    """The kernel's modules, as they come and go → KernelModuleStatus."""

    name = "kernel-module-status"
    outputs = (KERNEL_MODULE_STATUS,)

    async def run(self, publish: Publisher) -> None:
        from dozen.linux.modules import list_loaded
        from dozen.linux.uevent import DeviceEvents, MissedEvents

        events = DeviceEvents()
        try:
            while True:
                publish.replace(KERNEL_MODULE_STATUS, describe_modules(list_loaded()))
                try:
                    while (await events.read()).subsystem != "module":
                        continue
                except MissedEvents:
                    continue
        finally:
            events.close()


def describe_modules(loaded: Iterable[LoadedModule]) -> dict[str, KernelModuleStatusSpec]:
    """Loaded modules as resources, by name. The kernel lists a module's users; here it is what a module depends on."""
    modules = list(loaded)
    needs: dict[str, list[str]] = {module.name: [] for module in modules}
    for module in modules:
        for user in module.users:
            needs.setdefault(user, []).append(module.name)
    return {
        module.name: KernelModuleStatusSpec(
            type="dynamic",
            size=module.size,
            reference_count=module.references,
            dependencies=tuple(sorted(needs[module.name])),
            state=STATES.get(module.state, "live"),
            address=module.address,
        )
        for module in modules
    }

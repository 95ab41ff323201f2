"""Kernel parameters: our defaults, the configuration's wishes, the kernel's values.

A plan may not look at /proc itself. So a watcher reads each wanted parameter once, before it is changed, and publishes
what it found; the controller writes what differs, and gives a parameter that nobody wants any more its old value back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from dozen.machinery.effects.kernel import Parameter, WriteParameters
from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resource import Kind
from dozen.machinery.resources.kernel import (
    KERNEL_MODULE_STATUS,
    KERNEL_PARAM_DEFAULT_SPEC,
    KERNEL_PARAM_SPEC,
    KERNEL_PARAM_STATUS,
    KernelParamSpec,
    KernelParamStatusSpec,
)
from dozen.machinery.resources.link import LINK_STATUS
from dozen.machinery.resources.settings import KERNEL, KERNEL_SETTINGS
from dozen.machinery.resources.spec import Spec
from dozen.node.controllers.kernel.hardening import DEFAULTS

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store

SYSCTL, SYSFS = "proc.sys.", "sys."


class FoundParameter(Spec):
    """What a kernel parameter was before anybody changed it. ``missing``: this kernel does not have it."""

    value: str = ""
    missing: bool = False

    WIRE = "1 value string, 2 missing bool"


FOUND_PARAMETER = Kind("FoundParameters.kernel.dozen", "runtime", FoundParameter, "FoundParameter")


class ParameterSpecController:
    """The table of defaults, and KernelSettings → KernelParamDefaultSpec and KernelParamSpec."""

    name = "kernel-parameter-specs"
    inputs = (Input(KERNEL_SETTINGS),)
    outputs = (KERNEL_PARAM_DEFAULT_SPEC, KERNEL_PARAM_SPEC)

    def plan(self, view: View) -> Iterable[Step]:
        settings = view.get(KERNEL_SETTINGS, KERNEL)
        if settings is None:
            return  # not yet known
        for default in DEFAULTS:
            spec = KernelParamSpec(value=default.value, ignore_errors=True)
            yield Put(KERNEL_PARAM_DEFAULT_SPEC, SYSCTL + default.name, spec)
        for prefix, parameters in ((SYSCTL, settings.spec.sysctls), (SYSFS, settings.spec.sysfs)):
            for parameter in parameters:
                yield Put(KERNEL_PARAM_SPEC, prefix + parameter.name, KernelParamSpec(value=parameter.value))


class ParameterController:
    """KernelParamSpec over KernelParamDefaultSpec → the kernel's values → KernelParamStatus."""

    name = "kernel-parameters"
    inputs = (Input(KERNEL_PARAM_DEFAULT_SPEC), Input(KERNEL_PARAM_SPEC), Input(FOUND_PARAMETER))
    outputs = (KERNEL_PARAM_STATUS,)

    def plan(self, view: View) -> Iterable[Step]:
        wanted = {spec.id: spec.spec for spec in view.list(KERNEL_PARAM_DEFAULT_SPEC)}
        wanted |= {spec.id: spec.spec for spec in view.list(KERNEL_PARAM_SPEC)}
        found = {status.id: status.spec for status in view.list(FOUND_PARAMETER)}
        done = {status.id: status.spec for status in view.list(KERNEL_PARAM_STATUS)}
        statuses = {name: _expect(spec, found[name]) for name, spec in wanted.items() if name in found}
        changes = [
            Parameter(name, wanted[name].value, wanted[name].ignore_errors)
            for name, status in statuses.items()
            if not status.unsupported and status.current != _current(done.get(name), found[name])
        ]
        changes += [
            Parameter(name, status.default, optional=True)
            for name, status in done.items()
            if name not in wanted and not status.unsupported and status.current != status.default
        ]
        if changes:
            yield WriteParameters(tuple(changes))
        for name, status in statuses.items():
            yield Put(KERNEL_PARAM_STATUS, name, status)


class ParameterWatcher:
    """Reads each parameter that somebody wants to have changed, once → FoundParameter.

    One that is missing is looked for again when modules or links come, since parameters come with them.
    """

    name = "kernel-found-parameters"
    outputs = (FOUND_PARAMETER,)

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self, publish: Publisher) -> None:
        changed = asyncio.Event()
        wanted = (KERNEL_PARAM_DEFAULT_SPEC, KERNEL_PARAM_SPEC)
        stops = [
            self._store.listen(kind, lambda event: changed.set())
            for kind in (*wanted, KERNEL_MODULE_STATUS, LINK_STATUS)
        ]
        try:
            while True:
                changed.clear()
                known = {each.id for each in self._store.list(FOUND_PARAMETER) if not each.spec.missing}
                names = {each.id for kind in wanted for each in self._store.list(kind)}
                for name in sorted(names - known):
                    publish.put(FOUND_PARAMETER, name, read_found(name))
                await changed.wait()
        finally:
            for stop in stops:
                stop()


def read_found(name: str) -> FoundParameter:
    """What the kernel has now."""
    from dozen.linux.sysctl import UnknownParameter, read_parameter

    try:
        return FoundParameter(value=read_parameter(name))
    except (FileNotFoundError, UnknownParameter):
        return FoundParameter(missing=True)
    except OSError:
        return FoundParameter()  # one that can only be written


def _expect(spec: KernelParamSpec, found: FoundParameter) -> KernelParamStatusSpec:
    if found.missing:
        return KernelParamStatusSpec(unsupported=True)
    return KernelParamStatusSpec(current=spec.value, default=found.value)


def _current(done: KernelParamStatusSpec | None, found: FoundParameter) -> str:
    return done.current if done is not None else " ".join(found.value.split())

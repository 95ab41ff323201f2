"""Carries out effects on the kernel: parameters, modules, device rules."""

from __future__ import annotations

import asyncio

from dozen.machinery.effects import kernel as effects
from dozen.machinery.plan import Effect, Permanent


async def run(effect: Effect) -> None:
    """Carry out one effect of `dozen.machinery.effects.kernel`.

    Raises `Permanent` for what this kernel does not have or accept.
    """
    if isinstance(effect, effects.WriteParameters):
        _write_parameters(effect)
    elif isinstance(effect, effects.LoadModules):
        # a module's start may probe hardware for seconds
        await asyncio.to_thread(_load_modules, effect)
    elif isinstance(effect, effects.ReloadDeviceRules):
        await _reload_device_rules()
    elif isinstance(effect, effects.RebindDevice):
        from dozen.linux import pci

        # a driver takes its time to let go, and another one to start
        await asyncio.to_thread(pci.rebind, effect.address, effect.driver)
    else:
        raise TypeError(f"{effect!r} is no effect on the kernel")


def _write_parameters(effect: effects.WriteParameters) -> None:
    from dozen.linux import sysctl

    failures = []
    for parameter in effect.parameters:
        try:
            sysctl.write_parameter(parameter.name, parameter.value)
        except sysctl.UnknownParameter as error:
            failures.append(str(error))
        except OSError as error:
            if not parameter.optional:
                failures.append(f"{parameter.name} = {parameter.value!r}: {error.strerror}")
    if failures:
        raise Permanent("; ".join(failures))


def _load_modules(effect: effects.LoadModules) -> None:
    from dozen.linux import modules

    index = modules.ModuleIndex()
    failures = []
    for module in effect.modules:
        try:
            modules.load(module.name, module.parameters, index=index)
        except modules.UnknownModule as error:
            failures.append(str(error))
        except modules.LoadError as error:
            failures.append(f"{error.filename}: {error.strerror}")
    if failures:
        raise Permanent("; ".join(failures))


async def _reload_device_rules() -> None:
    from dozen.linux import udev

    try:
        await asyncio.to_thread(udev.reload_rules)
    except OSError:
        return
    await asyncio.to_thread(udev.announce_devices)

"""Carries out effects on the kernel: parameters, modules, device rules."""

from __future__ import annotations

import asyncio
import errno

from dozen.machinery.effects import kernel as effects
from dozen.machinery.plan import Effect, Permanent, Temporary


async def run(effect: Effect) -> None:
    """Carry out one effect of `dozen.machinery.effects.kernel`.

    Raises `Permanent` for what this kernel does not have or accept, `Temporary` for what may succeed later.
    """
    if isinstance(effect, effects.WriteParameters):
        _write_parameters(effect)
    elif isinstance(effect, effects.LoadModule):
        # a module's start may probe hardware for seconds
        await asyncio.to_thread(_load_module, effect)
    elif isinstance(effect, effects.ReloadDeviceRules):
        await _reload_device_rules()
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


def _load_module(effect: effects.LoadModule) -> None:
    from dozen.linux import modules

    try:
        modules.load(effect.name, effect.parameters)
    except modules.UnknownModule as error:
        raise Permanent(str(error)) from error
    except modules.LoadError as error:
        if error.errno in (errno.ENOMEM, errno.EAGAIN, errno.EINTR):
            raise Temporary(f"{error.filename}: {error.strerror}") from error
        raise Permanent(f"{error.filename}: {error.strerror}") from error


async def _reload_device_rules() -> None:
    from dozen.linux import udev

    try:
        udev.reload_rules()
    except OSError:
        return
    await asyncio.to_thread(udev.announce_devices)

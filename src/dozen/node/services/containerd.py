"""containerd as a service: the image's configuration for it, with the credentials of registries behind that.

Everything else about registries is read at each pull (`dozen.machinery.registries`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dozen.node.process import Confinement
from dozen.node.services.definition import Condition, Health, Service, needs_own_kernel

if TYPE_CHECKING:
    from dozen.node.machine import Machine

SOURCE = "/etc/containerd/config.toml"
CONFIG = "/system/etc/containerd/config.toml"


def compose_config(machine: Machine) -> str:
    """What containerd is to read. The machine's configuration is asked itself: there may be no resources of it yet."""
    text = _read(SOURCE)
    if machine.config is not None:
        import hashlib

        from dozen.machinery.config import host
        from dozen.machinery.config.registries import registries

        if registries(machine.config).credentials:
            from dozen.machinery.registries import render_credentials
            from dozen.node.controllers.containers.registries import read_registries

            text += render_credentials(read_registries(machine.config))
        if roots := host.trusted_roots(machine.config):
            # It reads whom to trust when it starts: others have to make it start again.
            text += f"# Trusted beside the image's authorities: {hashlib.sha256(roots.encode()).hexdigest()}\n"
    return text


def _prepare(machine: Machine) -> None:
    """Its configuration, and whom it trusts, which may be asked for sooner than the controllers get to it."""
    from dozen.linux.generated import write_file
    from dozen.machinery.effects.files import WriteFile

    write_file(WriteFile(CONFIG, compose_config(machine), 0o600))
    if machine.config is not None:
        from dozen.machinery.config.host import TRUST_BUNDLE, host_files

        trust = [file for file in host_files(machine.config) if file.path == TRUST_BUNDLE]
        if trust:
            from dozen.linux import hostfiles
            from dozen.machinery.effects.hostfiles import PlacedFile, PlaceFiles

            hostfiles.run(PlaceFiles(tuple(PlacedFile(*file) for file in trust)))


def _is_current(machine: Machine) -> bool:
    return os.path.exists(CONFIG) and _read(CONFIG) == compose_config(machine)


def _read(path: str) -> str:
    with open(path) as stream:
        return stream.read()


async def _answers(machine: Machine) -> None:
    from dozen.node.containers import check_health

    await check_health()


CONTAINERD = Service(
    id="containerd",
    argv=("/bin/containerd", "--config", CONFIG),
    confinement=Confinement(cgroup="system/runtime", oom=-999, env=(("HOME", "/"),)),
    conditions=(
        Condition("volume EPHEMERAL on /var", lambda machine: machine.var_is_ready),
        Condition("images and places for containers", lambda machine: machine.containers_prepared),
    ),
    prepare=_prepare,
    is_current=_is_current,
    unavailable=needs_own_kernel,
    health=Health(_answers, first_after=0.5),
)

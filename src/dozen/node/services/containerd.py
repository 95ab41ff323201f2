"""containerd as a service: the image's configuration for it, and what the machine configuration changes of that.

Everything else about registries is read at each pull (`dozen.machinery.registries`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dozen.node.process import Confinement
from dozen.node.services.definition import Condition, Health, Service, needs_own_kernel

if TYPE_CHECKING:
    from dozen.machinery.config import Config
    from dozen.node.machine import Machine

SOURCE = "/etc/containerd/config.toml"
CONFIG = "/system/etc/containerd/config.toml"
BASE_SPECIFICATION = "/system/etc/containerd/base-spec.json"


def compose_config(machine: Machine) -> str:
    """What containerd is to read. The machine's configuration is asked itself: there may be no resources of it yet."""
    text = _read(SOURCE)
    return text if machine.config is None else change_config(text, machine.config)


def change_config(text: str, given: Config) -> str:
    """The image's configuration as a machine configuration wants it."""
    from dozen.machinery.config import host
    from dozen.machinery.config.registries import registries

    credentials = ""
    if registries(given).credentials:
        from dozen.machinery.registries import render_credentials
        from dozen.node.controllers.containers.registries import read_registries

        credentials = render_credentials(read_registries(given))
    parts, base = host.runtime_parts(given), base_specification_of(given)
    if parts or base:
        from dozen.machinery.runtimeconfig import compose

        text = compose(text, (*parts.values(), credentials), BASE_SPECIFICATION if base else "")
    else:
        text += credentials
    # These it reads once, when it starts: others have to make it start again.
    return text + _digest("Base specification", base) + _digest("Trusted", host.trusted_roots(given))


def _digest(name: str, content: str) -> str:
    """A comment that tells what containerd does not read from this file."""
    if not content:
        return ""
    import hashlib

    return f"# {name}: {hashlib.sha256(content.encode()).hexdigest()}\n"


def base_specification_of(config: Config) -> str:
    """What containers begin from, as JSON; empty when that is up to containerd."""
    from dozen.machinery.config.host import base_runtime_spec

    overrides = base_runtime_spec(config)
    if not overrides:
        return ""
    import msgspec

    from dozen.machinery.runtimeconfig import base_specification

    return msgspec.json.encode(base_specification(overrides)).decode()


def _prepare(machine: Machine) -> None:
    """Its configuration and what that refers to, which may be asked for sooner than the controllers get to it."""
    from dozen.linux.generated import write_file
    from dozen.machinery.effects.files import WriteFile

    write_file(WriteFile(CONFIG, compose_config(machine), 0o600))
    if machine.config is None:
        return
    from dozen.machinery.config.host import TRUST_BUNDLE, host_files

    if base := base_specification_of(machine.config):
        write_file(WriteFile(BASE_SPECIFICATION, base))
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

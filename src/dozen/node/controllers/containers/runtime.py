"""What the configuration changes of the runtime of containers: parts of its configuration, what containers begin from.

containerd is given both when it starts (`dozen.node.services.containerd`); a change makes it start again, which no
container notices.
"""

from __future__ import annotations

from collections.abc import Iterable

from dozen.machinery.effects.services import RefreshService
from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources import config, cri
from dozen.node.configuration import parse


class RuntimeController:
    """MachineConfig → CustomizationConfig, BaseRuntimeSpecConfig, SeccompProfile."""

    name = "runtime-settings"
    inputs = (Input(config.MACHINE_CONFIG, config.ACTIVE),)
    outputs = (cri.CUSTOMIZATION_CONFIG, cri.BASE_RUNTIME_SPEC_CONFIG, cri.SECCOMP_PROFILE)

    def plan(self, view: View) -> Iterable[Step]:
        from dozen.machinery.config import host

        active = view.get(config.MACHINE_CONFIG, config.ACTIVE)
        if active is None:
            return
        given = parse(active.spec.text)
        parts, overrides = host.runtime_parts(given), host.base_runtime_spec(given)
        before = {each.id: each.spec.content for each in view.list(cri.CUSTOMIZATION_CONFIG)}
        base = view.get(cri.BASE_RUNTIME_SPEC_CONFIG, cri.BASE_RUNTIME_SPEC)
        if before != parts or (dict(base.spec.object) if base is not None else {}) != overrides:
            yield RefreshService("containerd", "its configuration changed")
        for name, content in parts.items():
            yield Put(cri.CUSTOMIZATION_CONFIG, name, cri.CustomizationConfigSpec(content=content))
        if overrides:
            yield Put(
                cri.BASE_RUNTIME_SPEC_CONFIG, cri.BASE_RUNTIME_SPEC, cri.BaseRuntimeSpecConfigSpec(object=overrides)
            )
        for name, profile in host.seccomp_profiles(given).items():
            yield Put(cri.SECCOMP_PROFILE, name, cri.SeccompProfileSpec(name=name, value=profile))

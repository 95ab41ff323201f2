"""Parts of containerd's configuration become resources, and containerd learns of them."""

from __future__ import annotations

import asyncio

from dozen.machinery import yaml
from dozen.machinery.config.generating import generate
from dozen.machinery.effects.services import RefreshService
from dozen.machinery.resources import config, cri
from dozen.node.controllers.containers.runtime import RuntimeController
from dozen.testing.controllers import Bench

WORKER = generate("c", "https://127.0.0.1:6443").worker
REFRESH = RefreshService("containerd", "its configuration changed")
PART = "---\napiVersion: v1alpha1\nkind: CRICustomizationConfig\nname: more\ncontent: 'oom_score = 1'\n"


def test_what_is_wanted_is_told_and_starts_containerd_again_once() -> None:
    limits = {"process": {"rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1, "soft": 1}]}}

    async def scenario() -> None:
        async with Bench(RuntimeController()) as bench:

            async def apply(text: str) -> int:
                before = len(bench.effects)
                bench.put(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text))
                await bench.settle()
                assert set(bench.effects[before:]) <= {REFRESH}
                return len(bench.effects) - before

            assert await apply(WORKER) == 0
            assert await apply(WORKER + PART) == 1
            assert bench.store.get(cri.CUSTOMIZATION_CONFIG, "more").spec.content == "oom_score = 1"
            data = yaml.load(WORKER)
            data["machine"] |= {
                "baseRuntimeSpecOverrides": limits,
                "seccompProfiles": [{"name": "audit.json", "value": {"defaultAction": "SCMP_ACT_LOG"}}],
                "files": [
                    {"path": "/etc/cri/conf.d/20-customization.part", "content": "oom_score = 2", "op": "create"}
                ],
            }
            assert await apply(yaml.dump(data)) == 1
            parts = {each.id: each.spec.content for each in bench.store.list(cri.CUSTOMIZATION_CONFIG)}
            assert parts == {"customization": "oom_score = 2"}
            base = bench.store.get(cri.BASE_RUNTIME_SPEC_CONFIG, cri.BASE_RUNTIME_SPEC).spec
            assert dict(base.object) == limits
            profile = bench.store.get(cri.SECCOMP_PROFILE, "audit.json").spec
            assert profile.value == {"defaultAction": "SCMP_ACT_LOG"}
            assert await apply(yaml.dump(data) + "# nothing new\n") == 0
            assert await apply(WORKER) == 1

    asyncio.run(scenario())

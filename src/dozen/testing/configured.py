"""As much of a machine as its configurations ask for (`dozen.node.configuration`, `dozen.node.sources`)."""

from __future__ import annotations

import asyncio
from typing import Any

from dozen.engine.store import Store
from dozen.machinery.config import Config
from dozen.machinery.resources import block
from dozen.machinery.resources.config import ACTIVE, MACHINE_CONFIG
from dozen.node.configuration import Configurations


class StandIn:
    """Remembers what it was told."""

    def __init__(self, mode: str = "container") -> None:
        self.mode = mode
        self.store = Store()
        self.config: Config | None = None
        self.stage = "booting"
        self.problems: dict[str, str] = {}
        self.published: list[tuple[str, str]] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.events = self
        self.configuration = Configurations(self)  # type: ignore[arg-type]

    @property
    def maintenance(self) -> bool:
        return self.config is None or not self.config.is_complete

    def publish(self, name: str, fields: dict[str, str]) -> None:
        self.published.append((name, fields["error"]))

    def set_stage(self, stage: str) -> None:
        self.stage = stage

    def report_problem(self, id: str, text: str) -> None:
        self.problems[id] = text

    def clear_problem(self, id: str) -> None:
        self.problems.pop(id, None)

    def keep(self, task: asyncio.Task[Any]) -> None:
        self.tasks.append(task)

    def text(self, id: str = ACTIVE) -> str:
        found = self.store.find(MACHINE_CONFIG, id)
        return found.spec.text if found is not None else ""

    def state(self, phase: str, reason: str = "") -> None:
        self.store.put(
            block.VOLUME_STATUS, "STATE", block.VolumeStatusSpec(phase=phase, error_message=reason), owner="t"
        )

"""The machine's configuration: the one it runs with, the one it will start with, and the way from one to the next.

A configuration that cannot be used is kept out as a whole: the node stays as it is (at first: in maintenance mode), and
every problem is told to whoever gave it, or, when nobody is there to be told, on the console, in the events and in a
Diagnostic resource. One that is taken becomes the resource MachineConfig ``v1alpha1``, and everything on the node
follows that resource: there is no second way for a change, so none needs a reboot.

What is to outlive this boot is in a file on the volume STATE, and is the resource MachineConfig ``persistent``. Where
the first configuration comes from is in `dozen.node.sources`.
"""

from __future__ import annotations

import asyncio
import logging
import os
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from dozen.machinery.resources import block
from dozen.machinery.resources import config as kinds

if TYPE_CHECKING:
    from dozen.machinery.config import Config
    from dozen.machinery.plan import View
    from dozen.node.machine import Machine

OWNER = "configuration"
STATE, STATE_DIRECTORY = "STATE", "/system/state"
FILE = f"{STATE_DIRECTORY}/config.yaml"
LIMIT = 4 << 20  # bytes; a machine configuration has tens of kilobytes
NO_REBOOT, STAGED, TRY = "NO_REBOOT", "STAGED", "TRY"
API = "API"

log = logging.getLogger("dozen.config")


class Refusal(Exception):
    """A configuration, or a way of applying it, that the node does not accept; nothing has changed."""


class Invalid(Refusal):
    """The configuration has problems; the message lists them, with lines."""


class NotNow(Refusal):
    """It cannot be applied in the present state of the node."""


class NotSupported(Refusal):
    """There is no such way of applying."""


class Applied(msgspec.Struct, frozen=True):
    """What came of it: the mode that was really used, a sentence or the differences, and what is to be known."""

    mode: str
    details: str
    warnings: tuple[str, ...] = ()


@lru_cache(maxsize=3)
def parse(text: str) -> Config:
    """The configuration of a text, decoded once for all who plan from it. Raises ConfigError, never for the active one:
    that was decoded when it was taken."""
    from dozen.machinery.config import load

    return load(text)


def complete(view: View) -> Config | None:
    """The configuration that the machine is to be a node by, for whoever plans; None in maintenance."""
    active = view.get(kinds.MACHINE_CONFIG, kinds.ACTIVE)
    given = parse(active.spec.text) if active is not None else None
    return given if given is not None and given.is_complete else None


def control_plane(view: View) -> Config | None:
    """The same, if it makes this machine a control plane."""
    given = complete(view)
    return given if given is not None and given.machine_type == "controlplane" else None


class Configurations:
    """All that there is of configurations on this machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.active = ""
        self.persistent = ""
        self.origin = ""
        self._changing = False
        self._settled = ""
        self._unsaved = False
        self._saving = asyncio.Lock()
        self._trial: asyncio.Task[None] | None = None

    # -- Taking one in.

    def take(self, text: str, origin: str) -> bool:
        """Make the text the machine's configuration; False, with every problem reported, when it cannot be used.

        ``origin`` names the source. What comes from anywhere but STATE is to be kept there.
        """
        from dozen.machinery.config.problems import ConfigError

        machine = self.machine
        try:
            given = parse(text)
        except ConfigError as error:
            if machine.config is None:
                machine.set_stage("maintenance")
            machine.events.publish("ConfigValidationErrorEvent", {"error": str(error)})
            machine.report_problem("config", f"machine configuration from {origin} refused: {error}")
            return False
        self._activate(text, given, origin)
        self._remember(text, saved=origin == STATE)
        return True

    def report_unreadable(self, origin: str, error: Exception) -> None:
        """A source that is there and cannot be read."""
        words = f"machine configuration from {origin} cannot be read: {error}"
        self.machine.events.publish("ConfigLoadErrorEvent", {"error": words})
        self.machine.report_problem("config", words)

    def _activate(self, text: str, given: Config, origin: str) -> None:
        machine = self.machine
        machine.config, self.active, self.origin = given, text, origin
        machine.clear_problem("config")
        machine.store.put(kinds.MACHINE_CONFIG, kinds.ACTIVE, kinds.MachineConfigSpec(text=text), owner=OWNER)
        log.info("configuration origin=%s complete=%s", origin, given.is_complete)
        if machine.stage == "maintenance" and given.is_complete:
            machine.set_stage("running")
            self.report_ignored()

    def _remember(self, text: str, *, saved: bool) -> None:
        self.persistent, self._unsaved = text, not saved
        spec = kinds.MachineConfigSpec(text=text)
        self.machine.store.put(kinds.MACHINE_CONFIG, kinds.PERSISTENT, spec, owner=OWNER)

    def report_ignored(self) -> None:
        """Tell of settings that the node takes no notice of, for those who did not apply them over the API."""
        from dozen.machinery.config.support import warnings

        found = warnings(self.machine.config) if self.machine.config is not None else []
        if found:
            self.machine.report_problem("config-ignored", "settings without effect: " + "; ".join(found))
        else:
            self.machine.clear_problem("config-ignored")

    # -- Changing it.

    async def apply(self, text: str, mode: str, *, dry_run: bool = False, seconds: float = 60.0) -> Applied:
        """Take another configuration on behalf of a caller; ``seconds`` is how long a trial lasts.

        Modes are those of the API: AUTO, NO_REBOOT, STAGED, TRY, REBOOT. Raises Refusal.
        """
        if self._changing:
            raise NotNow("another configuration is being applied")
        self._changing = True
        try:
            given = self._check(text, self._choose_mode(mode))
            return await self._apply(text, given, self._choose_mode(mode), dry_run, seconds)
        finally:
            self._changing = False

    def _choose_mode(self, mode: str) -> str:
        if mode == "REBOOT" and not self.machine.maintenance:
            raise NotSupported("the mode reboot is not supported: every change is applied without a reboot")
        return NO_REBOOT if mode in ("AUTO", "REBOOT") else mode

    def _check(self, text: str, mode: str) -> Config:
        """Everything that can be wrong, before anything changes."""
        from dozen.machinery.config.problems import ConfigError

        if len(text) > LIMIT:
            raise Invalid(f"the configuration is larger than {LIMIT} bytes")
        try:
            given = parse(text)
        except ConfigError as error:
            raise Invalid(str(error)) from None
        if not given.is_complete and not self.machine.maintenance:
            raise Invalid("the v1alpha1 document is missing: a configured node needs a complete configuration")
        if mode == TRY and self.machine.maintenance:
            raise NotNow("there is no configuration yet to go back to after a trial")
        if mode == STAGED and not self.state_is_ready:
            raise NotNow(f"there is no place to stage a configuration: {self.reason_against_state()}")
        return given

    async def _apply(self, text: str, given: Config, mode: str, dry_run: bool, seconds: float) -> Applied:
        from dozen.machinery.config.support import warnings

        told = tuple(warnings(given))
        if dry_run:
            return Applied(mode, "Dry run summary:\n" + describe_change(self.active, text), told)
        if mode == STAGED:
            # A trial goes on, and ends with what was there before it.
            await self._save(text)
            return Applied(mode, "Staged configuration to be applied after the next reboot", told)
        kept = mode != TRY and self.state_is_ready
        if kept:
            # First, for a disk that refuses must not leave the node with a configuration that the caller saw refused.
            await self._save(text)
        if self._trial is not None:
            self._trial.cancel()
            self._trial = None
        else:
            self._settled = self.active
        self._activate(text, given, API)
        self.report_ignored()
        if mode == TRY:
            self._trial = asyncio.create_task(self._end_trial(self._settled, seconds), name="configuration-trial")
            self.machine.keep(self._trial)
            return Applied(mode, f"Applied configuration on trial: in {seconds:g} s the old one is back", told)
        if not kept:
            self._remember(text, saved=False)
            told += (f"the configuration is not kept over a reboot yet: {self.reason_against_state()}",)
        return Applied(mode, "Applied configuration without a reboot", told)

    async def _end_trial(self, before: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._trial = None
        log.warning("trial of a configuration is over, the one before is back")
        self._activate(before, parse(before), "rollback")
        self.report_ignored()

    # -- The volume STATE.

    @property
    def state_is_ready(self) -> bool:
        if self.machine.mode == "container":
            return True
        volume = self.machine.store.find(block.VOLUME_STATUS, STATE)
        return (volume is not None and volume.spec.phase == "ready") or os.path.ismount(STATE_DIRECTORY)

    def reason_against_state(self) -> str:
        volume = self.machine.store.find(block.VOLUME_STATUS, STATE)
        return (volume.spec.error_message if volume is not None else "") or "the volume STATE is not there yet"

    async def _save(self, text: str) -> None:
        """On the disk, for good. Raises NotNow."""
        async with self._saving:
            await self._write(text)

    async def _save_unsaved(self) -> None:
        """What is not on the disk yet, unless a caller's newer text was written meanwhile. Raises NotNow."""
        async with self._saving:
            if self._unsaved:
                await self._write(self.persistent)

    async def _write(self, text: str) -> None:
        """One at a time: two would share a draft, and the older text could be the one that stays."""
        from dozen.linux.durable import write_durably

        try:
            await asyncio.to_thread(write_durably, FILE, text)
        except OSError as error:
            raise NotNow(f"the configuration cannot be written to {STATE}: {error.strerror or error}") from None
        self._remember(text, saved=True)

    async def follow_state(self) -> None:
        """Once STATE is there: take the configuration that it holds, or have it hold the one that there is.

        It was looked at early in the boot; this is for a disk that came later, or was blank.
        """
        while not self.state_is_ready:
            await self.machine.store.wait_for(block.VOLUME_STATUS, STATE, lambda volume: volume.spec.phase == "ready")
        stored = self.read_stored()
        if stored is not None and self.origin not in (API, STATE):
            if stored != self.active:
                self.take(stored, STATE)
            else:
                self._remember(stored, saved=True)
        else:
            try:
                await self._save_unsaved()
            except NotNow as error:
                self.machine.report_problem("config-state", str(error))

    def read_stored(self) -> str | None:
        """The configuration that STATE holds, None for none; what cannot be read is reported."""
        from dozen.linux.durable import read_text

        try:
            return read_text(FILE, LIMIT)
        except (OSError, ValueError) as error:
            self.report_unreadable(STATE, error)
            return None


def describe_change(old: str, new: str) -> str:
    """The differences as a unified diff, or that there are none."""
    import difflib

    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), "the present configuration", "the new one"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines) or "No changes."

"""Configurations on a node: taken, applied in every mode, refused as a whole, kept on STATE."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dozen.linux import durable
from dozen.linux.durable import write_durably
from dozen.machinery import yaml
from dozen.machinery.config import generate
from dozen.machinery.resources.config import PERSISTENT
from dozen.node import configuration
from dozen.node.configuration import Invalid, NotNow, NotSupported, describe_change
from dozen.testing.configured import StandIn

BUNDLE = generate("c", "https://10.0.0.1:6443")
FIRST = BUNDLE.controlplane
PART = "apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: n1\n"


def named(hostname: str, **machine: Any) -> str:
    data = yaml.load(FIRST)
    data["machine"] |= {"network": {"hostname": hostname}, **machine}
    return yaml.dump(data)


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file on STATE, which is a folder here."""
    monkeypatch.setattr(configuration, "FILE", str(tmp_path / "config.yaml"))
    monkeypatch.setattr(configuration, "STATE_DIRECTORY", str(tmp_path / "no mount"))
    yield tmp_path / "config.yaml"
    configuration.parse.cache_clear()


@pytest.fixture
def machine() -> StandIn:
    """A configured node whose STATE is ready."""
    machine = StandIn()
    assert machine.configuration.take(FIRST, "SMBIOS")
    machine.stage = "running"
    return machine


def apply(machine: StandIn, text: str, mode: str = "AUTO", **options: Any) -> configuration.Applied:
    return asyncio.run(machine.configuration.apply(text, mode, **options))


def test_a_configuration_that_is_taken_becomes_both_resources(machine: StandIn) -> None:
    assert machine.text() == machine.text(PERSISTENT) == FIRST
    assert not machine.maintenance


def test_a_bad_one_leaves_the_node_in_maintenance_and_says_everything() -> None:
    machine = StandIn()
    assert not machine.configuration.take("version: v1alpha1\nmachine: {type: boss, x: 1}\n", "SMBIOS")
    assert machine.stage == "maintenance"
    assert machine.text() == ""
    assert "machine.type (line 2)" in machine.problems["config"]
    assert "machine.x (line 2)" in machine.problems["config"]
    ((name, words),) = machine.published
    assert name == "ConfigValidationErrorEvent"
    assert "machine.x" in words


@pytest.mark.parametrize("mode", ["AUTO", "NO_REBOOT"])
def test_applied_now_and_kept(machine: StandIn, kept: Path, mode: str) -> None:
    done = apply(machine, named("n2"), mode)
    assert done == configuration.Applied("NO_REBOOT", "Applied configuration without a reboot")
    assert machine.text() == machine.text(PERSISTENT) == kept.read_text() == named("n2")
    assert kept.stat().st_mode & 0o777 == 0o600


def test_staged_for_the_next_boot(machine: StandIn, kept: Path) -> None:
    done = apply(machine, named("n2"), "STAGED")
    assert done.mode == "STAGED"
    assert machine.text() == FIRST
    assert machine.text(PERSISTENT) == kept.read_text() == named("n2")


def test_a_dry_run_changes_nothing_and_shows_the_difference(machine: StandIn, kept: Path) -> None:
    done = apply(machine, named("n2"), dry_run=True)
    assert done.details.startswith("Dry run summary:\n--- the present configuration\n+++ the new one\n@@")
    assert "\n+        hostname: n2\n" in done.details
    assert apply(machine, FIRST, dry_run=True).details == "Dry run summary:\nNo changes."
    assert machine.text() == FIRST
    assert not kept.exists()


def test_a_trial_ends_with_the_old_one_and_is_not_kept(machine: StandIn, kept: Path) -> None:
    async def work() -> None:
        done = await machine.configuration.apply(named("n2"), "TRY", seconds=0.05)
        assert done.mode == "TRY"
        assert machine.text() == named("n2")
        assert machine.text(PERSISTENT) == FIRST
        await asyncio.gather(*machine.tasks)

    asyncio.run(work())
    assert machine.text() == FIRST
    assert not kept.exists()


def test_a_trial_is_over_when_another_one_is_applied(machine: StandIn) -> None:
    async def work() -> None:
        await machine.configuration.apply(named("n2"), "TRY", seconds=0.05)
        await machine.configuration.apply(named("n3"), "AUTO")
        await asyncio.sleep(0.1)

    asyncio.run(work())
    assert machine.text() == named("n3")


def test_a_trial_goes_on_when_one_is_staged(machine: StandIn, kept: Path) -> None:
    async def work() -> None:
        await machine.configuration.apply(named("n2"), "TRY", seconds=0.05)
        await machine.configuration.apply(named("n3"), "STAGED")
        assert machine.text() == named("n2")
        await asyncio.gather(*machine.tasks)

    asyncio.run(work())
    assert machine.text() == FIRST
    assert kept.read_text() == named("n3")


def test_a_trial_after_a_trial_returns_to_what_is_kept(machine: StandIn) -> None:
    async def work() -> None:
        await machine.configuration.apply(named("n2"), "TRY", seconds=5)
        await machine.configuration.apply(named("n3"), "TRY", seconds=0.05)
        await asyncio.wait(machine.tasks)

    asyncio.run(work())
    assert machine.text() == FIRST


def test_reboot_is_a_mode_of_the_past_outside_maintenance(machine: StandIn) -> None:
    with pytest.raises(NotSupported, match="the mode reboot is not supported"):
        apply(machine, FIRST, "REBOOT")
    assert apply(StandIn(), FIRST, "REBOOT").mode == "NO_REBOOT"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version: v1alpha1\nmachine: {type: boss}\n", r"machine\.type \(line 2\): expected one of"),
        (PART, "the v1alpha1 document is missing"),
        ("", "the configuration is empty"),
        ("a: [", "configuration"),
        ("x" * (4 << 20) + "y", "larger than"),
    ],
)
def test_what_is_invalid_changes_nothing(machine: StandIn, kept: Path, text: str, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        apply(machine, text)
    assert machine.text() == FIRST
    assert not kept.exists()


def test_one_at_a_time(machine: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(text: str) -> None:
        entered.set()
        await go_on.wait()

    monkeypatch.setattr(machine.configuration, "_save", slowly)

    async def work() -> None:
        first = asyncio.create_task(machine.configuration.apply(named("n2"), "AUTO"))
        await entered.wait()
        with pytest.raises(NotNow, match="another configuration is being applied"):
            await machine.configuration.apply(named("n3"), "AUTO")
        go_on.set()
        await first

    asyncio.run(work())
    assert machine.text() == named("n2")


def test_a_node_in_maintenance_goes_on_with_its_first_configuration() -> None:
    machine = StandIn()
    machine.set_stage("maintenance")
    apply(machine, PART)
    assert machine.stage == "maintenance"
    apply(machine, FIRST)
    assert machine.stage == "running"


def test_a_trial_needs_something_to_go_back_to() -> None:
    with pytest.raises(NotNow, match="no configuration yet to go back to"):
        apply(StandIn(), FIRST, "TRY")


def test_without_a_disk_it_is_applied_with_a_warning_and_cannot_be_staged() -> None:
    machine = StandIn("metal")
    machine.state("missing", "no blank disk")
    done = apply(machine, FIRST)
    assert done.warnings == ("the configuration is not kept over a reboot yet: no blank disk",)
    with pytest.raises(NotNow, match="no place to stage a configuration: no blank disk"):
        apply(machine, FIRST, "STAGED")


def test_fields_without_effect_are_told_twice(machine: StandIn) -> None:
    done = apply(machine, named("n2", disks=[{"device": "/dev/sdb"}]))
    assert "machine.disks" in done.warnings[0]
    assert "machine.disks" in machine.problems["config-ignored"]
    apply(machine, FIRST)
    assert "config-ignored" not in machine.problems


@pytest.mark.parametrize(
    ("origin", "stored", "active"),
    [("SMBIOS", None, "first"), ("SMBIOS", "other", "other"), ("API", "other", "first"), ("SMBIOS", "first", "first")],
)
def test_a_volume_that_comes_late(kept: Path, origin: str, stored: str | None, active: str) -> None:
    texts = {"first": FIRST, "other": named("other")}
    machine = StandIn("metal")
    machine.configuration.take(FIRST, origin)
    if stored:
        kept.write_text(texts[stored])

    async def work() -> None:
        following = asyncio.create_task(machine.configuration.follow_state())
        await asyncio.sleep(0)
        machine.state("ready")
        await following

    asyncio.run(work())
    assert machine.text() == machine.text(PERSISTENT) == kept.read_text() == texts[active]


def test_a_newer_text_waits_for_the_one_being_kept_and_stays(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both would write at once: one draft, two renames, and the last one could be the older."""
    machine = StandIn()
    machine.configuration.take(FIRST, "SMBIOS")
    began, met = threading.Event(), threading.Event()

    def meet(path: str, text: str) -> None:
        (met if began.is_set() else began).set()
        met.wait(0.05)
        write_durably(path, text)

    monkeypatch.setattr(durable, "write_durably", meet)

    async def work() -> None:
        following = asyncio.create_task(machine.configuration.follow_state())
        assert await asyncio.to_thread(began.wait, 5)
        await asyncio.gather(following, machine.configuration.apply(named("n2"), "AUTO"))

    asyncio.run(work())
    assert machine.text() == machine.text(PERSISTENT) == kept.read_text() == named("n2")


def test_what_cannot_be_read_is_an_event_and_a_problem(machine: StandIn, kept: Path) -> None:
    kept.write_bytes(b"\xff\xfe")
    assert machine.configuration.read_stored() is None
    assert machine.published[0][0] == "ConfigLoadErrorEvent"
    assert "is not UTF-8" in machine.problems["config"]


def test_a_disk_that_refuses_is_told(machine: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "write_durably", refuse)

    async def work() -> None:
        await machine.configuration.apply(named("n2"), "TRY", seconds=0.05)
        for mode in ("AUTO", "STAGED"):
            with pytest.raises(NotNow, match="No space left on device"):
                await machine.configuration.apply(named("n3"), mode)
        # What was refused has changed nothing: the trial goes on to its end.
        assert machine.text() == named("n2")
        await asyncio.gather(*machine.tasks)

    asyncio.run(work())
    assert machine.text() == machine.text(PERSISTENT) == FIRST


def test_the_difference_of_texts_without_a_last_newline() -> None:
    assert describe_change("a", "b").endswith("-a\n+b\n")

"""Where the first configuration comes from: the order, the kernel argument, seeds, URLs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dozen.linux import fetch, seeds, smbios
from dozen.machinery.config import generate
from dozen.machinery.resources import block
from dozen.node import configuration, sources
from dozen.testing.configured import StandIn

FIRST = generate("c", "https://10.0.0.1:6443").controlplane
SEED = seeds.Seed("cidata", "/dev/sr0", "iso9660")
ISO = seeds.Seed("metal-iso", "/dev/vdb", "vfat")


class Sources:
    """What a machine finds; nothing at first."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.state = ""
        self.argument = ""
        self.seeds: dict[seeds.Seed, dict[str, str]] = {}
        self.firmware: str | None = None
        self.machine = StandIn("metal")
        monkeypatch.setattr(configuration, "FILE", str(folder / "config.yaml"))
        monkeypatch.setattr(seeds, "mount_state_early", lambda: self.state)
        monkeypatch.setattr(sources, "read_argument", lambda: self.argument)
        monkeypatch.setattr(seeds, "find_seeds", lambda: list(self.seeds))
        monkeypatch.setattr(seeds, "read_seed", self.seeds.__getitem__)
        monkeypatch.setattr(smbios, "read_table", lambda: b"")
        monkeypatch.setattr(smbios, "find_config", lambda table: self.firmware)

    def find(self) -> Any:
        return sources.find_early(self.machine)  # type: ignore[arg-type]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sources:
    return Sources(monkeypatch, tmp_path)


def test_the_order(found: Sources, tmp_path: Path) -> None:
    assert found.find() is None
    found.firmware = "from the firmware"
    assert found.find() == ("from the firmware", "SMBIOS")
    found.seeds[SEED] = {"user-data": "from the seed", "meta-data": ""}
    assert found.find() == ("from the seed", "/dev/sr0 (cidata)")
    found.state = "/dev/vda2"
    assert found.find() == ("from the seed", "/dev/sr0 (cidata)")
    (tmp_path / "config.yaml").write_text("kept")
    assert found.find() == ("kept", "STATE")


@pytest.mark.parametrize(
    ("argument", "origin"),
    [("metal-iso", "/dev/vdb (metal-iso)"), ("none", None), ("http://a/b", None), ("smbios", "SMBIOS")],
)
def test_the_argument_chooses(found: Sources, argument: str, origin: str | None) -> None:
    found.argument, found.firmware = argument, "from the firmware"
    found.seeds[SEED] = {"user-data": "seed"}
    found.seeds[ISO] = {"config.yaml": "iso"}
    texts = {"SMBIOS": "from the firmware"}
    assert found.find() == (origin and (texts.get(origin, "iso"), origin))


@pytest.mark.parametrize(
    "files", [{"user-data": "#cloud-config\nusers: []\n"}, {"user-data": " \n"}, {"meta-data": "x"}]
)
def test_a_seed_for_others_is_passed_over(found: Sources, files: dict[str, str]) -> None:
    found.seeds[SEED], found.firmware = files, "from the firmware"
    assert found.find() == ("from the firmware", "SMBIOS")


def test_what_cannot_be_read_is_told_and_passed_over(found: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> dict[str, str]:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(seeds, "read_seed", fail)
    found.seeds[SEED], found.firmware = {}, "from the firmware"
    assert found.find() == ("from the firmware", "SMBIOS")
    assert "Input/output error" in found.machine.problems["config"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("quiet talos.config=http://a/b?c=d ro", "http://a/b?c=d"),
        ("talos.config=a talos.config=none", "none"),
        ("talos.configs=a talos.config", ""),
    ],
)
def test_the_kernels_command_line(tmp_path: Path, text: str, value: str) -> None:
    (tmp_path / "cmdline").write_text(text)
    assert sources.read_argument(str(tmp_path / "cmdline")) == value
    assert sources.read_argument(str(tmp_path / "absent")) == ""


def test_variables_in_a_url() -> None:
    facts = {"uuid": "1-2", "mac": "02:00:00:00:00:01", "serial": "a b", "hostname": "n"}
    url = sources.expand_url("http://h/${uuid}/${mac}?s=${serial}&h=${hostname}&x=${other}", facts)
    assert url == "http://h/1-2/02:00:00:00:00:01?s=a%20b&h=n&x=${other}"


def test_facts_are_there_on_any_machine() -> None:
    assert set(sources.read_facts()) == {"uuid", "serial", "mac", "hostname"}


def test_a_url_is_asked_until_it_gives_a_good_configuration(found: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[bytes | Exception] = [fetch.FetchError("refused"), b"a: [", b"a: [", FIRST.encode()]
    asked: list[str] = []

    def answer(url: str, limit: int) -> bytes:
        asked.append(url)
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    monkeypatch.setattr(fetch, "fetch", answer)
    monkeypatch.setattr(sources, "FIRST_RETRY", 0.001)
    monkeypatch.setattr(sources, "LONGEST_RETRY", 0.001)
    found.argument = "http://10.0.2.2/${hostname}"
    asyncio.run(sources.look_further(found.machine))  # type: ignore[arg-type]
    assert found.machine.text() == FIRST
    assert len(asked) == 4
    assert [name for name, _ in found.machine.published] == ["ConfigLoadErrorEvent", "ConfigValidationErrorEvent"]


def test_a_disk_that_turns_up_late(found: Sources) -> None:
    found.seeds[SEED] = {"user-data": FIRST}

    async def work() -> None:
        looking = asyncio.create_task(sources.look_further(found.machine))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        assert found.machine.maintenance
        volume = block.DiscoveredVolumeSpec(dev_path="/dev/sr0", name="iso9660", label="CIDATA")
        found.machine.store.put(block.DISCOVERED_VOLUME, "sr0", volume, owner="t")
        await asyncio.wait_for(looking, 5)

    asyncio.run(work())
    assert found.machine.text() == FIRST
    assert found.machine.configuration.origin == "/dev/sr0 (cidata)"


def test_a_configured_node_looks_no_further(found: Sources) -> None:
    found.machine.configuration.take(FIRST, "SMBIOS")
    asyncio.run(asyncio.wait_for(sources.look_further(found.machine), 1))  # type: ignore[arg-type]

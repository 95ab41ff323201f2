"""apid, started before the rest."""

import asyncio
import os
import signal

import msgspec
import pytest

from dozen.node import ahead, apid, machine, trustd
from dozen.node.controllers import identity
from dozen.node.process import Confinement, Reaper
from dozen.node.services import catalogue
from dozen.node.services.catalogue import CATALOGUE


def test_it_is_confined_as_the_catalogue_says_but_for_the_cgroup() -> None:
    row = next(service for service in CATALOGUE if service.id == "apid")
    assert list(ahead.APID) == msgspec.structs.replace(row.confinement, cgroup="").wrap(row.argv)
    assert ahead.SIGNALS == (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def test_health_is_asked_for_where_the_programs_listen() -> None:
    assert (catalogue.APID_PORT, catalogue.TRUSTD_PORT) == (apid.PORT, trustd.PORT)


def test_what_machined_and_its_programs_share_is_where_both_look_for_it() -> None:
    assert (identity.DIRECTORY, identity.TRUSTD_DIRECTORY) == (apid.DIRECTORY, trustd.DIRECTORY)
    assert apid.MACHINE_SOCKET == machine.MACHINE_SOCKET


def test_a_program_that_is_not_there_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "WRAPPER", "/nonexistent")
    before = os.listdir("/proc/self/fd")
    assert ahead.start_apid() == {}
    assert os.listdir("/proc/self/fd") == before


def test_its_output_and_its_end_reach_whoever_takes_it_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "WRAPPER", "/bin/sh")

    async def take_over() -> tuple[int | None, int]:
        pid, reader = ahead.start_apid()["apid"]
        reaper = Reaper()
        reaper.install(asyncio.get_running_loop())
        process = reaper.adopt(pid)
        return (await process.wait()).code, reader

    monkeypatch.setattr(ahead, "APID", ("/bin/sh", "-c", "sleep 0.3; echo here; exit 7"))
    code, reader = asyncio.run(take_over())
    with open(reader, "rb") as stream:
        assert (code, stream.read()) == (7, b"here\n")


def test_what_is_gone_cannot_be_taken_over() -> None:
    pid = os.posix_spawn("/bin/true", ["/bin/true"], {})
    os.waitpid(pid, 0)

    async def adopt() -> None:
        with pytest.raises(ProcessLookupError):
            Reaper().adopt(pid)

    asyncio.run(adopt())


def test_confinement_without_cgroup_names_none() -> None:
    assert "--cgroup" not in Confinement().wrap(["/x"])

"""What keeps a node from joining is told apart, and each cause has its own sentence."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

import pytest

from dozen.machinery import pki
from dozen.node.kubernetes import diagnosis

DAY = 86400
CA = pki.new_ca(now=1_700_000_000, lifetime=10 * DAY)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (1_700_000_000 - DAY, "clock says 2023-11-13 22:13:20 UTC, but the cluster's authority was made on 2023-11-14"),
        (1_700_000_000 + 20 * DAY, "the cluster's authority ended on 2023-11-24"),
        (1_700_000_000 + DAY, ""),
    ],
)
def test_a_clock_is_judged_by_the_authority_s_life(now: float, said: str) -> None:
    found = diagnosis.clock_problem(CA.crt, now)
    assert said in found
    assert bool(said) == bool(found)


def test_an_unreadable_authority_is_not_the_clock_s_fault() -> None:
    assert diagnosis.clock_problem("", 0) == ""


@pytest.mark.parametrize(
    ("blocks", "mounted", "said"), [(10, True, "has 0 MiB left"), (1 << 20, True, ""), (10, False, "")]
)
def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch, blocks: int, mounted: bool, said: str) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: mounted)
    volume = os.statvfs_result((4096, 4096, 1 << 21, blocks, blocks, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: volume)
    found = diagnosis.disk_problem("/var")
    assert said in found
    assert bool(said) == bool(found)


def test_a_name_that_does_not_resolve_names_the_field(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    found = asyncio.run(diagnosis.name_problem("https://api.example.org:6443"))
    assert found.startswith("the cluster's endpoint api.example.org does not resolve (Name or service not known)")
    assert "cluster.controlPlane.endpoint" in found


def test_an_address_needs_no_name_server_and_nonsense_is_refused() -> None:
    assert asyncio.run(diagnosis.name_problem("https://10.0.0.1:6443")) == ""
    assert "is not the URL" in asyncio.run(diagnosis.name_problem("10.0.0.1"))

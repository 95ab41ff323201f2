"""What every unit test may count on, and what it may not do.

A unit test touches nothing outside its process: it starts no program, opens no connection and does not sleep. The rooms
whose purpose that is are listed here; adding one is a decision, made in this file.
"""

from __future__ import annotations

import fnmatch
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from dozen.compose.protos import ensure_descriptors

ensure_descriptors()

HERE = Path(__file__).parent

# Who may: patterns of test files. Connections are to sockets of the test's own.
PROGRAMS = ("provider/test_accelerator.py", "cli/test_offline.py", "linux/test_gpt.py", "compose/test_signatures.py")
SOCKETS = (
    "rpc/*",
    "client/*",
    "cli/*",
    "node/test_apid*",
    "provider/test_qemu.py",
    "provider/test_balancer.py",
    "node/hostdns/*",
    "node/kubeprism/*",
    "node/sending/*",
    "node/kubernetes/*",
    "node/trust/*",
    "linux/test_files.py",
    "linux/test_fetch.py",
)
SLEEP = ("provider/test_accelerator.py",)

GUARDED: tuple[tuple[Any, str, tuple[str, ...], str], ...] = (
    (subprocess.Popen, "__init__", PROGRAMS, "starts a program"),
    (socket.socket, "connect", SOCKETS, "opens a connection"),
    (socket.socket, "bind", SOCKETS, "opens a socket to others"),
    (time, "sleep", SLEEP, "sleeps"),
)


@pytest.fixture(autouse=True)
def nothing_outside(request: pytest.FixtureRequest) -> Iterator[None]:
    """Refuses what the test's file is not listed for."""
    name = str(request.path.relative_to(HERE))
    with pytest.MonkeyPatch.context() as patch:
        for owner, attribute, allowed, what in GUARDED:
            if not any(fnmatch.fnmatch(name, pattern) for pattern in allowed):
                patch.setattr(owner, attribute, refuse(what))
        yield


def refuse(what: str) -> Callable[..., None]:
    def refused(*_args: object, **_options: object) -> None:
        raise AssertionError(f"this unit test {what}, which only rooms listed in {__file__} may")

    return refused


# How long an example takes says more about what else the computer does than about the code.
settings.register_profile("dozen", deadline=None)
settings.load_profile("dozen")

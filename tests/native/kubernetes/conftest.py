"""A real API server of this computer, shared by the tests here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dozen.testing.apiserver import ApiServer
from dozen.testing.portal import Portal


@pytest.fixture(scope="session")
def apiserver(portal: Portal, programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    server = ApiServer(programs, tmp_path_factory.mktemp("apiserver"))
    try:
        portal.run(server.start(), 120)
        yield server
    finally:
        server.stop()

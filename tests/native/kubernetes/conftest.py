"""A real API server of this computer, shared by the tests here. DOZEN_KUBERNETES names the folder of its programs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dozen.testing.apiserver import ApiServer
from dozen.testing.portal import Portal


def find_programs() -> Path | None:
    """Where etcd and kube-apiserver are, or None when nobody has built them."""
    folder = os.environ.get("DOZEN_KUBERNETES")
    return Path(folder) if folder and (Path(folder) / "kube-apiserver").exists() else None


@pytest.fixture(scope="session")
def apiserver(portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    programs = find_programs()
    if programs is None:
        pytest.skip("DOZEN_KUBERNETES does not name a folder with etcd and kube-apiserver")
    server = ApiServer(programs, tmp_path_factory.mktemp("apiserver"))
    try:
        portal.run(server.start(), 120)
        yield server
    finally:
        server.stop()

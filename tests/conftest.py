"""What the tests of all kinds share: the composed image, an event loop, and what a node said when its test failed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dozen.compose.build import build_image
from dozen.provider.console import last_lines
from dozen.provider.machines import BootImage
from dozen.testing.live import LiveNode
from dozen.testing.portal import Portal

CONSOLE_LINES = 60


@pytest.fixture(scope="session")
def portal() -> Iterator[Portal]:
    portal = Portal()
    yield portal
    portal.close()


@pytest.fixture(scope="session")
def image() -> BootImage:
    """The image under test, composed from what is checked out. DOZEN_IMAGE names a folder to test another one."""
    folder = os.environ.get("DOZEN_IMAGE") or build_image("dev").directory
    return BootImage.load(Path(folder))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """A failed test shows the end of the console of the node that it used."""
    report = yield
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, LiveNode):
                report.sections.append((f"console of {name}", last_lines(value.console(), CONSOLE_LINES)))
    return report

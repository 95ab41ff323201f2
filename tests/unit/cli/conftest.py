"""dozenctl as a person runs it, against a fake node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click.testing
import pytest

from dozen import __version__
from dozen.cli.main import dozenctl
from dozen.cli.session import Session
from dozen.client.connection import Connection
from dozen.machinery.messages import message
from dozen.machinery.talosconfig import Context, Talosconfig, render
from dozen.testing.fakenode import FakeNode
from dozen.testing.portal import Portal

Run = Callable[..., click.testing.Result]


@pytest.fixture
def fake(portal: Portal, tmp_path: Path) -> Iterator[FakeNode]:
    node = FakeNode()
    version = message("machine.VersionResponse")
    node.replies["Version"] = version(messages=[{"version": {"tag": f"v{__version__}"}}])
    portal.run(node.start(tmp_path / "node.sock"))
    yield node
    portal.run(node.stop())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's home with a client configuration whose node is 10.0.0.1."""
    path = tmp_path / "home" / ".talos" / "config"
    path.parent.mkdir(parents=True)
    path.write_text(render(Talosconfig("one", {"one": Context(endpoints=("10.0.0.9",), nodes=("10.0.0.1",))})))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TALOSCONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def run(home: Path) -> Run:
    """Run dozenctl with arguments, without a node."""

    def run(*arguments: str, **options: Any) -> click.testing.Result:
        return click.testing.CliRunner().invoke(dozenctl, list(arguments), prog_name="dozenctl", **options)

    return run


@pytest.fixture
def ask(fake: FakeNode, run: Run) -> Run:
    """Run dozenctl with arguments, all endpoints being the fake node."""

    def ask(*arguments: str, **options: Any) -> click.testing.Result:
        session = Session()
        session.connect = lambda _: Connection([fake.address], None)
        return run(*arguments, obj=session, **options)

    return ask

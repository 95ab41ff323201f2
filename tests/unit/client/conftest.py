"""A fake node for a test's own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from dozen.client.connection import Connection
from dozen.client.machine import Node
from dozen.testing.fakenode import FakeNode

Work = Callable[[Node], Coroutine[Any, Any, Any]]


@pytest.fixture
def fake() -> FakeNode:
    return FakeNode()


@pytest.fixture
def ask(fake: FakeNode, tmp_path: Path) -> Callable[..., Any]:
    """Run work on the fake node, reached by a name of a node or by none."""

    def run(work: Work, name: str = "", cluster: str = "") -> Any:
        async def main() -> Any:
            await fake.start(tmp_path / "node.sock")
            async with Connection([fake.address], None, cluster=cluster) as connection:
                try:
                    return await work(Node(connection, name))
                finally:
                    await fake.stop()

        return asyncio.run(asyncio.wait_for(main(), 20))

    return run

"""A machine, and a way to call its API without a network."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from dozen.machinery.messages import method_types
from dozen.node.api import build_router
from dozen.rpc.status import RpcError
from dozen.testing.calls import FakeCall
from dozen.testing.machine import FakeMachine

Ask = Callable[..., list[Any]]


@pytest.fixture
def machine() -> FakeMachine:
    return FakeMachine()


@pytest.fixture
def ask(machine: FakeMachine) -> Ask:
    """``ask("machine.MachineService/List", root="/x")`` gives the replies; an `RpcError` carries those before it."""

    def run(method: str, **fields: Any) -> list[Any]:
        path = f"/{method}"
        call = FakeCall(path, [method_types(path).request(**fields)])

        async def answer() -> None:
            await build_router(machine)(call)  # type: ignore[arg-type]

        try:
            asyncio.run(answer())
        except RpcError as error:
            error.replies = call.replies  # type: ignore[attr-defined]
            raise
        return call.replies

    return run

"""Who may call, which theme answers, and what is said about methods that nobody serves."""

import asyncio

import pytest

from dozen.machinery.messages import method_paths
from dozen.machinery.roles import RULES
from dozen.node.api import THEMES, build_router, import_theme, theme_paths
from dozen.node.api.absent import explain, find_reason
from dozen.rpc.router import Router
from dozen.rpc.status import Code, RpcError
from dozen.testing.calls import FakeCall
from dozen.testing.machine import FakeMachine

VERSION = "/machine.MachineService/Version"
READ = "/machine.MachineService/Read"


def call(path: str, machine: FakeMachine | None = None, *, roles: tuple[str, ...] = (), uid: int | None = 0) -> Code:
    async def answer() -> None:
        await build_router(machine or FakeMachine())(
            FakeCall(path, [b""], roles=roles, uid=uid)  # type: ignore[arg-type]
        )

    try:
        asyncio.run(answer())
    except RpcError as error:
        return error.code
    return Code.OK


@pytest.mark.parametrize(
    ("path", "roles", "uid", "code"),
    [
        (VERSION, (), 0, Code.OK),
        (VERSION, (), 50, Code.PERMISSION_DENIED),
        (VERSION, (), None, Code.PERMISSION_DENIED),
        (VERSION, ("os:reader",), 50, Code.OK),
        (VERSION, ("", "os:unheard-of"), 50, Code.PERMISSION_DENIED),
        (VERSION, ("os:unheard-of, os:reader",), 50, Code.OK),
        (READ, ("os:operator",), 50, Code.PERMISSION_DENIED),
        # What apid tells of somebody without roles, even if apid itself were root.
        (VERSION, ("",), 0, Code.PERMISSION_DENIED),
        # Root that tells roles has only those: the dashboard runs as root and asks as a reader.
        (READ, ("os:reader",), 0, Code.PERMISSION_DENIED),
    ],
)
def test_access(path: str, roles: tuple[str, ...], uid: int | None, code: Code) -> None:
    assert call(path, roles=roles, uid=uid) is code


@pytest.mark.parametrize(("config", "code"), [(None, Code.OK), (object(), Code.PERMISSION_DENIED)])
def test_readers_reach_the_configuration_only_while_there_is_none(config: object | None, code: Code) -> None:
    machine = FakeMachine()
    machine.config = config
    assert call("/machine.MachineService/ApplyConfiguration", machine, roles=("os:reader",), uid=50) is code


@pytest.mark.parametrize("theme", sorted(THEMES))
def test_theme_registers_what_the_table_says(theme: str) -> None:
    router = Router()
    import_theme(theme).register(router, FakeMachine())
    assert list(router.paths) == sorted(theme_paths(theme))


def test_every_method_is_served_or_explained() -> None:
    served = {path for theme in THEMES for path in theme_paths(theme)}
    services = {path.split("/")[1] for path in RULES}
    every = {path for service in services for path in method_paths(service)}
    assert served <= every
    assert {path for path in every - served if "knows no method" in explain(path)} == set()
    # These check what they are asked, and refuse then.
    assert {path for path in served if find_reason(path)} == set(theme_paths("installing"))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/machine.MDService/Destroy", "Destroy is not served: the kernel of this image has no software RAID"),
        ("/machine.MachineService/Nonsense", "this system knows no method /machine.MachineService/Nonsense"),
        ("/", "this system knows no method /"),
    ],
)
def test_explanations(path: str, text: str) -> None:
    assert explain(path) == text
    assert call(path) is Code.UNIMPLEMENTED


@pytest.mark.parametrize(
    "path", ["/machine.MachineService/List", "/machine.ImageService/Import", "/machine.DebugService/ContainerRun"]
)
def test_malformed_request_ends_only_its_call(path: str) -> None:
    async def answer() -> None:
        await build_router(FakeMachine())(FakeCall(path, [b"\xff"]))  # type: ignore[arg-type]

    with pytest.raises(RpcError, match="the request is not a machine") as error:
        asyncio.run(answer())
    assert error.value.code is Code.INTERNAL


def test_a_theme_is_registered_once() -> None:
    machine = FakeMachine()

    async def twice() -> list[FakeCall]:
        router = build_router(machine)
        calls = [FakeCall(VERSION, [b""]) for _ in range(2)]
        await asyncio.gather(*(router(call) for call in calls))  # type: ignore[arg-type]
        return calls

    first, second = asyncio.run(twice())
    assert first.replies == second.replies

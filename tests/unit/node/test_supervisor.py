"""The supervisor: order of starting, health, restarts, stops, and what the API may do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from dozen.node.logs import Logs
from dozen.node.process import Confinement, ExitStatus
from dozen.node.services import supervisor as supervisor_module
from dozen.node.services.definition import Condition, ContainerProgram, Health, Restart, Service, State
from dozen.node.services.supervisor import BACKOFF_FIRST, ServiceError, ServiceRunner, Supervisor


class FakeProcess:
    """A program that runs until it is told to end."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.ended: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()

    @property
    def running(self) -> bool:
        return not self.ended.done()

    async def wait(self) -> ExitStatus:
        return await asyncio.shield(self.ended)

    async def stop(self, number: int, *, grace: float) -> ExitStatus:
        self.ended.set_result(ExitStatus(None, number))
        return await self.wait()

    def crash(self, code: int = 1) -> None:
        self.ended.set_result(ExitStatus(code, None))


class FakeMachine:
    """What the supervisor asks of a machine."""

    def __init__(self) -> None:
        self.mode = "metal"
        self.logs = Logs()
        self.ahead: dict[str, tuple[int, int]] = {}
        self.processes: list[FakeProcess] = []
        self.started: list[str] = []
        self.environments: list[dict[str, str]] = []
        self.refuse = False

    def variables(self) -> dict[str, str]:
        return {"COLOUR": "green", "HOME": "/"}

    def spawn(self, argv: tuple[str, ...], confinement: Confinement, *, output: int) -> FakeProcess:
        self.environments.append(dict(confinement.env))
        if self.refuse:
            raise FileNotFoundError(2, "No such file", argv[0])
        self.started.append(argv[0])
        self.processes.append(FakeProcess(100 + len(self.processes)))
        return self.processes[-1]

    def service_changed(self, runner: ServiceRunner) -> None:
        pass


Scenario = Callable[[FakeMachine, Supervisor], Coroutine[Any, Any, None]]


def run(services: tuple[Service, ...], scenario: Scenario) -> None:
    async def whole() -> None:
        machine = FakeMachine()
        supervisor = Supervisor(machine, logging.getLogger("test"))  # type: ignore[arg-type]
        supervisor.add(services)
        async with asyncio.timeout(10):
            await scenario(machine, supervisor)
            await supervisor.stop_all()

    asyncio.run(whole())


def service(id: str, **more: Any) -> Service:
    return Service(id=id, argv=(f"/bin/{id}",), confinement=Confinement(), **more)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "BACKOFF_FIRST", 0.001)
    monkeypatch.setattr(supervisor_module, "CONDITION_PERIOD", 0.001)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_a_service_starts_after_what_it_needs_is_healthy() -> None:
    answers = {"good": False}

    async def check(_: object) -> None:
        if not answers["good"]:
            raise ConnectionRefusedError("nobody listens")

    async def scenario(machine: FakeMachine, supervisor: Supervisor) -> None:
        supervisor.start_all()
        await until(lambda: supervisor.get("base").health.last_message == "nobody listens")
        assert machine.started == ["/bin/base"]
        assert supervisor.get("top").events[-1].message == "Waiting for service base"
        answers["good"] = True
        await until(lambda: supervisor.get("top").ready)
        assert machine.started == ["/bin/base", "/bin/top"]

    health = Health(check, first_after=0, period=0.001, starting_period=0.001)
    run((service("top", needs=("base",)), service("base", health=health)), scenario)


def test_a_condition_is_named_while_it_is_not_met() -> None:
    met = {"yes": False}

    async def scenario(machine: FakeMachine, supervisor: Supervisor) -> None:
        supervisor.start_all()
        await until(lambda: supervisor.get("a").state is State.WAITING)
        assert supervisor.get("a").events[-1].message == "Waiting for a disk"
        met["yes"] = True
        await until(lambda: supervisor.get("a").ready)

    run((service("a", conditions=(Condition("a disk", lambda _: met["yes"]),)),), scenario)


def test_a_service_that_dies_is_started_again() -> None:
    async def scenario(machine: FakeMachine, supervisor: Supervisor) -> None:
        supervisor.start_all()
        for count in range(1, 4):
            await until(lambda count=count: len(machine.processes) == count and supervisor.get("a").ready)
            machine.processes[-1].crash()
            await until(lambda: not supervisor.get("a").ready)
        await until(lambda: len(machine.processes) == 4)
        assert any("exit code 1" in event.message for event in supervisor.get("a").events)

    run((service("a"),), scenario)


def test_a_service_that_dies_again_and_again_is_started_later_and_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to a limit, and after a good run soon again."""
    monkeypatch.setattr(supervisor_module, "BACKOFF_LIMIT", 0.004)

    async def scenario(machine: FakeMachine, supervisor: Supervisor) -> None:
        runner = supervisor.get("a")

        async def die(count: int) -> str:
            await until(lambda: len(machine.processes) == count and runner.ready)
            machine.processes[-1].crash()
            await until(lambda: runner.state is State.WAITING)
            return runner.events[-1].message.rpartition("; ")[2]

        supervisor.start_all()
        said = [await die(count) for count in range(1, 6)]
        monkeypatch.setattr(supervisor_module, "GOOD_RUN", -1.0)  # whatever it ran was long
        said.append(await die(6))
        monkeypatch.setattr(supervisor_module, "GOOD_RUN", 60.0)
        said.append(await die(7))
        pauses = ("0.001", "0.002", "0.004", "0.004", "0.004", "0.001", "0.002")
        assert said == [f"starting again in {pause} s" for pause in pauses]

    assert (BACKOFF_FIRST, supervisor_module.GOOD_RUN) == (0.5, 60.0)
    run((service("a"),), scenario)


def test_a_service_that_runs_once_finishes() -> None:
    async def scenario(machine: FakeMachine, supervisor: Supervisor) -> None:
        supervisor.start_all()
        await until(lambda: bool(machine.processes))
        machine.processes[0].crash(0)
        await until(lambda: supervisor.get("a").state is State.FINISHED)
        assert len(machine.processes) == 1

    run((service("a", restart=Restart.NEVER),), scenario)


def test_a_program_that_is_missing_is_said_and_tried_again() -> None:
    async def scenario(machine: FakeMachine, supervisor: Supervisor) -> None:
        machine.refuse = True
        supervisor.start_all()
        await until(lambda: any(event.state is State.FAILED for event in supervisor.get("a").events))
        assert any("/bin/a" in event.message for event in supervisor.get("a").events)
        machine.refuse = False
        await until(lambda: supervisor.get("a").ready)

    run((service("a"),), scenario)


def test_an_unavailable_service_is_skipped_with_its_reason() -> None:
    async def scenario(machine: FakeMachine, supervisor: Supervisor) -> None:
        supervisor.start_all()
        await until(lambda: supervisor.get("a").state is State.SKIPPED)
        assert supervisor.get("a").events[-1].message == "no console here"
        assert machine.started == []

    run((service("a", unavailable=lambda _: "no console here"),), scenario)


@pytest.mark.parametrize("waits_for", ["a condition", "its program"])
def test_a_service_that_waits_may_turn_out_to_be_for_other_machines(waits_for: str) -> None:
    role: list[str] = []
    conditions = (Condition("a certificate", lambda _: False),) if waits_for == "a condition" else ()

    async def scenario(machine: FakeMachine, supervisor: Supervisor) -> None:
        supervisor.start_all()
        await until(lambda: supervisor.get("a").state is State.WAITING)
        role.append("this machine is a worker")
        await until(lambda: supervisor.get("a").state is State.SKIPPED)
        assert supervisor.get("a").events[-1].message == "this machine is a worker"

    waiting = service("a", conditions=conditions, program=lambda _: None, unavailable=lambda _: next(iter(role), None))
    run((waiting,), scenario)


def test_stopping_goes_from_dependants_to_what_they_need() -> None:
    async def scenario(machine: FakeMachine, supervisor: Supervisor) -> None:
        supervisor.start_all()
        await until(lambda: supervisor.get("top").ready)
        order: list[str] = []
        for process, name in zip(machine.processes, ("base", "top"), strict=True):
            process.ended.add_done_callback(lambda _, name=name: order.append(name))
        await supervisor.stop_all()
        assert order == ["top", "base"]
        assert {runner.state for runner in supervisor.list()} == {State.FINISHED}

    run((service("top", needs=("base",)), service("base")), scenario)


def test_only_permitted_operations_are_carried_out() -> None:
    async def scenario(machine: FakeMachine, supervisor: Supervisor) -> None:
        supervisor.start_all()
        await until(lambda: len(machine.processes) == 2)
        await supervisor.restart("kubelet")
        await until(lambda: len(machine.processes) == 3)
        with pytest.raises(ServiceError, match='service "apid" doesn\'t support restart operation via API'):
            await supervisor.restart("apid")
        with pytest.raises(ServiceError, match='service "kubelet" doesn\'t support stop operation via API'):
            await supervisor.stop("kubelet")
        with pytest.raises(ServiceError, match='service "etcd" is not registered'):
            await supervisor.start("etcd")

    run((service("kubelet", operations=frozenset(("start", "restart"))), service("apid")), scenario)


def test_a_container_s_program_is_awaited_and_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "PROGRAM_PERIOD", 0.01)
    wanted: list[ContainerProgram | None] = [None]

    async def scenario(machine: FakeMachine, supervisor: Supervisor) -> None:
        started: list[ContainerProgram] = []

        async def start(id: str, program: ContainerProgram, output: object, tell: object) -> FakeProcess:
            started.append(program)
            return FakeProcess(1)

        monkeypatch.setattr("dozen.node.services.container.start_container", start)
        supervisor.start_all()
        runner = supervisor.get("etcd")
        while not runner.events:
            await asyncio.sleep(0.01)
        assert runner.state is State.WAITING
        assert runner.events[-1].message == "Waiting for its configuration"
        wanted[0] = ContainerProgram("first")
        while runner.state is not State.RUNNING:
            await asyncio.sleep(0.01)
        wanted[0] = ContainerProgram("second")
        while len(started) < 2 or runner.state is not State.RUNNING:
            await asyncio.sleep(0.01)
        assert [each.image for each in started] == ["first", "second"]
        assert not any("Ended unasked" in event.message for event in runner.events)

    run((Service(id="etcd", program=lambda machine: wanted[0]),), scenario)


def test_only_what_runs_on_something_old_is_started_again() -> None:
    current = {"a": True, "b": False}

    async def scenario(machine: FakeMachine, supervisor: Supervisor) -> None:
        await supervisor.refresh("a")
        assert machine.started == []
        supervisor.start_all("a", "b")
        await until(lambda: supervisor.get("a").ready and supervisor.get("b").ready)
        await supervisor.refresh("a")
        await supervisor.refresh("b")
        await supervisor.refresh("nobody")
        await until(lambda: supervisor.get("b").ready)
        assert machine.started == ["/bin/a", "/bin/b", "/bin/b"]
        await supervisor.end("b")
        assert not supervisor.get("b").ready

    def is_current(id: str) -> Callable[[Any], bool]:
        return lambda _: current[id]

    run((service("a", is_current=is_current("a")), service("b", is_current=is_current("b"))), scenario)


def test_a_service_gets_the_configuration_s_variables_and_keeps_its_own() -> None:
    async def scenario(machine: FakeMachine, supervisor: Supervisor) -> None:
        supervisor.start_all()
        await until(lambda: bool(machine.environments))
        assert machine.environments == [{"COLOUR": "green", "HOME": "/root"}]

    confinement = Confinement(env=(("HOME", "/root"),))
    run((Service(id="a", argv=("/bin/a",), confinement=confinement),), scenario)

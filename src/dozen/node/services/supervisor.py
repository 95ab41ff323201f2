"""Keeps services running: starts them in the order their needs allow, asks their health, starts them again.

Each service is one asyncio task that walks through the states of `State`. A service that ends is started again after
a pause that grows with each early death and is forgotten after a minute of good running. What happened to a service
is kept as a short list of events, published as a resource and as an event of the machine, and logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

import msgspec

from dozen.node.logs import pump
from dozen.node.process import ExitStatus
from dozen.node.services.definition import ContainerProgram, Health, Restart, Service, State
from dozen.rpc.status import RpcError

if TYPE_CHECKING:
    import logging

    from dozen.node.machine import Machine
    from dozen.node.pulling import Part

EVENTS_KEPT = 64
BACKOFF_FIRST = 0.5
BACKOFF_LIMIT = 30.0
# A run of this many seconds makes earlier deaths forgotten.
GOOD_RUN = 60.0
CONDITION_PERIOD = 0.05
# How often a service in a container is asked what it should run, seconds.
PROGRAM_PERIOD = 1.0


class ServiceError(Exception):
    """A request about a service that cannot be met; the text is for the one who asked."""


class ServiceEvent(msgspec.Struct, frozen=True):
    """``timestamp`` in seconds since the epoch."""

    message: str
    state: State
    timestamp: float


class HealthStatus(msgspec.Struct, frozen=True):
    """The last answer about health; ``last_change`` in seconds since the epoch."""

    unknown: bool = True
    healthy: bool = False
    last_message: str = ""
    last_change: float = 0.0


class Running(Protocol):
    """A program that was started: a process of the node, or a container."""

    @property
    def pid(self) -> int: ...
    @property
    def running(self) -> bool: ...
    async def wait(self) -> ExitStatus: ...
    async def stop(self, number: int, *, grace: float) -> ExitStatus: ...


class Unavailable(Exception):
    """The service is not for this machine; the message says why."""


class ServiceRunner:
    """One service's life: its state, its history, and the task that moves it."""

    def __init__(self, service: Service, machine: Machine, log: logging.Logger, find: Callable[[str], ServiceRunner]):
        self.service = service
        self.state = State.INITIALIZED
        self.health = HealthStatus()
        self.events: deque[ServiceEvent] = deque(maxlen=EVENTS_KEPT)
        self.changed = asyncio.Event()
        self.process: Running | None = None
        self._machine = machine
        self._log = log
        self._find = find
        self._task: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        return self.service.id

    @property
    def ready(self) -> bool:
        """Running, and healthy if the service can say so."""
        return self.state is State.RUNNING and (self.service.health is None or self.health.healthy)

    def announce(self, text: str) -> None:
        """Record that the service runs although no program was started for it."""
        self.health = HealthStatus(False, True, "", time.time())
        self._enter(State.RUNNING, text)

    def start(self) -> None:
        """Begin, unless it is going already."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._live(), name=f"service {self.id}")

    async def stop(self) -> None:
        """End the program and stay down until started again."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self.process is not None and self.process.running:
            self._enter(State.STOPPING, f"Sending {self.service.stop_signal} to PID {self.process.pid}")
            await self.process.stop(self.service.stop_signal, grace=self.service.stop_grace)
        if self.state not in (State.FINISHED, State.FAILED, State.SKIPPED, State.INITIALIZED):
            self._enter(State.FINISHED, "Service finished successfully")

    async def _live(self) -> None:
        try:
            await self._live_unless_unavailable()
        except Unavailable as reason:
            self._enter(State.SKIPPED, str(reason))

    def _check_available(self) -> None:
        """A service that waits may learn that it is not for this machine: a node in maintenance becomes a worker."""
        reason = self.service.unavailable(self._machine) if self.service.unavailable else None
        if reason:
            raise Unavailable(reason)

    async def _live_unless_unavailable(self) -> None:
        self._check_available()
        await self._wait_for_needs()
        pause = BACKOFF_FIRST
        while True:
            began = time.monotonic()
            outcome = await self._run_once()
            if outcome is None:
                continue
            if self.service.restart is Restart.NEVER:
                self._enter(State.FINISHED, outcome)
                return
            if time.monotonic() - began > GOOD_RUN:
                pause = BACKOFF_FIRST
            self._enter(State.WAITING, f"{outcome}; starting again in {pause:g} s")
            await asyncio.sleep(pause)
            pause = min(pause * 2, BACKOFF_LIMIT)

    async def _wait_for_needs(self) -> None:
        waiting = self._unmet()
        while waiting:
            text = f"Waiting for {', '.join(waiting)}"
            if not self.events or self.events[-1].message != text:
                self._enter(State.WAITING, text)
            await asyncio.sleep(CONDITION_PERIOD)
            self._check_available()
            waiting = self._unmet()

    def _unmet(self) -> list[str]:
        needs = [f"service {need}" for need in self.service.needs if not self._find(need).ready]
        return needs + [condition.name for condition in self.service.conditions if not condition.met(self._machine)]

    async def _run_once(self) -> str | None:
        """One run of the program, from preparing it to its end; returns how it ended, for people.

        None when it was ended because another program is to run now.
        """
        program = await self._await_program() if self.service.program is not None else None
        self._enter(State.PREPARING, "Preparing")
        asking: asyncio.Task[None] | None = None
        try:
            if self.service.prepare is not None:
                self.service.prepare(self._machine)
            self.process = await self._start(program)
            self._enter(State.RUNNING, f"Started with PID {self.process.pid}")
            if self.service.health is not None:
                asking = asyncio.create_task(self._ask_health(self.service.health), name=f"health {self.id}")
            status = await self._until_end(self.process, program)
        except (OSError, RpcError) as error:
            text = error.message if isinstance(error, RpcError) else str(error)
            self._enter(State.FAILED, f"Failed to start: {text}")
            return f"Could not be started: {text}"
        finally:
            if asking is not None:
                asking.cancel()
            self.health = HealthStatus(last_change=time.time())
        if status is None:
            return None
        said = self._machine.logs.open(self.id).tail(1).decode(errors="replace").strip()
        outcome = f"{status}, last words: {said}" if said else str(status)
        self._enter(State.FAILED, f"Ended unasked: {outcome}")
        return f"Ended: {outcome}"

    async def _await_program(self) -> ContainerProgram:
        """What to run in a container, as soon as that is known."""
        assert self.service.program is not None
        while (program := self.service.program(self._machine)) is None:
            text = f"Waiting for {self.service.awaits}"
            if not self.events or self.events[-1].message != text:
                self._enter(State.WAITING, text)
            await asyncio.sleep(CONDITION_PERIOD)
            self._check_available()
        return program

    async def _start(self, program: ContainerProgram | None) -> Running:
        if program is None:
            return self._spawn()
        from dozen.node.pulling import describe_progress
        from dozen.node.services.container import start_container

        def tell(parts: list[Part]) -> None:
            self._enter(State.PREPARING, f"Pulling {program.image}: {describe_progress(parts)}")

        env = {**self._machine.variables(), **dict(program.env)}
        varied = msgspec.structs.replace(program, env=tuple(env.items()))
        return await start_container(self.id, varied, self._machine.logs.open(self.id), tell=tell)

    async def _until_end(self, process: Running, program: ContainerProgram | None) -> ExitStatus | None:
        """How the program ended; None when it was stopped for another one."""
        if program is None or self.service.program is None:
            return await process.wait()
        ended = asyncio.ensure_future(process.wait())
        try:
            while not ended.done():
                await asyncio.wait({ended}, timeout=PROGRAM_PERIOD)
                if not ended.done() and self.service.program(self._machine) != program:
                    self._enter(State.STOPPING, "Its configuration changed")
                    await process.stop(self.service.stop_signal, grace=self.service.stop_grace)
                    return None
            return ended.result()
        finally:
            ended.cancel()

    def _spawn(self) -> Running:
        log = self._machine.logs.open(self.id)
        if self.id in self._machine.ahead:
            pid, reader = self._machine.ahead.pop(self.id)
            pump(reader, log.write, log.flush)
            return self._machine.take_over(pid, self.service.confinement)
        reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            env = {**self._machine.variables(), **dict(self.service.confinement.env)}
            confinement = msgspec.structs.replace(self.service.confinement, env=tuple(env.items()))
            process = self._machine.spawn(self.service.argv, confinement, output=writer)
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        pump(reader, log.write, log.flush)
        return process

    async def _ask_health(self, health: Health) -> None:
        await asyncio.sleep(health.first_after)
        while True:
            asked = asyncio.ensure_future(health.check(self._machine))
            await asyncio.wait({asked}, timeout=health.timeout)
            if not asked.done():
                asked.cancel()
                self._note_health(False, f"no answer within {health.timeout:g} s")
            else:
                error = asked.exception()
                self._note_health(error is None, "" if error is None else str(error) or type(error).__name__)
            await asyncio.sleep(health.period if self.health.healthy else health.starting_period)

    def _note_health(self, healthy: bool, text: str) -> None:
        before = self.health
        if before.unknown or before.healthy != healthy or before.last_message != text:
            self.health = HealthStatus(False, healthy, text, time.time())
            if before.unknown or before.healthy != healthy:
                word = "successful" if healthy else f"failed: {text}"
                self._enter(self.state, f"Health check {word}")

    def _enter(self, state: State, text: str) -> None:
        self.state = state
        self.events.append(ServiceEvent(text, state, time.time()))
        self._log.info("service=%s state=%s %s", self.id, state, text)
        self._machine.service_changed(self)
        self.changed.set()
        self.changed = asyncio.Event()


class Supervisor:
    """All services of the node."""

    def __init__(self, machine: Machine, log: logging.Logger) -> None:
        self._machine = machine
        self._log = log
        self._runners: dict[str, ServiceRunner] = {}

    def add(self, services: Iterable[Service]) -> None:
        """Make services known without starting them."""
        for service in services:
            self._runners[service.id] = ServiceRunner(service, self._machine, self._log, self._find)

    def start_all(self, *ids: str) -> None:
        """Start these services, or all that were never started; each waits for its own needs."""
        for runner in self._runners.values():
            if runner.state is State.INITIALIZED and (not ids or runner.id in ids):
                runner.start()

    async def stop_all(self, *, keep: Iterable[str] = ()) -> None:
        """Stop services, dependants first; ``keep`` are left alone."""
        remaining = {id: runner for id, runner in self._runners.items() if id not in set(keep)}
        while remaining:
            needed = {need for runner in remaining.values() for need in runner.service.needs}
            leaves = [id for id in remaining if id not in needed] or list(remaining)
            await asyncio.gather(*(remaining.pop(id).stop() for id in leaves))

    def list(self) -> list[ServiceRunner]:
        return [self._runners[id] for id in sorted(self._runners)]

    def get(self, id: str) -> ServiceRunner:
        """Raises ServiceError when there is no such service."""
        try:
            return self._runners[id]
        except KeyError:
            known = ", ".join(sorted(self._runners))
            raise ServiceError(f'service "{id}" is not registered; there are {known}') from None

    async def start(self, id: str) -> None:
        """Start a service on a user's request. Raises ServiceError when that is not allowed."""
        self._permit(id, "start").start()

    async def stop(self, id: str) -> None:
        """Stop a service on a user's request. Raises ServiceError when that is not allowed."""
        await self._permit(id, "stop").stop()

    async def restart(self, id: str) -> None:
        """Stop and start a service on a user's request. Raises ServiceError when that is not allowed."""
        runner = self._permit(id, "restart")
        await runner.stop()
        runner.start()

    async def end(self, id: str) -> None:
        """Stop a service for good; one that this machine does not have is fine."""
        runner = self._runners.get(id)
        if runner is not None:
            await runner.stop()

    async def refresh(self, id: str) -> None:
        """Stop and start a service that runs on something old; one that does not run will see what there is."""
        runner = self._runners.get(id)
        if runner is None or runner.state is not State.RUNNING:
            return
        is_current = runner.service.is_current
        if is_current is None or not is_current(self._machine):
            await runner.stop()
            runner.start()

    def _permit(self, id: str, operation: str) -> ServiceRunner:
        runner = self.get(id)
        if operation not in runner.service.operations:
            raise ServiceError(f'service "{id}" doesn\'t support {operation} operation via API')
        return runner

    def announce(self, id: str, text: str) -> None:
        """Record that a service without a program of its own (PID 1 itself) runs well."""
        self._runners[id].announce(text)

    def _find(self, id: str) -> ServiceRunner:
        return self._runners[id]

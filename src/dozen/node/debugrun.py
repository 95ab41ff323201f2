"""A container with somebody at the other end: made, run, connected to its caller, and removed.

The caller may go at any time and containerd may be killed at any time. The first ends the container; the second does
not: its shim keeps it and the pipes, and everything that has to be asked of containerd is asked again until it
answers.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import msgspec

from dozen.linux.named_hierarchy import mount_named_hierarchy
from dozen.linux.pipes import Pipes
from dozen.linux.processes import read_bounding_set
from dozen.node.api.streaming import run_blocking
from dozen.node.containers import Containerd
from dozen.node.images import find_image, unpack
from dozen.node.ocispec import SPEC_TYPE, BadImage, Wish, build_spec
from dozen.rpc.status import Code, RpcError

PIPES = "/run/dozen/debug"
CGROUP = "/system/debug"
# The caller chooses the runtime by this variable, as the wire has no field for it; it does not reach the container.
RUNTIME_VARIABLE = "DOZEN_RUNTIME"
DEFAULT_RUNTIME = "io.containerd.runc.v2"
# containerd's first kind of runtime: its shim is the program /bin/containerd-shim.
FIRST_RUNTIME = "io.containerd.runtime.v1.linux"
RUNTIMES = (DEFAULT_RUNTIME, FIRST_RUNTIME)

# What a container printed last may still be on its way when it has ended.
_DRAIN_SECONDS = 2.0
# For how long a containerd that is away is waited for, to remove what is left of a container.
_REMOVE_PATIENCE = 60.0
_SIGKILL = 9

log = logging.getLogger("dozen.debug")


class Resize(NamedTuple):
    """The caller's terminal has another size, in characters."""

    width: int
    height: int


class Signal(NamedTuple):
    """The caller sends a signal."""

    number: int


# What comes from the caller: input as bytes, or one of the above.
Inputs = AsyncIterator[bytes | Signal | Resize]
Send = Callable[[bytes], Awaitable[None]]


class DebugRun:
    """One container. ``image_name`` must be there; ``wish.env`` may choose the runtime."""

    def __init__(self, node: Containerd, image_name: str, wish: Wish) -> None:
        self._node = node
        self._image_name = image_name
        env = dict(wish.env)
        self._runtime = env.pop(RUNTIME_VARIABLE, DEFAULT_RUNTIME)
        if self._runtime not in RUNTIMES:
            known = " and ".join(RUNTIMES)
            raise RpcError(Code.INVALID_ARGUMENT, f"{RUNTIME_VARIABLE}={self._runtime}: runtimes are {known}")
        self.id = f"debug-{time.monotonic_ns():x}"
        self._wish = wish._replace(env=env, cgroup=f"{CGROUP}/{self.id}", may_give=read_bounding_set())
        self._snapshotter = ""
        self._removals: list[tuple[str, str, dict[str, Any]]] = []

    async def run(self, inputs: Inputs, send: Send) -> int:
        """From beginning to end; gives the exit code. Raises RpcError. Whatever happens, the container is removed."""
        pipes = await asyncio.to_thread(self._make_pipes)
        try:
            await self._create(pipes)
            return await self._attend(pipes, inputs, send)
        finally:
            # The caller may be gone, and with it this task: what was made is removed all the same.
            removing = asyncio.ensure_future(self._remove(pipes))
            await asyncio.shield(removing)

    def _make_pipes(self) -> Pipes:
        return Pipes(os.path.join(PIPES, self.id), terminal=self._wish.terminal)

    async def _create(self, pipes: Pipes) -> None:
        """Everything up to a task that waits for its start. What is made is noted first, so that it will be removed."""
        node = self._node
        image = await find_image(node, self._image_name)
        try:
            spec = build_spec(image.config, self._wish)
        except BadImage as error:
            raise RpcError(Code.FAILED_PRECONDITION, f"image {image.name}: {error}") from None
        self._snapshotter = await node.choose_snapshotter()
        async with node.leased() as held:
            parent = await unpack(held, image, self._snapshotter)
            self._removals.append(("snapshots", "Remove", {"snapshotter": self._snapshotter, "key": self.id}))
            prepared = await held.ask("snapshots", "Prepare", snapshotter=self._snapshotter, key=self.id, parent=parent)
            self._removals.append(("containers", "Delete", {"id": self.id}))
            await held.ask("containers", "Create", container=self._describe(image.name, spec))
        if self._runtime == FIRST_RUNTIME:
            await run_blocking(mount_named_hierarchy)
        self._removals.append(("tasks", "Delete", {"container_id": self.id}))
        await node.ask(
            "tasks",
            "Create",
            container_id=self.id,
            rootfs=prepared.mounts,
            stdin=pipes.stdin,
            stdout=pipes.stdout,
            stderr=pipes.stderr,
            terminal=self._wish.terminal,
        )

    def _describe(self, image_name: str, spec: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": self.id,
            "image": image_name,
            "runtime": {"name": self._runtime},
            "spec": {"type_url": SPEC_TYPE, "value": msgspec.json.encode(spec)},
            "snapshotter": self._snapshotter,
            "snapshot_key": self.id,
            "labels": {"dozen.debug": "true"},
        }

    async def _attend(self, pipes: Pipes, inputs: Inputs, send: Send) -> int:
        """Start the task and be between it and its caller until it has ended."""
        printing = [asyncio.ensure_future(_forward(output, send)) for output in pipes.outputs()]
        # Asked before the start: a program may end sooner than a question about it takes.
        waiting = asyncio.ensure_future(self._node.wait(self.id))
        listening: asyncio.Future[None] | None = None
        try:
            await asyncio.sleep(0)
            await self._node.ask("tasks", "Start", container_id=self.id)
            listening = asyncio.ensure_future(self._listen(pipes, inputs))
            await _first_of(waiting, listening, *printing)
            status = await waiting
            await asyncio.wait(printing, timeout=_DRAIN_SECONDS)
            return status
        finally:
            tasks = [task for task in (waiting, listening, *printing) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, pipes: Pipes, inputs: Inputs) -> None:
        """Hand on what the caller says. The end of its words is the end of the input."""
        async for item in inputs:
            if isinstance(item, bytes):
                await pipes.write(item)
            elif isinstance(item, Signal):
                await self._tell("Kill", signal=item.number)
            else:
                await self._tell("ResizePty", width=item.width, height=item.height)
        pipes.close_input()
        # The shim holds an end for writing as well.
        await self._tell("CloseIO", stdin=True)

    async def _tell(self, method: str, **fields: Any) -> None:
        await self._node.persist("tasks", method, patience=_REMOVE_PATIENCE, container_id=self.id, **fields)

    async def _remove(self, pipes: Pipes) -> None:
        """Undo what was done, last things first. What cannot be removed is logged and left to the next start."""
        try:
            for service, method, fields in reversed(self._removals):
                if service == "tasks":
                    await self._end_task()
                await self._node.persist(service, method, patience=_REMOVE_PATIENCE, **fields)
        except RpcError as error:
            log.warning("container=%s cannot be removed: %s", self.id, error)
        finally:
            await asyncio.to_thread(pipes.remove)

    async def _end_task(self) -> None:
        """Kill what is still running of it, and wait until it is gone."""
        try:
            await self._node.persist(
                "tasks", "Kill", patience=_REMOVE_PATIENCE, container_id=self.id, signal=_SIGKILL, all=True
            )
            await asyncio.wait_for(self._node.wait(self.id), _REMOVE_PATIENCE)
        except (RpcError, TimeoutError) as error:
            # Commonly: it has ended already. If it has not, deleting it will fail and say so.
            log.debug("container=%s kill: %s", self.id, error)


async def _forward(output: AsyncIterator[bytes], send: Send) -> None:
    async for data in output:
        await send(data)


async def _first_of(waiting: asyncio.Future[int], *others: asyncio.Future[None]) -> None:
    """Until the task has ended. Others may end before; one that fails raises, and the caller that is gone is one."""
    pending: set[asyncio.Future[Any]] = {waiting, *others}
    while not waiting.done():
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for future in done:
            if future is not waiting:
                future.result()

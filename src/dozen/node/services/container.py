"""A service's program in a container: started by containerd, kept by its shim, read and ended by us.

The container belongs to the shim: containerd may be killed and come back, and neither the program nor the pipes to it
notice. What a boot before this one (or a start that failed) left behind is removed before anything is started.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from dozen.linux.pipes import Pipes
from dozen.linux.processes import read_bounding_set
from dozen.node.containers import Containerd, containerd
from dozen.node.images import unpack
from dozen.node.ocispec import SPEC_TYPE, BadImage, build_program_spec
from dozen.node.process import ExitStatus
from dozen.node.pulling import Tell, ensure_image
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dozen.node.logs import LogBuffer
    from dozen.node.services.definition import ContainerProgram

PIPES = "/run/dozen/services"
RUNTIME = "io.containerd.runc.v2"
# What was printed last may still be on its way when the program has ended.
DRAIN_SECONDS = 2.0
# For how long a containerd that is away is waited for, to end or remove something.
PATIENCE = 30.0
_SIGKILL = 9

log = logging.getLogger("dozen.services")


class ContainerProcess:
    """A running container, as the supervisor sees it."""

    def __init__(self, node: Containerd, id: str, snapshotter: str, pid: int, pipes: Pipes, output: LogBuffer) -> None:
        self.pid = pid
        self._node = node
        self._id = id
        self._snapshotter = snapshotter
        self._reading = [asyncio.ensure_future(_read(each, output)) for each in pipes.outputs()]
        self._ended = asyncio.ensure_future(self._live(pipes, output))

    @property
    def running(self) -> bool:
        return not self._ended.done()

    async def wait(self) -> ExitStatus:
        """Until the program ended; may be awaited by several and cancelled freely."""
        return await asyncio.shield(self._ended)

    async def stop(self, number: int, *, grace: float) -> ExitStatus:
        """Ask the program to end, make it after ``grace`` seconds, and remove the container."""
        with suppress(RpcError):
            await self._tell(number)
        try:
            status = await asyncio.wait_for(self.wait(), grace)
        except TimeoutError:
            with suppress(RpcError):
                await self._tell(_SIGKILL, all=True)
            status = await self.wait()
        with suppress(RpcError):
            await remove_container(self._node, self._id, self._snapshotter)
        return status

    async def _tell(self, number: int, **fields: Any) -> None:
        await self._node.persist("tasks", "Kill", patience=PATIENCE, container_id=self._id, signal=number, **fields)

    async def _live(self, pipes: Pipes, output: LogBuffer) -> ExitStatus:
        """Until the task has ended and what it printed is read."""
        try:
            status = await self._node.wait(self._id)
        except RpcError as error:
            log.warning("service=%s its container is gone: %s", self._id, error)
            status = 255
        if self._reading:
            await asyncio.wait(self._reading, timeout=DRAIN_SECONDS)
        for task in self._reading:
            task.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)
        output.flush()
        await asyncio.to_thread(pipes.remove)
        # A signal's death is told as shells do.
        return ExitStatus(None, status - 128) if 128 < status < 192 else ExitStatus(status, None)


async def _read(chunks: AsyncIterator[bytes], output: LogBuffer) -> None:
    async for data in chunks:
        output.write(data)


async def start_container(
    id: str, program: ContainerProgram, output: LogBuffer, node: Containerd | None = None, tell: Tell | None = None
) -> ContainerProcess:
    """Run a service's program; its output goes to the log. Raises RpcError and OSError, with nothing left behind."""
    node = node or containerd()
    snapshotter = await node.choose_snapshotter()
    await remove_container(node, id, snapshotter)
    image = await ensure_image(node, program.image, tell)
    try:
        spec = build_program_spec(image.config, program, await asyncio.to_thread(read_bounding_set))
    except (BadImage, ValueError) as error:
        raise RpcError(Code.FAILED_PRECONDITION, f"image {image.name}: {error}") from None
    pipes = await asyncio.to_thread(_make_pipes, id)
    try:
        async with node.leased() as held:
            parent = await unpack(held, image, snapshotter)
            prepared = await held.ask("snapshots", "Prepare", snapshotter=snapshotter, key=id, parent=parent)
            record = {
                "id": id,
                "image": image.name,
                "runtime": {"name": RUNTIME},
                "spec": {"type_url": SPEC_TYPE, "value": msgspec.json.encode(spec)},
                "snapshotter": snapshotter,
                "snapshot_key": id,
                "labels": {"dozen.service": id},
            }
            await held.ask("containers", "Create", container=record)
        made = await node.ask(
            "tasks", "Create", container_id=id, rootfs=prepared.mounts, stdout=pipes.stdout, stderr=pipes.stderr
        )
        process = ContainerProcess(node, id, snapshotter, made.pid, pipes, output)
        # Asked before the start: a program may end sooner than a question about it takes.
        await asyncio.sleep(0)
        await node.ask("tasks", "Start", container_id=id)
    except BaseException:
        removing = asyncio.ensure_future(_clear_away(node, id, snapshotter, pipes))
        await asyncio.shield(removing)
        raise
    return process


async def run_to_end(id: str, program: ContainerProgram, output: LogBuffer, timeout: float) -> ExitStatus:
    """Run a program once. Raises RpcError, OSError, and TimeoutError when it took too long and was ended."""
    process = await start_container(id, program, output)
    try:
        return await asyncio.wait_for(process.wait(), timeout)
    finally:
        await asyncio.shield(asyncio.ensure_future(process.stop(_SIGKILL, grace=5)))


async def remove_container(node: Containerd, id: str, snapshotter: str) -> None:
    """End and remove a service's container; what is not there is fine. Raises RpcError."""
    with suppress(RpcError):
        await node.ask("tasks", "Kill", container_id=id, signal=_SIGKILL, all=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(node.wait(id), PATIENCE)
    await node.persist("tasks", "Delete", patience=PATIENCE, container_id=id)
    await node.persist("containers", "Delete", patience=PATIENCE, id=id)
    await node.persist("snapshots", "Remove", patience=PATIENCE, snapshotter=snapshotter, key=id)


async def _clear_away(node: Containerd, id: str, snapshotter: str, pipes: Pipes) -> None:
    try:
        await remove_container(node, id, snapshotter)
    except RpcError as error:
        log.warning("service=%s what its failed start made cannot be removed: %s", id, error)
    finally:
        with suppress(OSError):
            await asyncio.to_thread(pipes.remove)


def _make_pipes(id: str) -> Pipes:
    directory = os.path.join(PIPES, id)
    shutil.rmtree(directory, ignore_errors=True)
    return Pipes(directory, terminal=False)

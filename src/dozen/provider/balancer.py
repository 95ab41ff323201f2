"""One address for several control planes; a program of its own beside a cluster's machines.

    python -m dozen.provider.balancer PORT=TARGET,TARGET...

It listens on ports of this computer's loopback, which the machines reach as 10.0.2.2: one for the Kubernetes API, and
one where workers ask for certificates. Each connection is carried to one of the port's targets, loopback ports that
lead to a control plane each.

That a target accepts a connection says nothing, because the emulator's network accepts for the guest behind it. So
what the client says first, its TLS hello, is kept until the target has answered; a target that ends the connection
instead, or says nothing, is followed by the next one, and is asked last for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from dozen.provider.machines import ProviderError
from dozen.provider.qemu import port_is_free, wait_gone
from dozen.provider.relay import CHUNK, pump

FIRST_SECONDS = 10.0
"""How long a control plane may take for its first word. A loaded one under emulation needs seconds for a key."""
AVOID_SECONDS = 20.0
START_SECONDS = 10.0


@dataclass(slots=True)
class Balancer:
    """Chooses a target for each connection. ``avoided``: until when a target that failed is asked last."""

    targets: Sequence[int]
    avoided: dict[int, float] = field(default_factory=dict)
    turn: int = 0

    def order(self, now: float) -> list[int]:
        """The targets in the order in which to try them: each connection starts one further on."""
        start, self.turn = self.turn % len(self.targets), self.turn + 1
        turned = [*self.targets[start:], *self.targets[:start]]
        return sorted(turned, key=lambda target: self.avoided.get(target, 0.0) > now)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, until both directions have ended."""
        try:
            hello = await reader.read(CHUNK)
            answered = await self._find(hello) if hello else None
        except OSError:
            answered = None
        if answered is None:
            writer.transport.abort()
            return
        first, far_reader, far = answered
        writer.write(first)
        await asyncio.gather(pump(reader, far), pump(far_reader, writer))
        for each in (writer, far):
            each.close()
            with contextlib.suppress(OSError):
                await each.wait_closed()

    async def _find(self, hello: bytes) -> tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter] | None:
        """The first target that answers the client's first words, with its answer."""
        for target in self.order(time.monotonic()):
            writer = None
            try:
                async with asyncio.timeout(FIRST_SECONDS):
                    reader, writer = await asyncio.open_connection("127.0.0.1", target)
                    writer.write(hello)
                    first = await reader.read(CHUNK)
                if first:
                    self.avoided.pop(target, None)
                    return first, reader, writer
            except (OSError, TimeoutError):
                pass
            if writer is not None:
                writer.transport.abort()
            self.avoided[target] = time.monotonic() + AVOID_SECONDS
        return None


Services = Mapping[int, Sequence[int]]
"""Port → targets."""


async def run(services: Services) -> None:
    async with AsyncExitStack() as stack:
        for port, targets in services.items():
            server = await asyncio.start_server(Balancer(targets).serve, "127.0.0.1", port)
            await stack.enter_async_context(server)
        await asyncio.Event().wait()


# The other side: who starts and ends the program.


def command_line(services: Services, folder: Path) -> list[str]:
    """The folder stands behind the services only so that a process can be told from another cluster's."""
    words = [f"{port}={','.join(str(target) for target in targets)}" for port, targets in services.items()]
    return [sys.executable, "-m", "dozen.provider.balancer", *words, str(folder / "balancer.pid")]


def read_services(words: Sequence[str]) -> dict[int, list[int]]:
    parts = (word.partition("=") for word in words)
    return {int(port): [int(target) for target in targets.split(",")] for port, _, targets in parts}


def ensure(services: Services, folder: Path) -> None:
    """The program running with exactly these services. Raises ProviderError when a port is taken."""
    wanted = command_line(services, folder)
    if running := _find_process(folder):
        if running[1] == wanted[1:]:
            return
        stop(folder)
    for port in services:
        if not port_is_free(port):
            hint = f"end the program that listens there (`ss -ltnp sport = :{port}` names it), or destroy the cluster"
            raise ProviderError(f"port {port}, which leads to the cluster's control planes, is taken", hint)
    with (folder / "balancer.log").open("wb") as log:
        process = subprocess.Popen(
            wanted,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            start_new_session=True,
        )
    (folder / "balancer.pid").write_text(str(process.pid))
    # Popen would complain at its end that the process still runs, which is what is meant.
    process.returncode = 0


def stop(folder: Path) -> None:
    if running := _find_process(folder):
        pidfd = os.pidfd_open(running[0])
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGTERM)
            wait_gone(pidfd, START_SECONDS)
        finally:
            os.close(pidfd)
    (folder / "balancer.pid").unlink(missing_ok=True)


def _find_process(folder: Path) -> tuple[int, list[str]] | None:
    """(pid, arguments) of the program that was started for the cluster in ``folder``, while it runs."""
    path = folder / "balancer.pid"
    try:
        pid = int(path.read_text())
        words = [os.fsdecode(word) for word in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]]
    except (OSError, ValueError):
        return None
    return (pid, words[1:]) if str(path) in words else None


if __name__ == "__main__":
    asyncio.run(run(read_services(sys.argv[1:-1])))

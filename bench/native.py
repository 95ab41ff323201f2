"""A node in namespaces of this computer, and what its API takes. Prints JSON; needs root.

Clients are in the node's network namespace, in one process, so that nothing is measured but the way of a real call:
mutual TLS to apid, a Unix socket to machined. Python on both sides shares this computer's processors.

    PYTHONPATH=src python -m bench.native [--seconds 2]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.parts import TOP, with_bytecode
from dozen.compose.build import build_image
from dozen.machinery import talosconfig
from dozen.machinery.config.generating import generate
from dozen.machinery.config.patches import patch, read_patch
from dozen.machinery.messages import message
from dozen.provider.access import tls_of
from dozen.provider.container import Container
from dozen.provider.machines import BootImage, MachineSpec, report_nothing
from dozen.rpc.client import Channel
from dozen.testing.hostile import host_pid, resident
from dozen.testing.live import LiveNode
from dozen.testing.portal import Portal

API = "127.0.0.1:50000"
VERSION = "/machine.MachineService/Version"
CLIENTS = (1, 16, 128)
# How often something is changed, and when all that follows from it is over (seconds).
WATCHERS, CHANGES, SETTLED, PATIENCE = 1000, 7, 1.0, 30.0
KIND = "MachineConfigs.config.talos.dev"
NO_REBOOT = 2  # machine.ApplyConfigurationRequest.Mode
BIG_FILE = "/bin/containerd"
CLI_RUNS = 15


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each number of clients is measured")
    parser.add_argument("--inside", nargs=3, metavar=("CLIENT", "APID", "MACHINED"), help="for itself only")
    given = parser.parse_args()
    if given.inside:
        client, apid, machined = given.inside
        figures = asyncio.run(Inside(Path(client), int(apid), int(machined), given.seconds).measure())
    else:
        figures = measure(given.seconds)
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0


def measure(seconds: float) -> dict[str, Any]:
    """Start a node, and this script again within its network."""
    image = BootImage.load(Path(build_image("dev").directory))
    assert image.tree
    bundle = generate("bench", "https://127.0.0.1:6443")
    portal, provider = Portal(), Container(image.tree)
    with tempfile.TemporaryDirectory() as scratch:
        folder, client = Path(scratch) / "node", Path(scratch) / "client"
        client.write_text(bundle.talosconfig)
        client.with_suffix(".yaml").write_text(bundle.controlplane)
        began = time.perf_counter()
        machine = portal.run(provider.create(MachineSpec("bench", image, bundle.controlplane), folder, report_nothing))
        try:
            node = LiveNode(provider, machine, talosconfig.parse(bundle.talosconfig).select(), portal)
            node.until(node.version, "an answer")
            first = time.perf_counter() - began
            node.until_healthy("apid", "trustd")
            assert machine.pid
            apid = host_pid(machine.pid, node.process("apid").pid)
            again = [sys.executable, "-m", "bench.native", f"--seconds={seconds}", "--inside", str(client), str(apid)]
            enter = ["nsenter", f"--net=/proc/{machine.pid}/ns/net", "--"]
            done = subprocess.run(
                [*enter, *again, str(machine.pid)], cwd=TOP, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise RuntimeError(done.stderr.strip()[-400:])
            node.close()
            return {"first answer, s": round(first, 2), **json.loads(done.stdout.splitlines()[-1])}
        finally:
            portal.run(provider.destroy(folder))


class Inside:
    """All measurements, by a client in the node's network. ``apid`` and ``machined`` are this computer's PIDs."""

    def __init__(self, client: Path, apid: int, machined: int, seconds: float) -> None:
        self.client, self.apid, self.machined, self.seconds = client, apid, machined, seconds
        self.tls = tls_of(talosconfig.parse(client.read_text()).select())
        self.config = client.with_suffix(".yaml").read_text()

    async def measure(self) -> dict[str, Any]:
        before = self.memory()
        return {
            "memory before, MiB": before,
            "unary": {f"{clients} clients": await self.unary(clients) for clients in CLIENTS},
            "stream of a file, MB/s": await self.stream(),
            f"a change of the configuration reaches {WATCHERS:,} watchers, ms": await self.fan_out(),
            "memory after, MiB": self.memory(),
            "wall time of dozenctl, ms": {name: self.run_client(*words) for name, words in CLI.items()},
        }

    def memory(self) -> dict[str, float]:
        return {name: round(resident(getattr(self, name)) / 2**20, 1) for name in ("apid", "machined")}

    def channel(self) -> Channel:
        return Channel(API, tls=self.tls)

    async def unary(self, clients: int) -> dict[str, float]:
        """Version on a connection for each client, one call after the other."""
        channels = [self.channel() for _ in range(clients)]
        await asyncio.gather(*(channel.unary(VERSION, b"") for channel in channels))
        times: list[float] = []
        end = time.perf_counter() + self.seconds

        async def work(channel: Channel) -> None:
            while (begun := time.perf_counter()) < end:
                await channel.unary(VERSION, b"")
                times.append(time.perf_counter() - begun)

        begun = time.perf_counter()
        await asyncio.gather(*map(work, channels))
        took = time.perf_counter() - begun
        for channel in channels:
            await channel.close()
        times.sort()
        return {
            "calls per second": round(len(times) / took),
            "p50, ms": round(times[len(times) // 2] * 1e3, 2),
            "p99, ms": round(times[len(times) * 99 // 100] * 1e3, 2),
        }

    async def stream(self) -> float:
        """One file of some 40 MB, read three times; the median."""
        request, rates = message("machine.ReadRequest")(path=BIG_FILE), []
        async with self.channel() as channel:
            for _ in range(3):
                begun, received = time.perf_counter(), 0
                async for part in channel.server_stream("/machine.MachineService/Read", request):
                    received += len(part)
                rates.append(received / (time.perf_counter() - begun) / 1e6)
        return round(statistics.median(rates), 1)

    async def fan_out(self) -> dict[str, float]:
        """From applying a configuration with another label until the last watcher has it, over one connection."""
        request = message("cosi.resource.WatchRequest")(namespace="config", type=KIND, id="v1alpha1")
        heard: set[int] = set()
        everybody = asyncio.Event()
        async with self.channel() as channel:

            async def watch(number: int) -> None:
                async for _ in channel.server_stream("/cosi.resource.State/Watch", request):
                    heard.add(number)
                    if len(heard) == WATCHERS:
                        everybody.set()

            watchers = [asyncio.create_task(watch(number)) for number in range(WATCHERS)]
            await asyncio.wait_for(everybody.wait(), PATIENCE)
            times = []
            for number in range(CHANGES):
                text = patch(self.config, [read_patch(f"machine: {{nodeLabels: {{change: n{number}}}}}")])
                await asyncio.sleep(SETTLED)
                everybody.clear()
                heard.clear()
                begun = time.perf_counter()
                apply = message("machine.ApplyConfigurationRequest")(data=text.encode(), mode=NO_REBOOT)
                await channel.unary("/machine.MachineService/ApplyConfiguration", apply)
                await asyncio.wait_for(everybody.wait(), PATIENCE)
                times.append((time.perf_counter() - begun) * 1e3)
            together = self.memory()
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)
        return {
            "median": round(statistics.median(times), 1),
            "worst": round(max(times), 1),
            **{f"memory of {name} meanwhile, MiB": value for name, value in together.items()},
        }

    def run_client(self, *words: str) -> int:
        """Median wall time of a command, from its start to its end."""
        command = [sys.executable, "-m", "dozen.cli", *words]
        times = []
        for _ in range(1 + CLI_RUNS):
            begun = time.perf_counter()
            subprocess.run(
                [*command, "--talosconfig", str(self.client), "-e", "127.0.0.1", "-n", "127.0.0.1"],
                capture_output=True,
                check=True,
                env=with_bytecode(),
            )
            times.append((time.perf_counter() - begun) * 1e3)
        return round(statistics.median(times[1:]))


CLI = {"version": ("version",), "list /": ("list", "/"), "services": ("services",)}


if __name__ == "__main__":
    sys.exit(main())

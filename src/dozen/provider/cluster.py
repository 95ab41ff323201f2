"""A cluster as a person asks for it: made, shown and destroyed by name, on this computer.

A cluster is a folder under the state folder. Beside what the provider keeps there it holds the machine's configuration
and the client's, both made when the cluster is. `create` makes sure that the cluster is there and answers, wherever an
earlier command was interrupted: what runs is left running, what is out of date is started from the new image with the
same disk and keys, what is missing is made.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dozen.machinery import talosconfig
from dozen.machinery.config.generating import generate
from dozen.provider.access import ask_version
from dozen.provider.machines import BootImage, Machine, MachineSpec, ProviderError, Report, reported
from dozen.provider.qemu import Qemu, write_private
from dozen.provider.waiting import await_answer

GUEST_ADDRESS = "10.0.2.15"
"""What the emulator's own DHCP server gives to the first guest of each of its networks."""

BOOT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Options:
    """What differs from the ordinary single node. ``config`` is a whole machine configuration instead of a generated
    one (a ``talosconfig`` has to fit it); ``machine`` is merged over the machine part of the generated one."""

    cpus: int = 2
    memory_mib: int = 2048
    disk_mib: int = 8192
    arguments: tuple[str, ...] = ()
    machine: Mapping[str, Any] = field(default_factory=dict)
    config: str | None = None
    talosconfig: str | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """``version`` is what the node answered when it was asked last, None when it was not asked."""

    name: str
    folder: Path
    machine: Machine | None
    version: str | None = None

    @property
    def talosconfig(self) -> Path:
        return self.folder / "talosconfig"

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def state(self) -> str:
        if self.machine is None:
            return "incomplete"
        return "running" if self.machine.pid else "stopped"


def state_folder(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_STATE_HOME") or f"{environ.get('HOME', '/root')}/.local/state"
    return Path(base) / "dozen" / "clusters"


def cache_folder(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_CACHE_HOME") or f"{environ.get('HOME', '/root')}/.cache"
    return Path(base) / "dozen"


class Clusters:
    """All clusters of one person on this computer."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self.folder = state_folder(environ)
        self.provider = Qemu(cache_folder(environ), environ.get("DOZEN_ACCELERATOR"))

    async def create(self, name: str, image: Path, report: Report, options: Options | None = None) -> Cluster:
        """The cluster, there and answering. Raises ProviderError; nothing has to be cleaned up before a next try."""
        options = options or Options()
        folder = self._folder(name)
        boot_image = BootImage.load(image)
        with self._locked(name):
            machine = self.provider.show(folder)
            if machine and machine.pid and machine.image != boot_image.identity:
                with reported("stop", report) as step:
                    await self.provider.stop(folder)
                    step.result("it ran an older image; its disk and its keys are kept")
                machine = self.provider.show(folder)
            config = self._configure(name, folder, options, report)
            if not (machine and machine.pid):
                spec = MachineSpec(
                    name=name,
                    image=boot_image,
                    config=config,
                    cpus=options.cpus,
                    memory_mib=options.memory_mib,
                    disk_mib=options.disk_mib,
                    arguments=options.arguments,
                )
                machine = await self.provider.create(spec, folder, report)
            context = point_client(folder / "talosconfig", machine.address)
            version = await self._await_api(machine, context, report)
        return Cluster(name, folder, machine, version)

    def show(self, name: str) -> Cluster | None:
        """What is known of the cluster without asking its nodes."""
        folder = self._folder(name)
        return Cluster(name, folder, self.provider.show(folder)) if folder.is_dir() else None

    def list(self) -> tuple[Cluster, ...]:
        if not self.folder.is_dir():
            return ()
        names = sorted(path.name for path in self.folder.iterdir() if path.is_dir())
        return tuple(cluster for name in names if (cluster := self.show(name)))

    async def destroy(self, name: str, report: Report) -> bool:
        """Ends the cluster's machines and removes all that is kept of it; False when there is no such cluster."""
        folder = self._folder(name)
        if not folder.exists():
            return False
        with self._locked(name), reported("destroy", report) as step:
            await self.provider.destroy(folder)
            step.result(f"{name} is gone, with its disk and its keys")
        (self.folder / f".{name}.lock").unlink(missing_ok=True)
        return True

    def _folder(self, name: str) -> Path:
        if not name or not all(char.isascii() and (char.isalnum() or char in "-_") for char in name):
            raise ProviderError(f'"{name}" cannot be the name of a cluster', "use letters, digits, - and _")
        return self.folder / name

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """One command at a time works on a cluster; the lock ends with the process that holds it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / f".{name}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ProviderError(f"another command is working on cluster {name}", "wait for it") from None
            yield

    def _configure(self, name: str, folder: Path, options: Options, report: Report) -> str:
        """The machine's configuration: the one that is kept, or a new one. The client's is written first, so that a
        configuration that is there always has its key beside it."""
        kept = folder / "config.yaml"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if options.config is None and kept.exists():
            return kept.read_text()
        with reported("configuration", report) as step:
            if options.config is None:
                bundle = generate(name, f"https://{GUEST_ADDRESS}:6443", sans=(GUEST_ADDRESS,), machine=options.machine)
                config, client = bundle.controlplane, bundle.talosconfig
                step.result("keys and a control plane's configuration were made")
            else:
                config, client = options.config, options.talosconfig or ""
                step.result("taken as given")
            if client:
                write_private(folder / "talosconfig", client.encode())
            write_private(kept, config.encode())
        return config

    async def _await_api(self, machine: Machine, context: talosconfig.Context, report: Report) -> str:
        with reported("API", report) as step:
            answer = await await_answer(
                self.provider, machine, lambda: ask_version(machine.address, context), step, BOOT_SECONDS
            )
            version = str(answer.version.tag)
            step.result(f"{version} answers on {machine.address}")
        return version


def point_client(path: Path, address: str) -> talosconfig.Context:
    """Makes the kept client configuration lead to where the machine's API is now; gives the selected context."""
    try:
        client = talosconfig.parse(path.read_text(), str(path))
        context = client.select()
    except FileNotFoundError:
        raise ProviderError(f"{path} is missing", "destroy the cluster and create it again") from None
    except talosconfig.TalosconfigError as error:
        raise ProviderError(str(error), "destroy the cluster and create it again") from error
    if context.endpoints != (address,):
        moved = talosconfig.Context(
            endpoints=(address,),
            nodes=context.nodes,
            ca=context.ca,
            crt=context.crt,
            key=context.key,
            cluster=context.cluster,
            extra=context.extra,
        )
        write_private(path, talosconfig.render(client.with_context(client.context, moved)).encode())
        return moved
    return context

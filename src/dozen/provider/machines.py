"""What a machine is made from, what is known of one, and what every provider can do with it.

A provider gets a `MachineSpec` (a composed image, a configuration, sizes) and keeps everything about the machine in one
folder, so that a later command, or one after an interruption, finds it again. It tells what it does as `Step` events
and prints nothing: who asked decides how that looks.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from dozen.compose.errors import ComposeError
from dozen.compose.image import Artefact, read_image


class ProviderError(Exception):
    """Something a person has to know. ``hint`` says what to do, ``detail`` is evidence (a console's last lines)."""

    def __init__(self, message: str, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message, self.hint, self.detail = message, hint, detail

    def __str__(self) -> str:
        return "\n".join(part for part in (self.message, self.detail, self.hint) if part)


class StepState(StrEnum):
    STARTED = "started"
    NOTE = "note"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a provider reports. ``seconds`` since that step started, ``text`` what came of it."""

    name: str
    state: StepState
    seconds: float
    text: str = ""


Report = Callable[[Step], None]


def report_nothing(step: Step) -> None:
    """For callers who only want the result."""


class OpenStep:
    """A step under way; what it came to is said with `result` before it ends."""

    def __init__(self, name: str, report: Report) -> None:
        self.name, self.text = name, ""
        self._report, self._start = report, time.monotonic()

    def note(self, text: str) -> None:
        self.tell(StepState.NOTE, text)

    def result(self, text: str) -> None:
        self.text = text

    def tell(self, state: StepState, text: str = "") -> None:
        self._report(Step(self.name, state, time.monotonic() - self._start, text))


@contextmanager
def reported(name: str, report: Report) -> Iterator[OpenStep]:
    """Reports the start of a step, and its end, whichever way it ends."""
    step = OpenStep(name, report)
    step.tell(StepState.STARTED)
    try:
        yield step
    except asyncio.CancelledError:
        step.tell(StepState.FAILED, "interrupted")
        raise
    except BaseException as error:
        step.tell(StepState.FAILED, str(error).partition("\n")[0] or type(error).__name__)
        raise
    step.tell(StepState.DONE, step.text)


@dataclass(frozen=True, slots=True)
class BootImage:
    """The files that a machine starts from. ``identity`` changes whenever any of them does: a machine that was made
    from another one is out of date. ``tree`` is the root file system as files, for a node without a machine; ``images``
    is the disk with the container images that a node starts Kubernetes from, None when there is none."""

    kernel: Path
    initramfs: Path
    rootfs: Path | None
    cmdline: str
    identity: str
    tree: Path | None = None
    images: Path | None = None

    @classmethod
    def load(cls, folder: Path) -> BootImage:
        """What the composer left in ``folder``. Raises ProviderError when that is no complete image."""
        try:
            image = read_image(folder)
        except ComposeError as error:
            raise ProviderError(str(error)) from error
        if not image.is_whole():
            raise ProviderError(f"the image in {folder} is not complete", "build it again with `make image`")
        parts: tuple[Artefact, ...] = (image.vmlinux, image.initramfs, image.rootfs)
        kernel, initramfs, rootfs = (image.path(part).resolve() for part in parts)
        if cached := image.images:
            parts = (*parts, cached)
        identity = hashlib.sha256(" ".join([image.cmdline, *(part.sha256 for part in parts)]).encode())
        images = image.path(cached).resolve() if cached else None
        return cls(kernel, initramfs, rootfs, image.cmdline, identity.hexdigest()[:16], image.tree.resolve(), images)


class Network(StrEnum):
    """What a machine's network card is plugged into. A node must bear all of them."""

    USER = "user"  # the emulator's own network, with DHCP, DNS and a way out
    SILENT = "silent"  # a network where nobody answers
    NONE = "none"  # there is no card


@dataclass(frozen=True, slots=True)
class Plug:
    """A place in a cluster's network (`dozen.provider.network`). ``folder`` holds the network's sockets; ``port`` is
    where, on this computer's loopback, the network leads to the machine's API."""

    folder: Path
    name: str
    port: int


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """What to make a machine from. Sizes in MiB; ``config`` is the machine configuration's text, or None for none.

    ``disk_mib`` of 0 means no data disk. ``plug`` puts the machine's card into a cluster's network; ``network`` then
    says nothing.
    ``arguments`` go to the kernel behind the image's own, ``disks`` are more disk images as serial number → file.
    ``throwaway``: what is written to any disk is forgotten when the machine ends.
    """

    name: str
    image: BootImage
    config: str | None
    cpus: int = 2
    memory_mib: int = 2048
    disk_mib: int = 8192
    network: Network = Network.USER
    plug: Plug | None = None
    arguments: tuple[str, ...] = ()
    disks: dict[str, Path] = field(default_factory=dict)
    throwaway: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """What is known of a machine. ``address`` is where its API can be reached, ``pid`` None when it does not run."""

    name: str
    folder: Path
    address: str
    image: str
    pid: int | None

    @property
    def console(self) -> Path:
        return self.folder / "console.log"


class Provider(Protocol):
    """Makes, finds and ends machines. ``show`` and ``destroy`` work on whatever an interrupted ``create`` left."""

    async def create(self, spec: MachineSpec, folder: Path, report: Report) -> Machine: ...

    def show(self, folder: Path) -> Machine | None: ...

    async def stop(self, folder: Path) -> None: ...

    async def destroy(self, folder: Path) -> None: ...

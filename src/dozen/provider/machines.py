"""What a machine is made from, what is known of one, and what every provider can do with it.

A provider gets a `MachineSpec` (a composed image, a configuration, sizes) and keeps everything about the machine in one
folder, so that a later command, or one after an interruption, finds it again. It tells what it does as `Step` events
and prints nothing: who asked decides how that looks.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol


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
    except BaseException as error:
        step.tell(StepState.FAILED, str(error).partition("\n")[0] or type(error).__name__)
        raise
    step.tell(StepState.DONE, step.text)


@dataclass(frozen=True, slots=True)
class BootImage:
    """The files that a machine starts from, as the composer left them in one folder."""

    folder: Path
    kernel: Path
    initramfs: Path
    rootfs: Path | None
    cmdline: str
    identity: str
    """Changes whenever any of the files does; a machine made from another identity is out of date."""

    @classmethod
    def load(cls, folder: Path) -> BootImage:
        """Reads ``image.json``. Raises ProviderError when the folder holds no complete image."""
        described = folder / "image.json"
        compose = f"compose one first: python -m dozen.compose build --out {folder}"
        try:
            text = described.read_text()
            facts = json.loads(text)
            files = facts["files"]
            kernel = _file(folder, files, "vmlinux", "vmlinuz")
            image = cls(
                folder=folder,
                kernel=kernel,
                initramfs=_file(folder, files, "initramfs.cpio.zst", "initramfs.cpio"),
                rootfs=_file(folder, files, "rootfs.img"),
                cmdline=facts["cmdline"],
                identity=hashlib.sha256(text.encode()).hexdigest()[:16],
            )
        except FileNotFoundError as error:
            raise ProviderError(f"{folder} holds no image: {error.filename} is missing", compose) from error
        except (ValueError, KeyError, TypeError) as error:
            raise ProviderError(f"{described} cannot be understood: {error!r}", compose) from error
        return image


def _file(folder: Path, files: dict[str, object], *names: str) -> Path:
    """The first of ``names`` that the image has."""
    for name in names:
        if name in files:
            path = folder / name
            path.stat()
            return path.resolve()
    raise KeyError(names[0])


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """What to make a machine from. Sizes in MiB; ``config`` is the machine configuration's text, or None for none.

    ``disk_mib`` of 0 means no data disk, ``network`` False no network card: a node must bear both.
    ``arguments`` go to the kernel behind the image's own, ``disks`` are more disk images as serial number → file.
    ``throwaway``: what is written to any disk is forgotten when the machine ends.
    """

    name: str
    image: BootImage
    config: str | None
    cpus: int = 2
    memory_mib: int = 2048
    disk_mib: int = 8192
    network: bool = True
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

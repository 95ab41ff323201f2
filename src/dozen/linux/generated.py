"""Files that the node generates: written whole, replaced in one step, so that a reader never sees half of one."""

from __future__ import annotations

import contextlib
import os

from dozen.machinery.effects.files import MakeDirectory, RemoveFile, WriteFile
from dozen.machinery.plan import Effect


def run(effect: Effect) -> None:
    """Carry out an effect on a file. Raises OSError, and TypeError for what is not about files."""
    match effect:
        case WriteFile():
            write_file(effect)
        case RemoveFile():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(effect.path)
        case MakeDirectory():
            os.makedirs(effect.path, exist_ok=True)
            os.chown(effect.path, effect.uid, effect.gid)
            os.chmod(effect.path, effect.mode)
        case _:
            raise TypeError(f"not an effect on a file: {effect!r}")


def write_file(effect: WriteFile) -> None:
    """Write a whole file in one step: readers see the old text or the new one."""
    folder, name = os.path.split(effect.path)
    os.makedirs(folder, exist_ok=True)
    # Hidden: the kubelet runs every file of its folder whose name does not begin with a dot, half of one too.
    draft = f"{folder}/.{name}.new"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        data = effect.content.encode()
        while data:
            data = data[os.write(descriptor, data) :]
        os.fchmod(descriptor, effect.mode)
        if effect.gid:
            os.fchown(descriptor, 0, effect.gid)
    finally:
        os.close(descriptor)
    os.replace(draft, effect.path)

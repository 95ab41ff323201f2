"""Writes the files that a configuration asks for: below /var where they are, in /etc by way of a layer over it."""

from __future__ import annotations

import contextlib
import os
import shutil

from dozen.linux import etclayer
from dozen.linux.generated import write_file
from dozen.machinery.effects.files import WriteFile
from dozen.machinery.effects.hostfiles import PlacedFile, PlaceFiles
from dozen.machinery.plan import Effect

VAR = "/var"
OVERWRITE, APPEND = "overwrite", "append"
LIMIT = 4 << 20  # bytes of a file that is appended to; a configuration is not longer either


def run(effect: Effect) -> list[str]:
    """Carry out `PlaceFiles`: what could not be done, in words. Blocks; raises TypeError for another effect."""
    if not isinstance(effect, PlaceFiles):
        raise TypeError(f"not an effect on files of the configuration: {effect!r}")
    failures = []
    for file in effect.files:
        try:
            _place(file)
        except (OSError, ValueError) as error:
            failures.append(f"{file.operation} {file.path}: {_words(error)}")
    for path in effect.restored:
        try:
            etclayer.open_layer()
            _restore(path)
        except OSError as error:
            failures.append(f"restore {path}: {_words(error)}")
    return failures


def _words(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _place(file: PlacedFile) -> None:
    if file.path.startswith(f"{etclayer.ETC}/"):
        etclayer.open_layer()
        # What is appended goes behind what the image has, however often that is said.
        target, ground = _in_layer(file.path), f"{etclayer.IMAGE}{file.path.removeprefix(etclayer.ETC)}"
    else:
        target = ground = file.path
    if file.operation in (OVERWRITE, APPEND) and not os.path.isfile(ground):
        raise ValueError('is not there; with op "create" it would be')
    content = file.content
    if file.operation == APPEND:
        content = _appended(ground, content)
    folder = os.path.dirname(target)
    os.makedirs(folder, exist_ok=True)
    _check_inside(folder, etclayer.LAYER if target != file.path else VAR)
    write_file(WriteFile(target, content, file.mode))


def _appended(path: str, content: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as stream:
        before = stream.read(LIMIT + 1)
    if len(before) > LIMIT:
        raise ValueError(f"is larger than {LIMIT} bytes: nothing is appended")
    return before if before.endswith(content) else before + content


def _check_inside(folder: str, root: str) -> None:
    """Whoever may write below /var must not lead this elsewhere by a link."""
    if f"{os.path.realpath(folder)}/".startswith(f"{os.path.realpath(root)}/"):
        return
    raise ValueError(f"a link leads out of {root}")


def _in_layer(path: str) -> str:
    return f"{etclayer.LAYER}{path.removeprefix(etclayer.ETC)}"


def _restore(path: str) -> None:
    """The image's file again, or none if the image has none. In the layer both are the same: what is there goes."""
    target, ground = _in_layer(path), f"{etclayer.IMAGE}{path.removeprefix(etclayer.ETC)}"
    if os.path.isfile(ground):
        draft = f"{target}.new"
        shutil.copy2(ground, draft)
        os.replace(draft, target)
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(target)

"""Files that must be there after a crash: written whole, and on the disk before the call returns."""

from __future__ import annotations

import contextlib
import os


def write_durably(path: str, text: str, mode: int = 0o600) -> None:
    """Replace a file. A crash leaves the old content or the new; after the return it is the new. Raises OSError.

    The rename is atomic, but only a synchronized directory makes it last (rename(2), fsync(2)).
    """
    draft = f"{path}.new"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        data = text.encode()
        while data:
            data = data[os.write(descriptor, data) :]
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise
    finally:
        os.close(descriptor)
    os.replace(draft, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_text(path: str, limit: int) -> str | None:
    """A file's text, None when there is none. Raises OSError, and ValueError for what is no text or too long."""
    try:
        with open(path, "rb") as stream:
            data = stream.read(limit + 1)
    except FileNotFoundError:
        return None
    if len(data) > limit:
        raise ValueError(f"{path} is larger than {limit} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8: {error}") from None

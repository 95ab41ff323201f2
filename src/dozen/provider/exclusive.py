"""One command at a time works on a cluster: a lock that ends with the process that holds it and says who that is."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dozen.provider.machines import ProviderError


@contextmanager
def exclusively(path: Path, name: str) -> Iterator[None]:
    """Holds the lock file of the cluster ``name``. Raises ProviderError, with the holder's process, when another does.

    Whoever holds it may remove the file: one who has opened it before finds it gone and makes another.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        with path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip()
                hint = f"wait for it, or end it: process {holder}" if holder else "wait for it"
                raise ProviderError(f"another command is working on cluster {name}", hint) from None
            if not _is_there(file.fileno(), path):
                continue
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield
            return


def _is_there(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False

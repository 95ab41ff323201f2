"""Effects on the table of mounts."""

from __future__ import annotations

import msgspec

from dozen.machinery.plan import Effect


class Mount(Effect, msgspec.Struct, frozen=True):
    """Mount a device. ``options`` are words as in /proc/mounts: ``nosuid``, ``nodev``, and the file system's own."""

    source: str
    target: str
    fstype: str
    options: tuple[str, ...] = ()
    generation: int = 0

    def __str__(self) -> str:
        return f"mount {self.source} on {self.target} ({self.fstype}: {','.join(self.options)})"


class Unmount(Effect, msgspec.Struct, frozen=True):
    """Unmount what is on a directory; nothing mounted there is fine."""

    target: str

    def __str__(self) -> str:
        return f"unmount {self.target}"

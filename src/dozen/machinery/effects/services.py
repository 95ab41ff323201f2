"""Effects on services."""

from __future__ import annotations

import msgspec

from dozen.machinery.plan import Effect


class RefreshService(Effect, msgspec.Struct, frozen=True):
    """Start a service again if it runs on something older than what there is; one that is not up reads that anyway."""

    id: str
    reason: str

    def __str__(self) -> str:
        return f"refresh {self.id}: {self.reason}"

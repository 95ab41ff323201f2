"""Effects on services."""

from __future__ import annotations

import msgspec

from dozen.machinery.plan import Effect


class RestartService(Effect, msgspec.Struct, frozen=True):
    """Stop a service and start it again, for it to read what has been written; one that is not up reads it anyway."""

    id: str
    reason: str

    def __str__(self) -> str:
        return f"restart {self.id}: {self.reason}"

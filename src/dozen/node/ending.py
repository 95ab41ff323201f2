"""How a boot is to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from dozen.machinery.plan import Effect


class Ending(msgspec.Struct, frozen=True):
    """How the machine is to end: ``reboot``, ``shutdown`` or ``reset``, and the request that asked for it.

    ``wipes`` are a reset's effects on disks that nothing uses any more, and ``restart`` whether it boots again then.
    """

    kind: str
    actor_id: str = ""
    force: bool = False
    wipes: tuple[Effect, ...] = ()
    restart: bool = False

    @property
    def boots_again(self) -> bool:
        """Whether the kernel is to start the machine again, instead of taking its power."""
        return self.kind == "reboot" or self.restart

"""Effects on the node's packet filter."""

from __future__ import annotations

import msgspec

from dozen.machinery.plan import Effect
from dozen.machinery.resources.firewall import NfTablesChainSpec


class SetFirewall(Effect, msgspec.Struct, frozen=True):
    """Have exactly these chains, by name, in the node's own table: in one step, so that no packet comes between."""

    chains: tuple[tuple[str, NfTablesChainSpec], ...]

    def __str__(self) -> str:
        if not self.chains:
            return "remove the firewall"
        return "set the firewall: " + ", ".join(f"{name} {len(chain.rules)} rules" for name, chain in self.chains)

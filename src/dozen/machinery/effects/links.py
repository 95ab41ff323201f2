"""Effects on links that are made of software, and on what belongs to them."""

from __future__ import annotations

import msgspec

from dozen.machinery.plan import Effect
from dozen.machinery.resources.ethernet import EthernetSpecSpec
from dozen.machinery.resources.link import LinkSpec, LinkStatusSpec, Wireguard


class MakeLink(Effect, msgspec.Struct, frozen=True):
    """Make a link of a spec's kind; it stays down, and gets no members. One that is there already is left alone."""

    spec: LinkSpec

    def __str__(self) -> str:
        above = f" on {self.spec.parent_name}" if self.spec.parent_name else ""
        return f"make {self.spec.kind} {self.spec.name}{above}"


class ChangeLink(Effect, msgspec.Struct, frozen=True):
    """Give a bridge or bond the parameters of a spec in which it differs from what is ``present``."""

    spec: LinkSpec
    present: LinkStatusSpec

    def __str__(self) -> str:
        return f"change {self.spec.kind} {self.spec.name}"


class RemoveLink(Effect, msgspec.Struct, frozen=True):
    """Remove a link that is made of software; one that is gone is fine."""

    link: str

    def __str__(self) -> str:
        return f"remove link {self.link}"


class JoinLink(Effect, msgspec.Struct, frozen=True):
    """Make a link a member of a bridge, bond or VRF, or of none with ``master`` "".

    ``down`` takes it down before: a bond accepts nothing else, and brings it up itself.
    """

    link: str
    master: str
    down: bool = False

    def __str__(self) -> str:
        return f"put link {self.link} into {self.master}" if self.master else f"free link {self.link}"


class SetWireguard(Effect, msgspec.Struct, frozen=True):
    """Give a WireGuard link its key and its peers, all of them: others that it had are forgotten."""

    link: str
    settings: Wireguard

    def __str__(self) -> str:
        return f"set up wireguard {self.link}, {len(self.settings.peers)} peers"


class SetAlias(Effect, msgspec.Struct, frozen=True):
    """Give a link another name, or none with ``alias`` ""; ``before`` is the one that it had from us."""

    link: str
    alias: str
    before: str = ""

    def __str__(self) -> str:
        return f"call link {self.link} {self.alias} as well" if self.alias else f"take a name off link {self.link}"


class SetEthernet(Effect, msgspec.Struct, frozen=True):
    """Have the driver of a link set as said: only what is given changes."""

    link: str
    settings: EthernetSpecSpec

    def __str__(self) -> str:
        names = [name for name in self.settings.__struct_fields__ if getattr(self.settings, name) not in (None, {}, ())]
        return f"set {', '.join(names).replace('_', ' ')} of ethernet link {self.link}"

"""Carries out effects on links that are made of software (`dozen.machinery.effects.links`)."""

from __future__ import annotations

import errno

from dozen.linux import rtnetlink as rt
from dozen.linux.linkkinds import pack_data
from dozen.linux.netlink import NetlinkError
from dozen.linux.network import Network, UnknownLink
from dozen.machinery.effects import links as effects
from dozen.machinery.plan import Effect, Temporary
from dozen.machinery.resources.link import LinkStatusSpec

NO_SUCH_KIND = "Unknown device type"  # the kernel's words (rtnl_newlink)


async def run(effect: Effect) -> None:
    """Carry out one effect; raises `Temporary` naming it and the kernel's reason."""
    try:
        if isinstance(effect, effects.SetWireguard):
            from dozen.linux import wireguard

            await wireguard.set_up(effect.link, effect.settings)
        if isinstance(effect, effects.SetEthernet):
            from dozen.linux import ethernet

            ethernet.set_up(effect.link, effect.settings)
            return
        with Network() as network:
            _run(network, effect)
    except (OSError, UnknownLink, ValueError) as error:
        raise Temporary(f"{effect}: {_reason(error, effect)}") from error


def _run(network: Network, effect: Effect) -> None:
    if isinstance(effect, effects.MakeLink):
        _make(network, effect)
    elif isinstance(effect, effects.ChangeLink):
        data = pack_data(effect.spec, lambda name: network.find_link(name).index, effect.present)
        network.set_link(effect.spec.name, rt.LinkChange(kind=effect.spec.kind, data=data))
    elif isinstance(effect, effects.RemoveLink):
        _remove(network, effect.link)
    elif isinstance(effect, effects.JoinLink):
        if effect.down:
            network.set_link(effect.link, rt.LinkChange(up=False))
        master = network.find_link(effect.master).index if effect.master else 0
        network.set_link(effect.link, rt.LinkChange(master=master))
    elif isinstance(effect, effects.SetWireguard):
        # what went over generic netlink is nothing that listeners to links are told of
        network.set_link(effect.link, rt.LinkChange(told=True))
    elif isinstance(effect, effects.SetAlias):
        _rename(network, effect)
    else:
        raise TypeError(f"{effect!r} is no effect on links")


def _make(network: Network, effect: effects.MakeLink) -> None:
    spec = effect.spec
    parent = network.find_link(spec.parent_name).index if spec.parent_name else 0
    change = rt.LinkChange(
        name=spec.name,
        kind=spec.kind,
        parent=parent,
        hardware_address=spec.hardware_addr,
        data=pack_data(spec, lambda name: _find_index(network, name), LinkStatusSpec()),
    )
    try:
        network.make_link(change)
    except NetlinkError as error:
        if error.errno != errno.EEXIST:
            raise
        # again is fine, and both ends of a pair are made at once
        there = network.find_link(spec.name).kind or "physical link"
        if there != spec.kind:
            raise NetlinkError(error.errno, f"there is a {there} of this name") from error


def _rename(network: Network, effect: effects.SetAlias) -> None:
    """As another name, by which every program finds the link, and as the text that tells which of them is the alias.

    Listeners are told of the text, so it comes last.
    """
    link = network.find_link(effect.link)
    if effect.before and effect.before != effect.alias and effect.before in link.other_names:
        network.remove_other_name(link.index, effect.before)
    if effect.alias and effect.alias not in link.other_names:
        network.add_other_name(link.index, effect.alias)
    network.set_alias(link.index, effect.alias)


def _find_index(network: Network, name: str) -> int:
    """A link's number, 0 for one that is yet to come: then the plan after it tells."""
    try:
        return network.find_link(name).index
    except UnknownLink:
        return 0


def _remove(network: Network, name: str) -> None:
    try:
        network.remove_link(network.find_link(name).index)
    except UnknownLink:
        return


def _reason(error: Exception, effect: Effect) -> str:
    if not isinstance(error, OSError):
        return str(error)
    if error.strerror == NO_SUCH_KIND and isinstance(effect, effects.MakeLink):
        return f"this kernel has no links of kind {effect.spec.kind}"
    return error.strerror or str(error)

"""Addresses: which ones links should have, by layer of configuration, and giving them to the links."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest

from dozen.machinery.addresses import canonical_prefix, family_of
from dozen.machinery.effects.network import FOREVER, AddAddress, AnnounceAddress, Each, RemoveAddress
from dozen.machinery.plan import Effect, Input, Put, Step, View
from dozen.machinery.resource import Phase
from dozen.machinery.resources.enums import flags_of, number_of
from dozen.machinery.resources.link import LINK_STATUS
from dozen.machinery.resources.network import ADDRESS_SPEC, ADDRESS_STATUS, AddressSpec, AddressStatusSpec
from dozen.machinery.resources.operator import DHCP_LEASE, VIRTUAL_ADDRESS, LeasedAddress
from dozen.machinery.resources.settings import NETWORK, NETWORK_SETTINGS
from dozen.node.controllers.network.matching import settings_by_link

DEPRECATED = "deprecated"  # a flag: for the connections that there are, and no new ones


class AddressSpecController:
    """NetworkSettings + DHCPLease + VirtualAddress + LinkStatus → AddressSpec; the configuration wins over DHCP."""

    name = "network-address-specs"
    inputs = (Input(NETWORK_SETTINGS), Input(DHCP_LEASE), Input(VIRTUAL_ADDRESS), Input(LINK_STATUS))
    outputs = (ADDRESS_SPEC,)

    def plan(self, view: View) -> Iterable[Step]:
        specs = {
            f"{spec.link_name}/{spec.address}": spec for spec in (*_leased(view), *_elected(view), *_configured(view))
        }
        for id, spec in specs.items():
            yield Put(ADDRESS_SPEC, id, spec)


class AddressController:
    """AddressSpec + AddressStatus → links have the addresses that they should have, and not those that ended.

    An address that is not preferred any more is put there again with that lifetime over, and so is one that is again.
    """

    name = "network-addresses"
    inputs = (Input(ADDRESS_SPEC, finalize=True), Input(ADDRESS_STATUS), Input(LINK_STATUS))
    outputs = ()

    def plan(self, view: View) -> Iterable[Step]:
        present = {(each.spec.link_name, each.spec.address): each.spec for each in view.list(ADDRESS_STATUS)}
        links = {link.id for link in view.list(LINK_STATUS)}
        effects: list[Effect] = []
        for resource in view.list(ADDRESS_SPEC):
            spec = resource.spec
            found = present.get((spec.link_name, spec.address))
            there, same = found is not None, found is not None and _is_same(spec, found)
            if resource.metadata.phase is Phase.TEARING_DOWN:
                if there:
                    effects.append(RemoveAddress(spec.link_name, spec.address))
            elif not same and spec.link_name in links:
                effects.append(_add(spec))
                if not there and spec.announce_with_arp:
                    effects.append(AnnounceAddress(spec.link_name, spec.address))
        if effects:
            yield Each(tuple(effects))


def _leased(view: View) -> Iterator[AddressSpec]:
    for lease in view.list(DHCP_LEASE):
        for each in lease.spec.addresses or (LeasedAddress(address=lease.spec.address),):
            yield AddressSpec(
                address=each.address,
                link_name=lease.spec.link_name,
                family=family_of(each.address),
                flags=DEPRECATED if each.deprecated else "",
                priority=lease.spec.route_metric,
                layer="operator",
            )


def _elected(view: View) -> Iterator[AddressSpec]:
    """Virtual addresses that are here now, as single hosts: no network is reached by them."""
    for virtual in view.list(VIRTUAL_ADDRESS):
        if virtual.spec.held:
            yield AddressSpec(
                address=canonical_prefix(virtual.id),
                link_name=virtual.spec.link_name,
                family=family_of(virtual.id),
                announce_with_arp=True,
                layer="operator",
            )


def _configured(view: View) -> Iterator[AddressSpec]:
    settings = view.get(NETWORK_SETTINGS, NETWORK)
    if settings is None:
        return
    for link, entry in settings_by_link(settings.spec, view.list(LINK_STATUS)).items():
        for text, priority in () if entry.ignore else zip_longest(entry.addresses, entry.address_priorities):
            address = canonical_prefix(text)
            yield AddressSpec(
                address=address,
                link_name=link,
                family=family_of(address),
                priority=priority or 0,
                layer="configuration",
            )


def _is_same(spec: AddressSpec, status: AddressStatusSpec) -> bool:
    aged = DEPRECATED in status.flags.split(",")
    return spec.priority in (0, status.priority) and aged == (DEPRECATED in spec.flags.split(","))


def _add(spec: AddressSpec) -> AddAddress:
    return AddAddress(
        spec.link_name,
        spec.address,
        scope=number_of("Scope", spec.scope),
        flags=flags_of("AddressFlags", spec.flags),
        priority=spec.priority,
        preferred=0 if DEPRECATED in spec.flags.split(",") else FOREVER,
    )

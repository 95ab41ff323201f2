"""What the network amounts to: the node's own addresses, who it is on the link, whether it can be reached."""

from __future__ import annotations

from collections.abc import Iterable

from dozen.machinery.addresses import address_of, contains, sort_key, specific_key
from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources.files import ETC_FILE_SPEC, ETC_FILE_STATUS
from dozen.machinery.resources.link import LINK_STATUS
from dozen.machinery.resources.network import (
    ADDRESS_STATUS,
    HARDWARE_ADDRESS,
    HOSTNAME_STATUS,
    NETWORK_STATUS,
    NODE_ADDRESS,
    NODE_ADDRESS_SORT_ALGORITHM,
    ROUTE_STATUS,
    AddressStatusSpec,
    HardwareAddressSpec,
    NetworkStatusSpec,
    NodeAddressSortAlgorithmSpec,
    NodeAddressSpec,
)
from dozen.machinery.resources.operator import DHCP_LEASE
from dozen.machinery.resources.routing import NODE_ADDRESS_FILTER, NodeAddressFilterSpec
from dozen.machinery.resources.settings import NETWORK, NETWORK_SETTINGS
from dozen.node.controllers.network.matching import LOOPBACK, is_physical, is_up
from dozen.node.controllers.network.names import HOSTNAME, NAMES

# an address with one of these is not to be told to others: it is short-lived, going away, or perhaps somebody else's
UNFIT = frozenset(("temporary", "deprecated", "tentative", "dadfailed"))


class NodeAddressController:
    """AddressStatus + LinkStatus → NodeAddress, sorted as NetworkSettings says, which NodeAddressSortAlgorithm repeats.

    ``current`` are the addresses by which the node can be reached now, those of physical links first; ``routed`` leaves
    out single hosts that nobody leased, as virtual addresses are; ``default`` is one address that is kept as long as
    the node has it; ``accumulative`` are all that it ever had, as certificates name them. All but ``default`` are there
    once more for each filter.
    """

    name = "network-node-addresses"
    inputs = (
        Input(ADDRESS_STATUS),
        Input(LINK_STATUS),
        Input(NODE_ADDRESS_FILTER),
        Input(NETWORK_SETTINGS, NETWORK),
        Input(DHCP_LEASE),
    )
    outputs = (NODE_ADDRESS, NODE_ADDRESS_SORT_ALGORITHM)

    def plan(self, view: View) -> Iterable[Step]:
        settings = view.get(NETWORK_SETTINGS, NETWORK)
        algorithm = settings.spec.sort_algorithm if settings else "v1"
        key = specific_key if algorithm == "v2" else sort_key
        yield Put(NODE_ADDRESS_SORT_ALGORITHM, "default", NodeAddressSortAlgorithmSpec(algorithm=algorithm))
        links = {link.id: link.spec for link in view.list(LINK_STATUS)}
        physical = {name for name, link in links.items() if is_physical(link)}
        up = {name for name, link in links.items() if is_up(link) and name != LOOPBACK}
        found = [a.spec for a in view.list(ADDRESS_STATUS) if a.spec.link_name in up and _is_fit(a.spec)]
        found.sort(key=lambda spec: (spec.link_name not in physical, key(spec.address)))
        current = tuple(dict.fromkeys(spec.address for spec in found))
        before = view.get(NODE_ADDRESS, "default")
        kept = before.spec.addresses if before else ()
        default = kept if kept and kept[0] in current else current[:1]
        ever = view.get(NODE_ADDRESS, "accumulative")
        accumulative = dict.fromkeys((*(ever.spec.addresses if ever else ()), *current))
        if default:
            yield Put(NODE_ADDRESS, "default", NodeAddressSpec(addresses=default, sort_algorithm=algorithm))
        leased = _list_leased(view)
        views = {
            "current": current,
            "routed": tuple(address for address in current if not _is_single(address) or address in leased),
            "accumulative": tuple(sorted(accumulative, key=key)),
        }
        filters = view.list(NODE_ADDRESS_FILTER)
        for id, addresses in views.items():
            yield Put(NODE_ADDRESS, id, NodeAddressSpec(addresses=addresses, sort_algorithm=algorithm))
            for each in filters:
                fit = tuple(address for address in addresses if _passes(each.spec, address_of(address)))
                yield Put(NODE_ADDRESS, f"{id}-{each.id}", NodeAddressSpec(addresses=fit, sort_algorithm=algorithm))


def _list_leased(view: View) -> set[str]:
    """Addresses that DHCP gave: by DHCPv6, and in clouds, they are single hosts that others reach all the same."""
    leases = [lease.spec for lease in view.list(DHCP_LEASE)]
    return {lease.address for lease in leases} | {each.address for lease in leases for each in lease.addresses}


def _passes(given: NodeAddressFilterSpec, address: str) -> bool:
    included = not given.include_subnets or any(contains(subnet, address) for subnet in given.include_subnets)
    return included and not any(contains(subnet, address) for subnet in given.exclude_subnets)


class HardwareAddressController:
    """LinkStatus → HardwareAddress of the first physical link, by name."""

    name = "network-hardware-address"
    inputs = (Input(LINK_STATUS),)
    outputs = (HARDWARE_ADDRESS,)

    def plan(self, view: View) -> Iterable[Step]:
        for link in view.list(LINK_STATUS):
            if is_physical(link.spec):
                address = link.spec.permanent_addr or link.spec.hardware_addr
                yield Put(HARDWARE_ADDRESS, "first", HardwareAddressSpec(name=link.id, hardware_addr=address))
                return


class NetworkStatusController:
    """Addresses, routes, name and files → NetworkStatus. A network that is ``managed`` elsewhere is ready as it is."""

    name = "network-status"
    inputs = (
        Input(NODE_ADDRESS, "current"),
        Input(ROUTE_STATUS),
        Input(HOSTNAME_STATUS, HOSTNAME),
        Input(ETC_FILE_SPEC),
        Input(ETC_FILE_STATUS),
    )
    outputs = (NETWORK_STATUS,)

    def __init__(self, managed: bool = True) -> None:
        self._managed = managed

    def plan(self, view: View) -> Iterable[Step]:
        current = view.get(NODE_ADDRESS, "current")
        connected = any(not route.spec.dst and route.spec.gateway for route in view.list(ROUTE_STATUS))
        yield Put(
            NETWORK_STATUS,
            "status",
            NetworkStatusSpec(
                address_ready=not self._managed or bool(current and current.spec.addresses),
                connectivity_ready=not self._managed or connected,
                hostname_ready=view.get(HOSTNAME_STATUS, HOSTNAME) is not None,
                etc_files_ready=all(_is_written(view, id) for id in NAMES),
            ),
        )


def _is_fit(spec: AddressStatusSpec) -> bool:
    return spec.scope == "global" and UNFIT.isdisjoint(spec.flags.split(","))


def _is_single(address: str) -> bool:
    return address.endswith("/128" if ":" in address else "/32")


def _is_written(view: View, id: str) -> bool:
    spec, status = view.get(ETC_FILE_SPEC, id), view.get(ETC_FILE_STATUS, id)
    return spec is not None and status is not None and status.spec.spec_version == str(spec.metadata.version)

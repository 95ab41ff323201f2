"""A DHCPv6 client for a link, and what it obtains as a resource; loaded only where such a client is wanted."""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Callable, Iterable

from dozen.linux.dhcp6 import make_link_duid, make_machine_duid
from dozen.linux.dhcp6_client import Client
from dozen.linux.dhcp6_lease import Lease
from dozen.linux.dhcp6_socket import LeaseKeeper
from dozen.machinery.resources.network import AddressStatusSpec
from dozen.machinery.resources.operator import DHCP6Operator, DHCPLease, LeasedAddress

# Flags of an address that packets cannot be sent from: it is not yet known whether another host has it, or one has.
TENTATIVE, TAKEN = "tentative", "dadfailed"


def has_link_address(link: str, addresses: Iterable[AddressStatusSpec]) -> bool:
    """Whether a link has an address of the link that a client can ask from."""
    return any(
        (each.link_name, each.family, each.scope) == (link, "inet6", "link")
        and {TENTATIVE, TAKEN}.isdisjoint(each.flags.split(","))
        for each in addresses
    )


def find_conflicts(lease: DHCPLease, addresses: Iterable[AddressStatusSpec]) -> list[str]:
    """Addresses of a lease that another host turned out to have (RFC 8415, 18.2.8)."""
    leased = {each.address for each in lease.addresses}
    return [
        each.address.partition("/")[0]
        for each in addresses
        if each.link_name == lease.link_name and each.address in leased and TAKEN in each.flags.split(",")
    ]


def make_keeper(
    link: str,
    hardware: bytes,
    hostname: str,
    options: DHCP6Operator,
    machine: str,
    granted: Callable[[DHCPLease], None],
    lost: Callable[[str], None],
    log: logging.Logger,
) -> LeaseKeeper:
    """The client of a link. ``machine`` is the machine's UUID, "" if it has none."""

    def take(lease: Lease) -> None:
        granted(describe_lease(link, lease, options, time.time()))

    client = Client(identify(hardware, machine, options), number_link(link, hardware), hostname)
    return LeaseKeeper(link, client, take, lost, log=log)


def identify(hardware: bytes, machine: str, options: DHCP6Operator) -> bytes:
    """The DUID by which servers know this host.

    ``duid`` is the one that is given, ``mac`` made of the hardware address. ``none`` cannot be had, since servers have
    to discard what does not say who it is from (RFC 8415, 16.2): it is made of the machine instead of a network card.
    """
    chosen = options.client_identifier
    if chosen is not None and chosen.client_identifier == "duid" and chosen.duid_raw_hex:
        return bytes.fromhex(chosen.duid_raw_hex)
    if chosen is not None and chosen.client_identifier == "none":
        return make_machine_duid(machine) or make_link_duid(hardware)
    return make_link_duid(hardware)


def number_link(link: str, hardware: bytes) -> int:
    """The number of a link's identity association: the same after a restart, another for a VLAN that has the hardware
    address of its parent (RFC 8415, 12.1).
    """
    return zlib.crc32(link.encode() + b"\0" + hardware)


def describe_lease(link: str, lease: Lease, options: DHCP6Operator, now: float) -> DHCPLease:
    """A lease as a resource; ``now`` is when it was granted, seconds since the epoch."""
    addresses = tuple(
        LeasedAddress(address=f"{each.address}/128", deprecated=each.deprecated) for each in lease.addresses
    )
    return DHCPLease(
        link_name=link,
        address=addresses[0].address,
        server=lease.server,
        duration=lease.duration,
        granted=now,
        route_metric=options.route_metric,
        dns_servers=lease.dns_servers,
        search_domains=lease.search_domains,
        hostname="" if options.skip_hostname_request else lease.hostname,
        time_servers=lease.time_servers,
        addresses=addresses,
    )

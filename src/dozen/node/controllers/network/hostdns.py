"""The node's own DNS server: where it is to listen, and the address that pods ask it at."""

from __future__ import annotations

from collections.abc import Iterable

from dozen.machinery.effects.network import AddAddress, Each, RemoveAddress
from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources import config
from dozen.machinery.resources.enums import number_of
from dozen.machinery.resources.network import ADDRESS_STATUS
from dozen.machinery.resources.routing import HOST_DNS_CONFIG, HostDNSConfigSpec
from dozen.node.configuration import parse
from dozen.node.controllers.network.names import LOCAL_DNS, POD_DNS

CONFIG = "config"
LOOPBACK = "lo"


class HostDNSController:
    """MachineConfig → HostDNSConfig."""

    name = "network-host-dns"
    inputs = (Input(config.MACHINE_CONFIG, config.ACTIVE),)
    outputs = (HOST_DNS_CONFIG,)

    def plan(self, view: View) -> Iterable[Step]:
        from dozen.machinery.config.host import HostDns, host_dns

        active = view.get(config.MACHINE_CONFIG, config.ACTIVE)
        said = host_dns(parse(active.spec.text)) if active is not None else HostDns()
        if not said.enabled:
            yield Put(HOST_DNS_CONFIG, CONFIG, HostDNSConfigSpec())
            return
        places = (LOCAL_DNS, *((POD_DNS,) if said.forward_kube_dns else ()))
        spec = HostDNSConfigSpec(
            enabled=True,
            listen_addresses=tuple(f"{address}:53" for address in places),
            service_host_dns_address=POD_DNS if said.forward_kube_dns else "",
            resolve_member_names=said.resolve_members,
        )
        yield Put(HOST_DNS_CONFIG, CONFIG, spec)


class HostDNSAddressController:
    """HostDNSConfig + AddressStatus → the loopback has the address that pods ask at, or not."""

    name = "network-host-dns-address"
    inputs = (Input(HOST_DNS_CONFIG, CONFIG), Input(ADDRESS_STATUS))
    outputs = ()

    def plan(self, view: View) -> Iterable[Step]:
        said = view.get(HOST_DNS_CONFIG, CONFIG)
        if said is None:
            return
        address = f"{POD_DNS}/32"
        there = any(
            (each.spec.link_name, each.spec.address) == (LOOPBACK, address) for each in view.list(ADDRESS_STATUS)
        )
        wanted = said.spec.service_host_dns_address == POD_DNS
        if wanted and not there:
            yield Each((AddAddress(LOOPBACK, address, scope=number_of("Scope", "host"), flags=0, priority=0),))
        elif there and not wanted:
            yield Each((RemoveAddress(LOOPBACK, address),))

"""Takes the machine configuration apart: short answers about network, time and kernel, one resource for each subject.

Whoever reads these need not know that a configuration says some things in two ways, or that there may be none: then the
answers are the defaults.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from msgspec import structs

from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources import config, settings
from dozen.node.configuration import parse

if TYPE_CHECKING:
    from dozen.machinery.config import Config
    from dozen.machinery.config.documents.links import LinkFields
    from dozen.machinery.config.links import DeviceSelector, DhcpOptions, Interface, Route


MACHINE_TYPE_ID = "machine-type"
# Kinds of documents about links that are made of software.
LOGICAL = frozenset(
    ("BondConfig", "BridgeConfig", "DummyLinkConfig", "VLANConfig", "VRFConfig", "VethConfig", "WireguardConfig")
)


class SettingsController:
    """MachineConfig → MachineType, NetworkSettings, TimeSettings, KernelSettings."""

    name = "settings"
    inputs = (Input(config.MACHINE_CONFIG, config.ACTIVE), Input(settings.PLATFORM_NETWORK))
    outputs = (config.MACHINE_TYPE, settings.NETWORK_SETTINGS, settings.TIME_SETTINGS, settings.KERNEL_SETTINGS)

    def plan(self, view: View) -> Iterable[Step]:
        active = view.get(config.MACHINE_CONFIG, config.ACTIVE)
        told = view.get(settings.PLATFORM_NETWORK, settings.NETWORK)
        platform = told.spec if told is not None else settings.NetworkSettings()
        if active is None:
            yield Put(settings.NETWORK_SETTINGS, settings.NETWORK, platform)
            yield Put(settings.TIME_SETTINGS, settings.TIME, settings.TimeSettings())
            yield Put(settings.KERNEL_SETTINGS, settings.KERNEL, settings.KernelSettings())
            return
        given = parse(active.spec.text)
        yield Put(config.MACHINE_TYPE, MACHINE_TYPE_ID, config.MachineTypeSpec(type=given.machine_type))
        yield Put(settings.NETWORK_SETTINGS, settings.NETWORK, network_settings(given, platform))
        yield Put(settings.TIME_SETTINGS, settings.TIME, _time(given))
        yield Put(settings.KERNEL_SETTINGS, settings.KERNEL, _kernel(given))


def network_settings(given: Config, platform: settings.NetworkSettings) -> settings.NetworkSettings:
    """What the configuration says, and where it says nothing, what the platform does."""
    from dozen.machinery.config import effective

    interfaces = given.machine.network.interfaces if given.machine else ()
    return settings.NetworkSettings(
        hostname=effective.hostname(given),
        waits_for_hostname=effective.waits_for_hostname(given),
        links=(
            *(entry for interface in interfaces for entry in _links(interface)),
            *_links_of_documents(given),
            *platform.links,
        ),
        name_servers=effective.nameservers(given) or platform.name_servers,
        search_domains=effective.search_domains(given) or platform.search_domains,
        fallback_hostname=platform.fallback_hostname,
        disable_search_domain=effective.searches_none(given),
        hosts=tuple(
            settings.HostEntry(address=address, names=names) for address, names in effective.extra_hosts(given)
        ),
        virtual_addresses=tuple(
            settings.VirtualAddressSettings(address=each.name, link=each.link)
            for each in effective.find_documents(given, "Layer2VIPConfig")
        ),
        rules=tuple(
            settings.RuleSettings(
                priority=int(each.name),
                table=each.table,
                source=each.src,
                destination=each.dst,
                action=each.action,
                incoming=each.iif_name,
                outgoing=each.oif_name,
                mark=each.fw_mark,
                mask=each.fw_mask,
            )
            for each in effective.find_documents(given, "RoutingRuleConfig")
        ),
        blackholes=tuple(
            settings.BlackholeSettings(network=each.name, metric=each.metric)
            for each in effective.find_documents(given, "BlackholeRouteConfig")
        ),
        firewall=_firewall(given),
        aliases=tuple(
            settings.AliasSettings(name=each.name, match=each.selector.match if each.selector else "")
            for each in effective.find_documents(given, "LinkAliasConfig")
        ),
        sort_algorithm=given.machine.features.node_address_sort_algorithm if given.machine else "v1",
    )


def _firewall(given: Config) -> settings.FirewallSettings | None:
    """None where no document is about it: then there is none."""
    from dozen.machinery.config import effective

    action = effective.find_document(given, "NetworkDefaultActionConfig")
    rules = effective.find_documents(given, "NetworkRuleConfig")
    if action is None and not rules:
        return None
    from dozen.machinery.config.kubernetes import network

    return settings.FirewallSettings(
        block=action is not None and action.ingress == "block",
        rules=tuple(
            settings.FirewallRule(
                name=each.name,
                protocol=each.port_selector.protocol or "tcp",
                ports=tuple(str(port) for port in each.port_selector.ports),
                subnets=tuple(one.subnet for one in each.ingress),
                excepted=tuple(one.except_ for one in each.ingress if one.except_),
            )
            for each in rules
        ),
        inside=network(given).inside,
    )


def _links(interface: Interface) -> Iterator[settings.LinkSettings]:
    """An interface, and the VLANs on it."""
    entry = _link(interface)
    made_of = (interface.bond, interface.bridge, interface.wireguard, interface.dummy or None)
    if any(each is not None for each in made_of):
        from dozen.node.controllers.network import composing

        entry = structs.replace(entry, logical=composing.read_interface(interface))
    yield entry
    if interface.vlans:
        from dozen.node.controllers.network import composing

        yield from (composing.read_vlan(vlan, entry) for vlan in interface.vlans)


def _link(interface: Interface) -> settings.LinkSettings:
    addresses = (interface.cidr, *interface.addresses) if interface.cidr else interface.addresses
    return settings.LinkSettings(
        name=interface.interface,
        selector=read_selector(interface.device_selector) if interface.device_selector else None,
        addresses=tuple(addresses),
        routes=tuple(read_route(route) for route in interface.routes),
        dhcp=bool(interface.dhcp) and (interface.dhcp_options is None or interface.dhcp_options.ipv4 is not False),
        dhcp_metric=interface.dhcp_options.route_metric if interface.dhcp_options else 0,
        dhcp6=read_dhcp6(interface.dhcp, interface.dhcp_options),
        mtu=interface.mtu,
        ignore=interface.ignore,
        virtual_addresses=(interface.vip.ip,) if interface.vip else (),
        bridge=interface.bridge_port.master if interface.bridge_port else "",
    )


def read_dhcp6(dhcp: bool | None, options: DhcpOptions | None) -> settings.DHCP6Settings | None:
    """What an interface or a VLAN says of DHCPv6: it is asked for by name, as ``dhcp`` alone is DHCPv4."""
    if not dhcp or options is None or not options.ipv6:
        return None
    duid = options.duidv6
    return settings.DHCP6Settings(metric=options.route_metric, identifier="duid" if duid else "mac", duid=duid)


def read_selector(chosen: DeviceSelector) -> settings.LinkSelector:
    """What finds links by what they are."""
    return settings.LinkSelector(
        bus_path=chosen.bus_path,
        hardware_addr=chosen.hardware_addr,
        permanent_addr=chosen.permanent_addr,
        pci_id=chosen.pci_id,
        driver=chosen.driver,
        physical=bool(chosen.physical),
    )


def read_route(route: Route) -> settings.RouteSettings:
    """A route of an interface."""
    return settings.RouteSettings(
        network=route.network, gateway=route.gateway, source=route.source, metric=route.metric, mtu=route.mtu
    )


def _links_of_documents(given: Config) -> Iterator[settings.LinkSettings]:
    """Documents say what a link has and is made of, others that it asks for leases; each may be alone."""
    from dozen.machinery.config import effective

    links = {each.name: read_link(each.name, each) for each in effective.find_documents(given, "LinkConfig")}
    if any(part.kind in LOGICAL for part in given.parts):
        from dozen.node.controllers.network import composing

        links |= {entry.name: entry for entry in composing.read_documents(given)}
    leases = {each.name: each for each in effective.find_documents(given, "DHCPv4Config")}
    leases6 = {each.name: each for each in effective.find_documents(given, "DHCPv6Config")}
    for name in dict.fromkeys((*links, *leases, *leases6)):
        link, lease = links.get(name) or settings.LinkSettings(name=name), leases.get(name)
        if (lease6 := leases6.get(name)) is not None:
            asked = settings.DHCP6Settings(
                metric=lease6.route_metric,
                identifier=lease6.client_identifier or "mac",
                duid=lease6.duid_raw,
                ignore_hostname=bool(lease6.ignore_hostname),
            )
            link = structs.replace(link, dhcp6=asked)
        if lease is not None:
            link = structs.replace(
                link,
                dhcp=True,
                dhcp_metric=lease.route_metric,
                dhcp_identifier=lease.client_identifier or "mac",
                dhcp_duid=lease.duid_raw,
                dhcp_ignore_hostname=bool(lease.ignore_hostname),
                dhcp_ignore_routes=bool(lease.ignore_routes),
            )
        yield link


def read_link(name: str, link: LinkFields) -> settings.LinkSettings:
    """What all documents about a link say in the same words."""
    priorities = tuple(each.route_priority for each in link.addresses)
    return settings.LinkSettings(
        name=name,
        addresses=tuple(each.address for each in link.addresses),
        routes=tuple(
            settings.RouteSettings(
                network=route.destination,
                gateway=route.gateway,
                source=route.source,
                metric=route.metric,
                mtu=route.mtu,
                table=route.table,
            )
            for route in link.routes
        ),
        address_priorities=priorities if any(priorities) else (),
        mtu=link.mtu,
        up=link.up is not False,
        multicast=link.multicast,
    )


def _time(given: Config) -> settings.TimeSettings:
    from dozen.machinery.config import effective

    sync = effective.time_sync(given)
    return settings.TimeSettings(
        enabled=sync.enabled, servers=sync.servers, boot_timeout=round((sync.boot_timeout or 0) * 1e9)
    )


def _kernel(given: Config) -> settings.KernelSettings:
    from dozen.machinery.config import effective

    return settings.KernelSettings(
        sysctls=_parameters(effective.sysctls(given)),
        sysfs=_parameters(effective.sysfs(given)),
        modules=tuple(
            settings.Module(name=name, parameters=parameters) for name, parameters in effective.kernel_modules(given)
        ),
        udev_rules=effective.udev_rules(given),
    )


def _parameters(values: dict[str, str]) -> tuple[settings.Parameter, ...]:
    return tuple(settings.Parameter(name=name, value=value) for name, value in sorted(values.items()))

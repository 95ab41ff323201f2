"""Takes the machine configuration apart: short answers about network, time and kernel, one resource for each subject.

Whoever reads these need not know that a configuration says some things in two ways, or that there may be none: then the
answers are the defaults.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources import config, settings
from dozen.node.configuration import parse

if TYPE_CHECKING:
    from dozen.machinery.config import Config
    from dozen.machinery.config.links import Interface


MACHINE_TYPE_ID = "machine-type"


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
        yield Put(settings.NETWORK_SETTINGS, settings.NETWORK, _network(given, platform))
        yield Put(settings.TIME_SETTINGS, settings.TIME, _time(given))
        yield Put(settings.KERNEL_SETTINGS, settings.KERNEL, _kernel(given))


def _network(given: Config, platform: settings.NetworkSettings) -> settings.NetworkSettings:
    """What the configuration says, and where it says nothing, what the platform does."""
    from dozen.machinery.config import effective

    interfaces = given.machine.network.interfaces if given.machine else ()
    return settings.NetworkSettings(
        hostname=effective.hostname(given),
        links=(*(_link(interface) for interface in interfaces), *_links_of_documents(given), *platform.links),
        name_servers=effective.nameservers(given) or platform.name_servers,
        search_domains=effective.search_domains(given) or platform.search_domains,
        fallback_hostname=platform.fallback_hostname,
        disable_search_domain=bool(given.machine and given.machine.network.disable_search_domain),
        hosts=tuple(
            settings.HostEntry(address=address, names=names) for address, names in effective.extra_hosts(given)
        ),
        virtual_addresses=tuple(
            settings.VirtualAddressSettings(address=each.name, link=each.link)
            for each in effective.find_documents(given, "Layer2VIPConfig")
        ),
    )


def _link(interface: Interface) -> settings.LinkSettings:
    chosen = interface.device_selector
    selector = None
    if chosen is not None:
        selector = settings.LinkSelector(
            bus_path=chosen.bus_path,
            hardware_addr=chosen.hardware_addr,
            permanent_addr=chosen.permanent_addr,
            pci_id=chosen.pci_id,
            driver=chosen.driver,
            physical=bool(chosen.physical),
        )
    addresses = (interface.cidr, *interface.addresses) if interface.cidr else interface.addresses
    return settings.LinkSettings(
        name=interface.interface,
        selector=selector,
        addresses=tuple(addresses),
        routes=tuple(
            settings.RouteSettings(
                network=route.network, gateway=route.gateway, source=route.source, metric=route.metric, mtu=route.mtu
            )
            for route in interface.routes
        ),
        dhcp=bool(interface.dhcp),
        dhcp_metric=interface.dhcp_options.route_metric if interface.dhcp_options else 0,
        mtu=interface.mtu,
        ignore=interface.ignore,
        virtual_addresses=(interface.vip.ip,) if interface.vip else (),
    )


def _links_of_documents(given: Config) -> Iterable[settings.LinkSettings]:
    """LinkConfig says what a link has, DHCPv4Config that it asks for a lease; either may be there without the other."""
    from dozen.machinery.config import effective

    links = {each.name: each for each in effective.find_documents(given, "LinkConfig")}
    leases = {each.name: each for each in effective.find_documents(given, "DHCPv4Config")}
    for name in dict.fromkeys((*links, *leases)):
        link, lease = links.get(name), leases.get(name)
        yield settings.LinkSettings(
            name=name,
            addresses=tuple(each.address for each in link.addresses) if link else (),
            routes=tuple(
                settings.RouteSettings(
                    network=route.destination,
                    gateway=route.gateway,
                    source=route.source,
                    metric=route.metric,
                    mtu=route.mtu,
                )
                for route in (link.routes if link else ())
            ),
            dhcp=lease is not None,
            dhcp_metric=lease.route_metric if lease is not None else 0,
            mtu=link.mtu if link else 0,
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

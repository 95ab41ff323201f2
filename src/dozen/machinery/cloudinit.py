"""What a cloud-init seed says beside the configuration: the machine's name and its network.

``meta-data`` is YAML of which only the host name counts here. ``network-config`` comes in two forms (cloud-init's
documentation, "Networking config Version 1" and "Version 2"), either of which may be under a key ``network``. Read are
names, hardware addresses, addresses, DHCP, routes, MTU and name servers of Ethernet links; what else there is (bonds,
bridges, VLANs, renaming) is told and left out, for the configuration to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from dozen.machinery import yaml
from dozen.machinery.resources.settings import (
    DHCP6Settings,
    LinkSelector,
    LinkSettings,
    NetworkSettings,
    RouteSettings,
)

DEFAULT_ROUTES = ("0.0.0.0/0", "::/0", "default")


class SeedError(ValueError):
    """A file of the seed cannot be understood; the message says which and why."""


class SeedNetwork(msgspec.Struct, frozen=True):
    """What was understood, and complaints about what was not."""

    settings: NetworkSettings
    complaints: tuple[str, ...] = ()


def read(meta_data: str, network_config: str) -> SeedNetwork:
    """Raises SeedError."""
    complaints: list[str] = []
    links: list[LinkSettings] = []
    servers: list[str] = []
    search: list[str] = []
    said = _load(network_config, "network-config")
    said = said.get("network", said) if isinstance(said, dict) else said
    if isinstance(said, dict) and said:
        reader = {"1": _read_version_1, "2": _read_version_2}.get(str(said.get("version", "")))
        if reader is None:
            raise SeedError(f"network-config: expected version 1 or 2, found {said.get('version', 'none')}")
        try:
            links = [_without_nonsense(each) for each in reader(said, servers, search, complaints.append)]
            servers = [_server(each) for each in servers]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise SeedError(f"network-config is not of the form that its version says: {error}") from None
    settings = NetworkSettings(
        fallback_hostname=_hostname(_load(meta_data, "meta-data")),
        links=tuple(links),
        name_servers=tuple(dict.fromkeys(servers)),
        search_domains=tuple(dict.fromkeys(search)),
    )
    return SeedNetwork(settings, tuple(complaints))


def _load(text: str, name: str) -> Any:
    try:
        return yaml.load(text, name)
    except yaml.YamlError as error:
        raise SeedError(str(error)) from None


def _hostname(data: Any) -> str:
    from dozen.machinery.config.scalars import check_hostname

    if not isinstance(data, dict):
        return ""
    name = str(data.get("local-hostname") or data.get("hostname") or "")
    return name if name and check_hostname(name) is None else ""


def _read_version_2(
    said: dict[str, Any], servers: list[str], search: list[str], complain: Callable[[str], None]
) -> Iterator[LinkSettings]:
    for kind in said:
        if kind not in ("version", "ethernets", "renderer"):
            complain(f"network-config: {kind} are left out, only ethernets are set up")
    for id, link in (said.get("ethernets") or {}).items():
        match = link.get("match") or {}
        names = link.get("nameservers") or {}
        servers += map(str, names.get("addresses") or ())
        search += map(str, names.get("search") or ())
        routes = [RouteSettings(gateway=str(link[key])) for key in ("gateway4", "gateway6") if link.get(key)]
        routes += [_route(each, "to", "via") for each in link.get("routes") or ()]
        addresses = tuple(
            next(iter(each)) if isinstance(each, dict) else str(each) for each in link.get("addresses") or ()
        )
        yield LinkSettings(
            name="" if match else str(id),
            selector=_selector(match) if match else None,
            addresses=addresses,
            routes=tuple(routes),
            dhcp=bool(link.get("dhcp4")),
            dhcp6=DHCP6Settings() if link.get("dhcp6") else None,
            mtu=int(link.get("mtu") or 0),
        )


def _selector(match: dict[str, Any]) -> LinkSelector:
    return LinkSelector(hardware_addr=str(match.get("macaddress") or ""), driver=str(match.get("driver") or ""))


def _route(said: dict[str, Any], to: str, via: str) -> RouteSettings:
    network = str(said.get(to) or "")
    if said.get("netmask"):
        network = f"{network.partition('/')[0]}/{_length(str(said['netmask']))}"
    return RouteSettings(
        network="" if network in DEFAULT_ROUTES else network,
        gateway=str(said.get(via) or ""),
        metric=int(said.get("metric") or 0),
    )


def _read_version_1(
    said: dict[str, Any], servers: list[str], search: list[str], complain: Callable[[str], None]
) -> Iterator[LinkSettings]:
    for each in said.get("config") or ():
        kind = each.get("type")
        if kind == "nameserver":
            servers += _listed(each.get("address"))
            search += _listed(each.get("search"))
        elif kind == "physical":
            yield _physical(each, servers, search, complain)
        else:
            complain(f"network-config: {kind} {each.get('name', '')} is left out, only physical links are set up")


def _physical(
    said: dict[str, Any], servers: list[str], search: list[str], complain: Callable[[str], None]
) -> LinkSettings:
    addresses, routes, dhcp, dhcp6 = [], [], False, None
    for subnet in said.get("subnets") or ():
        kind = str(subnet.get("type"))
        servers += _listed(subnet.get("dns_nameservers"))
        search += _listed(subnet.get("dns_search"))
        if kind in ("dhcp", "dhcp4"):
            dhcp = True
        elif kind == "dhcp6":
            dhcp6 = DHCP6Settings()
        elif kind in ("static", "static6"):
            address = str(subnet["address"])
            mask = subnet.get("netmask")
            addresses.append(address if "/" in address or not mask else f"{address}/{_length(str(mask))}")
            if subnet.get("gateway"):
                routes.append(RouteSettings(gateway=str(subnet["gateway"])))
            routes += [_route(each, "network", "gateway") for each in subnet.get("routes") or ()]
        else:
            complain(f"network-config: {said.get('name', '')}: a subnet of type {kind} is left out")
    hardware = str(said.get("mac_address") or "")
    return LinkSettings(
        name="" if hardware else str(said["name"]),
        selector=LinkSelector(hardware_addr=hardware) if hardware else None,
        addresses=tuple(addresses),
        routes=tuple(routes),
        dhcp=dhcp,
        dhcp6=dhcp6,
        mtu=int(said.get("mtu") or 0),
    )


def _server(text: str) -> str:
    from dozen.machinery.config.scalars import check_ip

    if (complaint := check_ip(text)) is not None:
        raise ValueError(complaint)
    return text


def _listed(said: Any) -> list[str]:
    return [str(each) for each in (said if isinstance(said, list) else [said]) if each]


def _length(mask: str) -> int:
    """A prefix's length, given as such or as a mask: 255.255.255.0 is 24."""
    from dozen.machinery.config.scalars import address_bytes

    raw = b"" if mask.isdigit() else address_bytes(mask)
    if raw is None:
        raise ValueError(f"{mask} is no mask")
    return int.from_bytes(raw, "big").bit_count() if raw else int(mask)


def _without_nonsense(link: LinkSettings) -> LinkSettings:
    """Raises ValueError for addresses that are none: nobody behind here expects them."""
    from dozen.machinery.config.scalars import check_address, check_ip, check_network

    texts = [(check_address, each) for each in link.addresses]
    texts += [(check_network, each.network) for each in link.routes if each.network]
    texts += [(check_ip, each.gateway) for each in link.routes]
    for check, text in texts:
        if (complaint := check(text)) is not None:
            raise ValueError(complaint)
    return link

"""Routes: which ones there should be, by layer of configuration, and telling the kernel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from dozen.machinery.addresses import canonical_address, canonical_prefix, contains, family_of, network_of
from dozen.machinery.effects.network import AddRoute, Each, RemoveRoute
from dozen.machinery.plan import Effect, Input, Put, Step, View
from dozen.machinery.resource import Phase
from dozen.machinery.resources.enums import flags_of, name_of, number_of
from dozen.machinery.resources.link import LINK_STATUS
from dozen.machinery.resources.network import ADDRESS_STATUS, ROUTE_SPEC, ROUTE_STATUS, RouteSpec, RouteStatusSpec
from dozen.machinery.resources.operator import DHCP_LEASE, DHCPLease, LeasedRoute
from dozen.machinery.resources.settings import NETWORK, NETWORK_SETTINGS, LinkSettings, RouteSettings
from dozen.node.controllers.network.matching import is_up, settings_by_link

EVERYWHERE = ("0.0.0.0/0", "::/0")
ROUTE_METRIC = 1024  # of a route that is given without one; also the kernel's own for IPv6

RouteEffect = TypeVar("RouteEffect", AddRoute, RemoveRoute)
RouteKey = tuple[str, str, str, int]


class RouteSpecController:
    """NetworkSettings + DHCPLease + LinkStatus → RouteSpec; the configuration wins over DHCP."""

    name = "network-route-specs"
    inputs = (Input(NETWORK_SETTINGS), Input(DHCP_LEASE), Input(LINK_STATUS))
    outputs = (ROUTE_SPEC,)

    def plan(self, view: View) -> Iterable[Step]:
        chosen: dict[RouteKey, RouteSpec] = {}
        for spec in (*_configured(view), *_blackholes(view), *_leased(view)):
            # the kernel cannot hold two of them; where two links offer the same, the first one keeps it
            chosen.setdefault(_key(spec), spec)
        for spec in chosen.values():
            yield Put(ROUTE_SPEC, _id(spec), spec)


class RouteController:
    """RouteSpec + RouteStatus → the kernel has the routes that it should have, and not those that ended.

    A route waits until its link is up and has an address of its family, as the kernel would refuse it before.
    """

    name = "network-routes"
    inputs = (Input(ROUTE_SPEC, finalize=True), Input(ROUTE_STATUS), Input(LINK_STATUS), Input(ADDRESS_STATUS))
    outputs = ()

    def plan(self, view: View) -> Iterable[Step]:
        present = {_key(status.spec): status.spec for status in view.list(ROUTE_STATUS)}
        up = {link.id for link in view.list(LINK_STATUS) if is_up(link.spec)}
        usable = {(a.spec.link_name, a.spec.family) for a in view.list(ADDRESS_STATUS) if a.spec.link_name in up}
        effects: list[Effect] = []
        # routes on the link come first: they may be how a gateway of another one is reached
        for resource in sorted(view.list(ROUTE_SPEC), key=lambda route: bool(route.spec.gateway)):
            spec = resource.spec
            same = _is_same(spec, present.get(_key(spec)))
            if resource.metadata.phase is Phase.TEARING_DOWN:
                if same:
                    effects.append(_make(RemoveRoute, spec))
            elif not same and (not spec.out_link_name or (spec.out_link_name, spec.family) in usable):
                effects.append(_make(AddRoute, spec))
        if effects:
            yield Each(tuple(effects))


def _leased(view: View) -> Iterator[RouteSpec]:
    for lease in view.list(DHCP_LEASE):
        for route in lease.spec.routes:
            yield RouteSpec(
                dst="" if route.destination in EVERYWHERE else network_of(route.destination),
                gateway=route.gateway,
                src=lease.spec.address.partition("/")[0],
                out_link_name=lease.spec.link_name,
                priority=lease.spec.route_metric,
                scope="global" if route.gateway else "link",
                flags="onlink" if _is_beyond(lease.spec, route) else "",
                protocol="dhcp",
                layer="operator",
            )


def _is_beyond(lease: DHCPLease, route: LeasedRoute) -> bool:
    """Whether a gateway is outside the leased network, and on no other leased route: then it is on the link itself.

    Clouds do that: the address is a /32 and the router is its neighbour.
    """
    if not route.gateway or contains(lease.address, route.gateway):
        return False
    return not any(contains(other.destination, route.gateway) for other in lease.routes if not other.gateway)


def _configured(view: View) -> Iterator[RouteSpec]:
    settings = view.get(NETWORK_SETTINGS, NETWORK)
    if settings is None:
        return
    for link, entry in settings_by_link(settings.spec, view.list(LINK_STATUS)).items():
        for route in () if entry.ignore else entry.routes:
            yield _route(link, entry, route)


def _blackholes(view: View) -> Iterator[RouteSpec]:
    settings = view.get(NETWORK_SETTINGS, NETWORK)
    for each in settings.spec.blackholes if settings else ():
        network = canonical_prefix(network_of(each.network))
        yield RouteSpec(
            family=family_of(network),
            dst="" if network in EVERYWHERE else network,
            priority=each.metric or ROUTE_METRIC,
            type="blackhole",
            layer="configuration",
        )


def _route(link: str, entry: LinkSettings, route: RouteSettings) -> RouteSpec:
    destination = "" if route.network in ("", *EVERYWHERE) else canonical_prefix(network_of(route.network))
    gateway = canonical_address(route.gateway) if route.gateway else ""
    family = family_of(gateway or route.network)
    on_link = bool(gateway) and not any(
        contains(prefix, gateway)
        for prefix in (*entry.addresses, *(other.network for other in entry.routes if other.network))
        if not prefix.endswith("/0")
    )
    return RouteSpec(
        family=family,
        dst=destination,
        src=canonical_address(route.source) if route.source else "",
        gateway=gateway,
        out_link_name=link,
        table=name_of("RoutingTable", number_of("RoutingTable", route.table)) if route.table else "main",
        priority=route.metric or ROUTE_METRIC,
        scope="link" if not gateway and family == "inet4" else "global",
        # with DHCP the gateway may be in the leased network, which is not known here
        flags="onlink" if on_link and not entry.dhcp and family == "inet4" else "",
        layer="configuration",
        mtu=route.mtu,
    )


def _id(spec: RouteSpec) -> str:
    """Unique among routes, and readable: what the kernel tells routes apart by, and their table if it is not the main
    one.
    """
    table = "" if spec.table == "main" else f"{spec.table}/"
    kind = "" if spec.type == "unicast" else f"{spec.type}/"
    return f"{table}{kind}{spec.out_link_name}/{spec.family}/{spec.gateway}/{spec.dst}/{spec.priority}"


def _key(spec: RouteSpec | RouteStatusSpec) -> RouteKey:
    """What the kernel tells routes apart by; two links may not have the same."""
    return (spec.family, spec.dst, spec.table, spec.priority)


def _is_same(spec: RouteSpec, status: RouteStatusSpec | None) -> bool:
    if status is None or spec.type != status.type:
        return False
    if spec.type == "blackhole":
        return True  # the kernel says that those of IPv6 are on loopback
    return (spec.gateway, spec.out_link_name, spec.mtu) == (
        status.gateway,
        status.out_link_name,
        status.mtu,
    ) and spec.src in ("", status.src)


def _make(effect: type[RouteEffect], spec: RouteSpec) -> RouteEffect:
    return effect(
        family=number_of("Family", spec.family),
        destination=spec.dst,
        gateway=spec.gateway,
        source=spec.src,
        link=spec.out_link_name,
        table=number_of("RoutingTable", spec.table),
        priority=spec.priority,
        scope=number_of("Scope", spec.scope),
        type=number_of("RouteType", spec.type),
        protocol=number_of("RouteProtocol", spec.protocol),
        flags=flags_of("RouteFlags", spec.flags),
        mtu=spec.mtu,
    )

"""Addresses and routes: what is wanted by layer, and what is done about it."""

import msgspec
import pytest

from dozen.machinery.effects.network import AddAddress, AddRoute, Each, RemoveAddress, RemoveRoute
from dozen.machinery.plan import Put
from dozen.machinery.resource import Phase
from dozen.machinery.resources.link import LINK_STATUS, LinkStatusSpec
from dozen.machinery.resources.network import (
    ADDRESS_SPEC,
    ADDRESS_STATUS,
    ROUTE_SPEC,
    ROUTE_STATUS,
    AddressSpec,
    AddressStatusSpec,
    RouteSpec,
    RouteStatusSpec,
)
from dozen.machinery.resources.operator import DHCP_LEASE, DHCPLease, LeasedAddress, LeasedRoute
from dozen.machinery.resources.settings import (
    NETWORK,
    NETWORK_SETTINGS,
    LinkSettings,
    NetworkSettings,
    RouteSettings,
)
from dozen.node.controllers.network.addresses import AddressController, AddressSpecController
from dozen.node.controllers.network.routes import RouteController, RouteSpecController
from dozen.testing.controllers import Bench, PlainView

UP = LinkStatusSpec(type="ether", flags="UP,RUNNING")
DOWN = LinkStatusSpec(type="ether", flags="BROADCAST")
LEASE = DHCPLease(
    link_name="eth0",
    address="10.0.2.15/24",
    route_metric=1024,
    routes=(LeasedRoute(destination="0.0.0.0/0", gateway="10.0.2.2"),),
)


def configured(*links: LinkSettings, lease: DHCPLease | None = None) -> PlainView:
    view = PlainView((NETWORK_SETTINGS, NETWORK, NetworkSettings(links=links)), (LINK_STATUS, "eth0", UP))
    if lease is not None:
        view.add(DHCP_LEASE, "eth0", lease)
    return view


def address_specs(view: PlainView) -> dict[str, AddressSpec]:
    return {step.id: step.spec for step in AddressSpecController().plan(view)}  # type: ignore[union-attr,misc]


def route_specs(view: PlainView) -> list[RouteSpec]:
    return [step.spec for step in RouteSpecController().plan(view)]  # type: ignore[union-attr,misc]


def test_a_leased_address() -> None:
    assert list(AddressSpecController().plan(configured(lease=LEASE))) == [
        Put(
            ADDRESS_SPEC,
            "eth0/10.0.2.15/24",
            AddressSpec(address="10.0.2.15/24", link_name="eth0", priority=1024, layer="operator"),
        )
    ]


def test_leased_addresses_of_ipv6() -> None:
    """As many as there are, on the link of the lease, which shares it with that of IPv4."""
    given = (LeasedAddress(address="fd77::50/128"), LeasedAddress(address="fd77::51/128", deprecated=True))
    view = configured(lease=LEASE)
    view.add(DHCP_LEASE, "eth0/dhcp6", DHCPLease(link_name="eth0", address="fd77::50/128", addresses=given))
    assert [(id, spec.family, spec.flags, spec.link_name) for id, spec in address_specs(view).items()] == [
        ("eth0/10.0.2.15/24", "inet4", "", "eth0"),
        ("eth0/fd77::50/128", "inet6", "", "eth0"),
        ("eth0/fd77::51/128", "inet6", "deprecated", "eth0"),
    ]


@pytest.mark.parametrize("wanted", ["", "deprecated"])
@pytest.mark.parametrize("flags", ["permanent", "deprecated,permanent"])
def test_addresses_are_deprecated_and_preferred_again(wanted: str, flags: str) -> None:
    spec = AddressSpec(address="fd77::50/128", link_name="eth0", family="inet6", flags=wanted)
    status = AddressStatusSpec(address="fd77::50/128", link_name="eth0", family="inet6", flags=flags)
    view = PlainView(
        (LINK_STATUS, "eth0", UP), (ADDRESS_SPEC, "eth0/fd77::50/128", spec), (ADDRESS_STATUS, "a", status)
    )
    again = AddAddress("eth0", "fd77::50/128", flags=0x20 if wanted else 0, preferred=0 if wanted else 0xFFFFFFFF)
    same = bool(wanted) == flags.startswith("deprecated")
    assert list(AddressController().plan(view)) == ([] if same else [Each((again,))])


def test_the_configuration_wins_over_the_lease() -> None:
    view = configured(LinkSettings(name="eth0", addresses=("10.0.2.15/24", "FD00:0::15/64"), dhcp=True), lease=LEASE)
    specs = address_specs(view)
    assert {id: spec.layer for id, spec in specs.items()} == {
        "eth0/10.0.2.15/24": "configuration",
        "eth0/fd00::15/64": "configuration",
    }
    assert specs["eth0/fd00::15/64"].family == "inet6"


def test_an_ignored_link_gets_no_address() -> None:
    assert address_specs(configured(LinkSettings(name="eth0", addresses=("10.0.0.1/24",), ignore=True))) == {}


def test_missing_addresses_are_added_once() -> None:
    spec = AddressSpec(address="10.0.2.15/24", link_name="eth0", priority=1024)
    view = PlainView((ADDRESS_SPEC, "a", spec), (LINK_STATUS, "eth0", DOWN))
    assert list(AddressController().plan(view)) == [Each((AddAddress("eth0", "10.0.2.15/24", priority=1024),))]
    status = AddressStatusSpec(address="10.0.2.15/24", link_name="eth0", priority=1024)
    view.add(ADDRESS_STATUS, "eth0/10.0.2.15/24", status)
    assert list(AddressController().plan(view)) == []
    # the metric of its route may change while it is there
    view.add(ADDRESS_SPEC, "a", msgspec.structs.replace(spec, priority=5))
    assert list(AddressController().plan(view)) == [Each((AddAddress("eth0", "10.0.2.15/24", priority=5),))]


def test_an_address_waits_for_its_link() -> None:
    view = PlainView((ADDRESS_SPEC, "a", AddressSpec(address="10.0.2.15/24", link_name="eth9")))
    assert list(AddressController().plan(view)) == []


@pytest.mark.parametrize("there", [True, False])
def test_an_address_that_ended_is_removed_if_it_is_there(there: bool) -> None:
    view = PlainView((LINK_STATUS, "eth0", UP))
    view.add(ADDRESS_SPEC, "a", AddressSpec(address="10.0.2.15/24", link_name="eth0"), Phase.TEARING_DOWN)
    if there:
        view.add(ADDRESS_STATUS, "s", AddressStatusSpec(address="10.0.2.15/24", link_name="eth0"))
    steps = list(AddressController().plan(view))
    assert steps == ([Each((RemoveAddress("eth0", "10.0.2.15/24"),))] if there else [])


def test_leased_routes() -> None:
    lease = DHCPLease(
        link_name="eth0",
        address="10.0.2.15/24",
        route_metric=99,
        routes=(
            LeasedRoute(destination="0.0.0.0/0", gateway="10.0.2.2"),
            LeasedRoute(destination="10.9.0.1/16", gateway="10.0.2.3"),
            LeasedRoute(destination="192.0.2.0/24"),
        ),
    )
    routes = route_specs(configured(lease=lease))
    assert [(r.dst, r.gateway, r.scope, r.flags) for r in routes] == [
        ("", "10.0.2.2", "global", ""),
        ("10.9.0.0/16", "10.0.2.3", "global", ""),
        ("192.0.2.0/24", "", "link", ""),
    ]
    assert {(r.src, r.out_link_name, r.priority, r.protocol, r.layer) for r in routes} == {
        ("10.0.2.15", "eth0", 99, "dhcp", "operator")
    }


def test_a_router_beyond_the_leased_network_is_on_the_link() -> None:
    router = LeasedRoute(destination="0.0.0.0/0", gateway="10.0.0.1")
    alone = DHCPLease(address="10.0.0.5/32", routes=(router,))
    assert [route.flags for route in route_specs(configured(lease=alone))] == ["onlink"]
    explained = DHCPLease(address="10.0.0.5/32", routes=(LeasedRoute(destination="10.0.0.1/32"), router))
    assert [route.flags for route in route_specs(configured(lease=explained))] == ["", ""]


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        (RouteSettings(gateway="10.0.0.1"), ("inet4", "", "10.0.0.1", 1024, "global", "")),
        (RouteSettings(network="0.0.0.0/0", gateway="10.0.0.1"), ("inet4", "", "10.0.0.1", 1024, "global", "")),
        (RouteSettings(network="10.9.1.1/16", metric=7), ("inet4", "10.9.0.0/16", "", 7, "link", "")),
        (RouteSettings(gateway="FD00:0::1"), ("inet6", "", "fd00::1", 1024, "global", "")),
        (RouteSettings(network="fd01::/16"), ("inet6", "fd01::/16", "", 1024, "global", "")),
        (RouteSettings(gateway="172.16.0.1"), ("inet4", "", "172.16.0.1", 1024, "global", "onlink")),
    ],
)
def test_configured_routes(route: RouteSettings, expected: tuple[object, ...]) -> None:
    (spec,) = route_specs(configured(LinkSettings(name="eth0", addresses=("10.0.0.5/24",), routes=(route,))))
    assert (spec.family, spec.dst, spec.gateway, spec.priority, spec.scope, spec.flags) == expected
    assert (spec.layer, spec.protocol) == ("configuration", "static")


@pytest.mark.parametrize(("table", "name", "prefix"), [("", "main", ""), ("254", "main", ""), ("100", "100", "100/")])
def test_a_route_is_in_the_table_that_it_names(table: str, name: str, prefix: str) -> None:
    route = RouteSettings(network="10.9.0.0/16", table=table)
    (step,) = RouteSpecController().plan(configured(LinkSettings(name="eth0", routes=(route,))))
    assert isinstance(step, Put)
    assert (step.id, step.spec.table) == (f"{prefix}eth0/inet4//10.9.0.0/16/1024", name)  # type: ignore[attr-defined]


def test_an_address_has_the_metric_that_is_said() -> None:
    addresses = ("10.0.0.1/24", "10.0.1.1/24")
    view = configured(LinkSettings(name="eth0", addresses=addresses, address_priorities=(77,)))
    assert [spec.priority for spec in address_specs(view).values()] == [77, 0]


def test_of_routes_that_the_kernel_cannot_tell_apart_one_stays() -> None:
    view = configured(lease=LEASE)
    view.add(LINK_STATUS, "eth1", UP)
    view.add(DHCP_LEASE, "eth1", DHCPLease(address="10.1.0.5/24", route_metric=1024, routes=LEASE.routes))
    assert [route.out_link_name for route in route_specs(view)] == ["eth0"]
    view.add(
        NETWORK_SETTINGS,
        NETWORK,
        NetworkSettings(links=(LinkSettings(name="eth1", dhcp=True, routes=(RouteSettings(gateway="10.1.0.1"),)),)),
    )
    assert [(route.out_link_name, route.layer) for route in route_specs(view)] == [("eth1", "configuration")]


DEFAULT = RouteSpec(gateway="10.0.2.2", out_link_name="eth0", priority=1024, protocol="dhcp")
ADDED = AddRoute(family=2, gateway="10.0.2.2", link="eth0", priority=1024, protocol=16)
SEEN = RouteStatusSpec(gateway="10.0.2.2", out_link_name="eth0", priority=1024)
ADDRESS = AddressStatusSpec(address="10.0.2.15/24", link_name="eth0", priority=1024)


@pytest.mark.parametrize(
    ("link", "address", "status", "steps"),
    [
        (UP, ADDRESS, None, [Each((ADDED,))]),
        (DOWN, ADDRESS, None, []),
        (UP, None, None, []),
        (UP, ADDRESS, SEEN, []),
        (UP, ADDRESS, RouteStatusSpec(gateway="10.0.2.9", out_link_name="eth0", priority=1024), [Each((ADDED,))]),
        (UP, ADDRESS, RouteStatusSpec(gateway="10.0.2.2", out_link_name="eth0", priority=9), [Each((ADDED,))]),
        (UP, ADDRESS, RouteStatusSpec(gateway="10.0.2.2", out_link_name="eth1", priority=1024), [Each((ADDED,))]),
    ],
    ids=["missing", "link down", "no address yet", "there", "other gateway", "other metric", "other link"],
)
def test_routes_are_added_when_they_can_be(
    link: LinkStatusSpec, address: AddressStatusSpec | None, status: RouteStatusSpec | None, steps: list[object]
) -> None:
    view = PlainView((ROUTE_SPEC, "r", DEFAULT), (LINK_STATUS, "eth0", link))
    if address is not None:
        view.add(ADDRESS_STATUS, "a", address)
    if status is not None:
        view.add(ROUTE_STATUS, "s", status)
    assert list(RouteController().plan(view)) == steps


def test_routes_on_the_link_come_before_those_through_a_gateway() -> None:
    near = RouteSpec(dst="10.0.0.1/32", out_link_name="eth0", scope="link")
    view = PlainView((ROUTE_SPEC, "a", DEFAULT), (ROUTE_SPEC, "b", near), (LINK_STATUS, "eth0", UP))
    view.add(ADDRESS_STATUS, "a", ADDRESS)
    (step,) = RouteController().plan(view)
    assert isinstance(step, Each)
    assert [effect.gateway for effect in step.effects] == ["", "10.0.2.2"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("status", [SEEN, None, RouteStatusSpec(gateway="10.0.2.9", priority=1024)])
def test_a_route_that_ended_is_removed_if_it_is_there(status: RouteStatusSpec | None) -> None:
    view = PlainView((LINK_STATUS, "eth0", UP)).add(ROUTE_SPEC, "r", DEFAULT, Phase.TEARING_DOWN)
    if status is not None:
        view.add(ROUTE_STATUS, "s", status)
    removed = RemoveRoute(family=2, gateway="10.0.2.2", link="eth0", priority=1024, protocol=16)
    assert list(RouteController().plan(view)) == ([Each((removed,))] if status is SEEN else [])


async def run_lease() -> None:
    """A lease comes and goes; what came with it goes too."""
    bench = Bench(AddressSpecController(), AddressController(), RouteSpecController(), RouteController())
    async with bench:
        bench.put(NETWORK_SETTINGS, NETWORK, NetworkSettings())
        bench.put(LINK_STATUS, "eth0", UP)
        bench.put(DHCP_LEASE, "eth0", LEASE)
        await bench.settle()
        assert bench.effects == [Each((AddAddress("eth0", "10.0.2.15/24", priority=1024),))]
        bench.put(ADDRESS_STATUS, "eth0/10.0.2.15/24", ADDRESS)
        await bench.settle()
        leased = AddRoute(family=2, gateway="10.0.2.2", source="10.0.2.15", link="eth0", priority=1024, protocol=16)
        assert bench.effects[1:] == [Each((leased,))]
        bench.put(
            ROUTE_STATUS,
            "r",
            RouteStatusSpec(gateway="10.0.2.2", src="10.0.2.15", out_link_name="eth0", priority=1024),
        )
        await bench.settle()
        bench.remove(DHCP_LEASE, "eth0")
        await bench.settle()
        assert {type(effect.effects[0]) for effect in bench.effects[2:]} == {RemoveAddress, RemoveRoute}  # type: ignore[attr-defined]
        assert bench.store.list(ADDRESS_SPEC) == bench.store.list(ROUTE_SPEC) == ()


def test_a_lease_comes_and_goes() -> None:
    import asyncio

    asyncio.run(run_lease())

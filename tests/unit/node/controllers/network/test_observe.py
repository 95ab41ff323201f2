"""How the kernel's network becomes resources, and which changes hide others."""

from __future__ import annotations

import msgspec
import pytest

from dozen.linux import rtnetlink as rt
from dozen.linux.linkdetails import LinkDetails, Speed
from dozen.linux.network import Record
from dozen.machinery.resource import Kind
from dozen.machinery.resources.link import LINK_STATUS
from dozen.machinery.resources.network import ADDRESS_STATUS, ROUTE_STATUS
from dozen.node.controllers.network.observe import Picture, hides_routes


class Published:
    """What a watcher published, by kind and id."""

    def __init__(self) -> None:
        self.now: dict[str, dict[str, msgspec.Struct]] = {}

    def put(self, kind: Kind[msgspec.Struct], id: str, spec: msgspec.Struct) -> None:
        self.now.setdefault(kind.display, {})[id] = spec

    def remove(self, kind: Kind[msgspec.Struct], id: str) -> None:
        self.now.get(kind.display, {}).pop(id, None)

    def replace(self, kind: Kind[msgspec.Struct], specs: dict[str, msgspec.Struct]) -> None:
        self.now[kind.display] = dict(specs)

    def ids(self, kind: Kind[msgspec.Struct]) -> list[str]:
        return sorted(self.now.get(kind.display, {}))


def draw() -> tuple[Picture, Published]:
    published = Published()
    picture = Picture(
        published,  # type: ignore[arg-type]
        lambda name: LinkDetails("0000:00:02.0", "virtio_net", "0x1af4", "0x1000") if name == "eth0" else LinkDetails(),
        lambda name: Speed(1000, "Full"),
    )
    return picture, published


ETH0 = rt.Link(3, "eth0", 1, 0x1043, hardware_address="52:54:00:12:34:56", mtu=1500, operational_state=6, carrier=True)
LO = rt.Link(1, "lo", 772, 0x49, mtu=65536, carrier=True)
ADDRESS = rt.Address(2, "10.0.2.15/24", 3, flags=0x80, local="10.0.2.15", broadcast="10.0.2.255", priority=1024)
ROUTE = rt.Route(2, gateway="10.0.2.2", link_index=3, priority=1024, protocol=16, source="10.0.2.15")


def test_a_link() -> None:
    picture, published = draw()
    picture.start([LO, ETH0], [])
    assert published.ids(LINK_STATUS) == ["eth0", "lo"]
    eth0 = published.now["LinkStatus"]["eth0"]
    expected = {
        "index": 3,
        "type": "ether",
        "flags": "UP,BROADCAST,RUNNING,MULTICAST",
        "hardware_addr": "52:54:00:12:34:56",
        "permanent_addr": "52:54:00:12:34:56",
        "operational_state": "up",
        "link_state": True,
        "bus_path": "0000:00:02.0",
        "driver": "virtio_net",
        "pci_id": "1AF4:1000",
        "speed_mbit": 1000,
        "duplex": "Full",
    }
    assert {name: getattr(eth0, name) for name in expected} == expected


def test_an_address_and_a_route_name_their_link() -> None:
    picture, published = draw()
    picture.start([LO, ETH0], [ADDRESS])
    picture.replace_routes([ROUTE])
    address = published.now["AddressStatus"]["eth0/10.0.2.15/24"]
    assert (address.scope, address.flags, address.family) == ("global", "permanent", "inet4")  # type: ignore[attr-defined]
    route = published.now["RouteStatus"]["eth0/inet4/10.0.2.2//1024"]
    fields = (route.out_link_name, route.table, route.protocol, route.type)  # type: ignore[attr-defined]
    assert fields == ("eth0", "main", "dhcp", "unicast")


def test_ids_tell_routes_apart() -> None:
    picture, published = draw()
    picture.start([ETH0], [])
    routes = [
        ROUTE,
        rt.Route(2, "10.0.2.15/32", link_index=3, table=255, type=2),
        rt.Route(2, "10.0.2.15/32", link_index=3, table=1000),
        rt.Route(2, "10.0.2.15/32", link_index=3),
        rt.Route(2, "10.9.0.0/16", type=6),
    ]
    picture.replace_routes(routes)
    assert published.ids(ROUTE_STATUS) == [
        "1000/eth0/inet4//10.0.2.15/32/0",
        "blackhole//inet4//10.9.0.0/16/0",
        "eth0/inet4//10.0.2.15/32/0",
        "eth0/inet4/10.0.2.2//1024",
        "local/local/eth0/inet4//10.0.2.15/32/0",
    ]


def test_things_come_and_go() -> None:
    picture, published = draw()
    picture.start([LO], [])
    for exists in (True, False):
        for record in (ETH0, ADDRESS, ROUTE) if exists else (ROUTE, ADDRESS, ETH0):
            picture.change(exists, record)
        counts = [len(published.ids(kind)) for kind in (LINK_STATUS, ADDRESS_STATUS, ROUTE_STATUS)]
        assert counts == ([2, 1, 1] if exists else [1, 0, 0])


def test_a_renamed_link_is_one_link() -> None:
    picture, published = draw()
    picture.start([LO, ETH0], [])
    picture.change(True, msgspec.structs.replace(ETH0, name="enp0s2"))
    assert published.ids(LINK_STATUS) == ["enp0s2", "lo"]
    picture.change(True, ADDRESS)
    assert published.ids(ADDRESS_STATUS) == ["enp0s2/10.0.2.15/24"]


def test_numbers_without_a_name_stay_numbers() -> None:
    picture, published = draw()
    picture.start([rt.Link(9, "odd", 4711, 0)], [])
    picture.replace_routes([rt.Route(2, "10.0.0.0/8", table=1000, protocol=99, link_index=77)])
    assert published.now["LinkStatus"]["odd"].type == "4711"  # type: ignore[attr-defined]
    (route,) = published.now["RouteStatus"].values()
    assert (route.table, route.out_link_name) == ("1000", "77")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("exists", "record", "hides"),
    [
        (True, ETH0, False),
        (True, msgspec.structs.replace(ETH0, flags=0x1002), True),
        (False, ETH0, True),
        (True, ADDRESS, False),
        (False, ADDRESS, True),
        (False, rt.Address(10, "fd00::1/64", 3), False),
        (False, ROUTE, False),
    ],
)
def test_the_kernel_is_silent_about_some_routes(exists: bool, record: Record, hides: bool) -> None:
    assert hides_routes(exists, record) is hides

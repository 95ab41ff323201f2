"""On which links a DHCP client runs, and what becomes of its lease; the clients are made of data."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from dozen.linux.dhcp import Lease, LeaseRoute
from dozen.machinery.resources.link import LINK_STATUS, LinkStatusSpec
from dozen.machinery.resources.operator import (
    DHCP_LEASE,
    OPERATOR_SPEC,
    ClientIdentifier,
    DHCP4Operator,
    DHCPLease,
    LeasedRoute,
    OperatorSpec,
)
from dozen.machinery.resources.settings import NETWORK, NETWORK_SETTINGS, NetworkSettings
from dozen.node.controllers.network import dhcp
from dozen.node.controllers.network.dhcp import DHCPOperator, describe_lease
from dozen.testing.controllers import Bench

LEASE = Lease(
    address="10.0.2.15",
    prefix=24,
    server="10.0.2.2",
    duration=3600,
    renewal=1800,
    rebinding=3150,
    routes=(LeaseRoute("0.0.0.0/0", "10.0.2.2"),),
    dns_servers=("10.0.2.3",),
    hostname="node7",
    mtu=1400,
)
UP = LinkStatusSpec(type="ether", flags="UP", hardware_addr="52:54:00:12:34:56", link_state=True)
UNPLUGGED = LinkStatusSpec(type="ether", flags="UP", hardware_addr="52:54:00:12:34:56")
DOWN = LinkStatusSpec(type="ether", flags="", hardware_addr="52:54:00:12:34:56", link_state=True)
WANTED = OperatorSpec(link_name="eth0", dhcp4=DHCP4Operator(route_metric=99))


class FakeKeeper:
    """Obtains a lease as soon as it runs."""

    made: list[FakeKeeper]

    def __init__(
        self,
        link: str,
        hardware: bytes,
        granted: Callable[[Lease], None],
        lost: Callable[[str], None],
        *,
        hostname: str,
        identifier: bytes,
        log: logging.Logger,
    ) -> None:
        self.link, self.hardware, self.hostname, self.identifier = link, hardware, hostname, identifier
        self.granted, self.lost = granted, lost
        self.runs = 0
        self.running = False
        FakeKeeper.made.append(self)

    async def run(self) -> None:
        self.runs += 1
        self.running = True
        try:
            self.granted(LEASE)
            await asyncio.get_running_loop().create_future()
        finally:
            self.running = False


Scenario = Callable[[Bench], Awaitable[None]]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[[Scenario], None]:
    FakeKeeper.made = []
    monkeypatch.setattr(dhcp, "LeaseKeeper", FakeKeeper)

    async def run(scenario: Scenario) -> None:
        bench = Bench()
        bench.runtime.add_watcher(DHCPOperator(bench.store, logging.getLogger("test")))
        async with bench:
            bench.put(NETWORK_SETTINGS, NETWORK, NetworkSettings(hostname="node7.example.org"))
            bench.put(OPERATOR_SPEC, "dhcp4/eth0", WANTED)
            await scenario(bench)

    return lambda scenario: asyncio.run(run(scenario))


def test_a_lease_is_published(play: Callable[[Scenario], None]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.put(LINK_STATUS, "eth0", UP)
        await bench.settle()
        lease = bench.store.get(DHCP_LEASE, "eth0").spec
        assert (lease.address, lease.route_metric) == ("10.0.2.15/24", 99)
        (keeper,) = FakeKeeper.made
        assert (keeper.link, keeper.hardware.hex(), keeper.hostname) == ("eth0", "525400123456", "node7")

    play(scenario)


@pytest.mark.parametrize("status", [UNPLUGGED, DOWN])
def test_a_client_runs_only_while_its_link_works_but_keeps_its_lease(
    play: Callable[[Scenario], None], status: LinkStatusSpec
) -> None:
    async def scenario(bench: Bench) -> None:
        bench.put(LINK_STATUS, "eth0", status)
        await bench.settle()
        assert [keeper.runs for keeper in FakeKeeper.made] == [0]
        bench.put(LINK_STATUS, "eth0", UP)
        await bench.settle()
        bench.put(LINK_STATUS, "eth0", status)
        await bench.settle()
        (keeper,) = FakeKeeper.made
        assert (keeper.runs, keeper.running) == (1, False)
        assert bench.store.find(DHCP_LEASE, "eth0") is not None
        bench.put(LINK_STATUS, "eth0", UP)
        await bench.settle()
        assert (keeper.runs, keeper.running) == (2, True)

    play(scenario)


@pytest.mark.parametrize("gone", ["link", "operator"])
def test_the_lease_goes_with_its_link_or_its_operator(play: Callable[[Scenario], None], gone: str) -> None:
    async def scenario(bench: Bench) -> None:
        bench.put(LINK_STATUS, "eth0", UP)
        await bench.settle()
        bench.remove(*((LINK_STATUS, "eth0") if gone == "link" else (OPERATOR_SPEC, "dhcp4/eth0")))
        await bench.settle()
        assert bench.store.find(DHCP_LEASE, "eth0") is None
        assert not FakeKeeper.made[0].running

    play(scenario)


def test_another_card_is_another_client(play: Callable[[Scenario], None]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.put(LINK_STATUS, "eth0", UP)
        await bench.settle()
        bench.put(LINK_STATUS, "eth0", LinkStatusSpec(flags="UP", hardware_addr="52:54:00:00:00:99", link_state=True))
        await bench.settle()
        assert [(keeper.hardware[-1], keeper.running) for keeper in FakeKeeper.made] == [(0x56, False), (0x99, True)]

    play(scenario)


def test_a_lost_lease_is_withdrawn(play: Callable[[Scenario], None]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.put(LINK_STATUS, "eth0", UP)
        await bench.settle()
        FakeKeeper.made[0].lost("the server refused it")
        assert bench.store.find(DHCP_LEASE, "eth0") is None

    play(scenario)


def test_a_lease_as_a_resource() -> None:
    assert describe_lease("eth0", LEASE, DHCP4Operator(route_metric=99), 1.5) == DHCPLease(
        link_name="eth0",
        address="10.0.2.15/24",
        server="10.0.2.2",
        duration=3600,
        granted=1.5,
        route_metric=99,
        routes=(LeasedRoute(destination="0.0.0.0/0", gateway="10.0.2.2"),),
        dns_servers=("10.0.2.3",),
        hostname="node7",
        mtu=1400,
    )


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        (None, "01525400123456"),
        (ClientIdentifier(), "01525400123456"),
        (ClientIdentifier(client_identifier="none"), ""),
        (ClientIdentifier(client_identifier="duid", duid_raw_hex="0003aa"), "0003aa"),
        (ClientIdentifier(client_identifier="duid"), "00030001525400123456"),
    ],
)
def test_who_a_client_says_that_it_is(chosen: ClientIdentifier | None, told: str) -> None:
    assert dhcp.identify(bytes.fromhex("525400123456"), chosen).hex() == told


def test_a_lease_may_be_taken_in_part() -> None:
    options = DHCP4Operator(route_metric=5, skip_hostname_request=True, skip_routes=True)
    lease = describe_lease("eth0", LEASE, options, 0.0)
    assert (lease.hostname, lease.routes, lease.dns_servers) == ("", (), ("10.0.2.3",))

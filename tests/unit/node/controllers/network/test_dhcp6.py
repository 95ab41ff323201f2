"""On which links a DHCPv6 client runs, as whom, and what becomes of its lease; the clients are made of data."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn

import pytest

from dozen.linux import dhcp6_socket
from dozen.linux.dhcp6_lease import Lease, LiveAddress
from dozen.machinery.resources.hardware import SYSTEM_INFORMATION, SystemInformationSpec
from dozen.machinery.resources.link import LINK_STATUS, LinkStatusSpec
from dozen.machinery.resources.network import ADDRESS_STATUS, AddressStatusSpec
from dozen.machinery.resources.operator import (
    DHCP_LEASE,
    OPERATOR_SPEC,
    ClientIdentifier,
    DHCP4Operator,
    DHCP6Operator,
    DHCPLease,
    LeasedAddress,
    OperatorSpec,
)
from dozen.node.controllers.network import dhcp6
from dozen.node.controllers.network.dhcp import DHCPOperator
from dozen.testing.controllers import Bench

MAC = bytes.fromhex("525400123456")
UP = LinkStatusSpec(type="ether", flags="UP", hardware_addr="52:54:00:12:34:56", link_state=True)
UNPLUGGED = LinkStatusSpec(type="ether", flags="UP", hardware_addr="52:54:00:12:34:56")
LOCAL = AddressStatusSpec(address="fe80::1/64", link_name="eth0", family="inet6", scope="link", flags="permanent")
LEASE = Lease(
    addresses=(LiveAddress("fd77::50"), LiveAddress("fd77::51", deprecated=True)),
    server="fe80::99",
    duration=3600,
    dns_servers=("fd77::53",),
    search_domains=("example.org",),
    time_servers=("fd77::123",),
    hostname="node7",
)
ID = "eth0/dhcp6"


def wanted(kind: str = "mac", duid: str = "") -> OperatorSpec:
    chosen = ClientIdentifier(client_identifier=kind, duid_raw_hex=duid)
    return OperatorSpec(
        operator="dhcp6", link_name="eth0", dhcp6=DHCP6Operator(route_metric=99, client_identifier=chosen)
    )


class FakeKeeper(dhcp6_socket.LeaseKeeper):
    """Obtains a lease as soon as it runs."""

    made: list[FakeKeeper]

    def __init__(
        self,
        link: str,
        client: dhcp6.Client,
        granted: Callable[[Lease], None],
        lost: Callable[[str], None],
        *,
        log: logging.Logger,
    ) -> None:
        self.link, self.client, self.granted, self.lost = link, client, granted, lost
        self.runs = 0
        self.running = False
        self.declined: list[str] = []
        FakeKeeper.made.append(self)

    async def run(self) -> NoReturn:
        self.runs += 1
        self.running = True
        try:
            self.granted(LEASE)
            await asyncio.get_running_loop().create_future()
            raise AssertionError("it has no end")
        finally:
            self.running = False

    def decline(self, address: str) -> None:
        assert not self.running or self.runs, "while it runs it sends something else"
        self.declined.append(address)
        self.lost("another host has it")


Scenario = Callable[[Bench], Awaitable[None]]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[[Scenario], None]:
    FakeKeeper.made = []
    monkeypatch.setattr(dhcp6, "LeaseKeeper", FakeKeeper)

    async def run(scenario: Scenario) -> None:
        bench = Bench()
        bench.runtime.add_watcher(DHCPOperator(bench.store, logging.getLogger("test")))
        async with bench:
            bench.put(OPERATOR_SPEC, "dhcp6/eth0", wanted())
            await scenario(bench)

    return lambda scenario: asyncio.run(run(scenario))


def test_it_runs_when_its_link_has_an_address_to_ask_from(play: Callable[[Scenario], None]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.put(LINK_STATUS, "eth0", UP)
        for flags in ("permanent,tentative", "permanent,dadfailed"):
            spec = AddressStatusSpec(address="fe80::1/64", link_name="eth0", family="inet6", scope="link", flags=flags)
            bench.put(ADDRESS_STATUS, "eth0/fe80::1/64", spec)
        elsewhere = AddressStatusSpec(address="fe80::2/64", link_name="eth1", family="inet6", scope="link")
        bench.put(ADDRESS_STATUS, "eth1/fe80::2/64", elsewhere)
        await bench.settle()
        assert [keeper.runs for keeper in FakeKeeper.made] == [0]
        bench.put(ADDRESS_STATUS, "eth0/fe80::1/64", LOCAL)
        await bench.settle()
        lease = bench.store.get(DHCP_LEASE, ID).spec
        assert (lease.link_name, lease.address, lease.route_metric) == ("eth0", "fd77::50/128", 99)
        # a cable that is out stops it, and takes nothing away
        bench.put(LINK_STATUS, "eth0", UNPLUGGED)
        await bench.settle()
        assert not FakeKeeper.made[0].running
        assert bench.store.find(DHCP_LEASE, ID) is not None
        bench.put(LINK_STATUS, "eth0", UP)
        await bench.settle()
        assert (FakeKeeper.made[0].running, FakeKeeper.made[0].runs, len(FakeKeeper.made)) == (True, 2, 1)
        bench.remove(OPERATOR_SPEC, "dhcp6/eth0")
        await bench.settle()
        assert bench.store.find(DHCP_LEASE, ID) is None

    play(scenario)


def test_both_clients_of_a_link_have_a_lease_each(play: Callable[[Scenario], None]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.put(OPERATOR_SPEC, "dhcp4/eth0", OperatorSpec(link_name="eth0", dhcp4=DHCP4Operator()))
        bench.put(LINK_STATUS, "eth0", UNPLUGGED)
        bench.put(ADDRESS_STATUS, "eth0/fe80::1/64", LOCAL)
        await bench.settle()
        bench.remove(OPERATOR_SPEC, "dhcp6/eth0")
        await bench.settle()
        assert [keeper.runs for keeper in FakeKeeper.made] == [0]

    play(scenario)


def test_an_address_that_another_host_has_is_given_back(play: Callable[[Scenario], None]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.put(LINK_STATUS, "eth0", UP)
        bench.put(ADDRESS_STATUS, "eth0/fe80::1/64", LOCAL)
        await bench.settle()
        taken = AddressStatusSpec(
            address="fd77::50/128", link_name="eth0", family="inet6", flags="permanent,tentative,dadfailed"
        )
        bench.put(ADDRESS_STATUS, "eth0/fd77::50/128", taken)
        await bench.settle()
        (keeper,) = FakeKeeper.made
        assert keeper.declined[:1] == ["fd77::50"]
        assert keeper.runs >= 2, "it goes on"

    play(scenario)


def test_who_says_nothing_of_its_hardware_waits_for_the_machines_identity(play: Callable[[Scenario], None]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.put(OPERATOR_SPEC, "dhcp6/eth0", wanted("none"))
        bench.put(LINK_STATUS, "eth0", UP)
        await bench.settle()
        assert FakeKeeper.made == []
        bench.put(SYSTEM_INFORMATION, "systeminformation", SystemInformationSpec(uuid="00112233"))
        await bench.settle()
        assert len(FakeKeeper.made) == 1

    play(scenario)


@pytest.mark.parametrize(
    ("kind", "given", "machine", "duid"),
    [
        ("mac", "", "", "00030001525400123456"),
        ("duid", "0002aabb", "", "0002aabb"),
        ("duid", "", "", "00030001525400123456"),
        (
            "none",
            "",
            "00112233-4455-6677-8899-aabbccddeeff",
            "000400112233445566778899aabbccddeeff",
        ),
        ("none", "", "", "00030001525400123456"),
    ],
)
def test_who_a_client_says_that_it_is(kind: str, given: str, machine: str, duid: str) -> None:
    options = wanted(kind, given).dhcp6
    assert options is not None
    assert dhcp6.identify(MAC, machine, options).hex() == duid
    assert dhcp6.identify(MAC, "", DHCP6Operator()).hex() == "00030001525400123456"


def test_a_vlan_has_another_number_than_its_parent() -> None:
    assert dhcp6.number_link("eth0", MAC) != dhcp6.number_link("eth0.5", MAC)
    assert dhcp6.number_link("eth0", MAC) == 2105896554, "the same on every run"


def test_a_lease_as_a_resource() -> None:
    assert dhcp6.describe_lease("eth0", LEASE, DHCP6Operator(route_metric=99), 1.5) == DHCPLease(
        link_name="eth0",
        address="fd77::50/128",
        server="fe80::99",
        duration=3600,
        granted=1.5,
        route_metric=99,
        dns_servers=("fd77::53",),
        search_domains=("example.org",),
        hostname="node7",
        time_servers=("fd77::123",),
        addresses=(LeasedAddress(address="fd77::50/128"), LeasedAddress(address="fd77::51/128", deprecated=True)),
    )
    skipped = dhcp6.describe_lease("eth0", LEASE, DHCP6Operator(skip_hostname_request=True), 0.0)
    assert skipped.hostname == ""

"""What happens to a network: scenarios that `test_network` runs, each in a network namespace of its own.

``python network_scenarios.py NAME`` with the namespace already entered; a scenario that fails raises.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from dozen.engine.publisher import Watcher
from dozen.engine.runtime import Runtime
from dozen.engine.store import Store
from dozen.linux import ethtool, network, ntp
from dozen.linux.dhcp import Lease
from dozen.linux.dhcp_socket import LeaseKeeper
from dozen.linux.network import Changes, Network
from dozen.linux.rtnetlink import Address, Link, Route
from dozen.linux.uevent import DeviceEvents
from dozen.machinery.effects.files import WriteFile
from dozen.machinery.effects.network import AddAddress, AddRoute, Each, RemoveAddress, RemoveRoute, SetHostname, SetLink
from dozen.machinery.plan import Effect, Temporary
from dozen.machinery.resources.hardware import SYSTEM_INFORMATION, SystemInformationSpec
from dozen.machinery.resources.network import NETWORK_STATUS, NODE_ADDRESS, ROUTE_STATUS
from dozen.machinery.resources.operator import DHCP_LEASE
from dozen.machinery.resources.routing import ROUTING_RULE_STATUS
from dozen.machinery.resources.settings import (
    NETWORK,
    NETWORK_SETTINGS,
    TIME,
    TIME_SETTINGS,
    LinkSettings,
    NetworkSettings,
    RouteSettings,
    TimeSettings,
)
from dozen.node.controllers.network import later_controllers, network_controllers, network_watchers
from dozen.node.controllers.network.rules import RoutingRuleWatcher

SERVER = "10.77.0.1"
MAC = bytes.fromhex("020000000001")
LOG = logging.getLogger("scenario")


def ip(words: str, pid: int = 0) -> str:
    """Run iproute2, as somebody else would change the network; in the namespace of a process if one is given."""
    command = ["nsenter", f"--net=/proc/{pid}/ns/net", "ip"] if pid else ["ip"]
    return subprocess.run([*command, *words.split()], check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def neighbour(*habits: str, serve: bool = True) -> Iterator[int]:
    """Another host at the other end of eth0, which serves DHCP; gives a pid in its namespace."""
    host = subprocess.Popen(["unshare", "--net", "sleep", "600"])
    try:
        while os.readlink(f"/proc/{host.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            pass
        ip(f"link add eth0 address {MAC.hex(':')} type veth peer name far netns {host.pid}")
        ip(f"addr add {SERVER}/24 dev far", host.pid)
        ip("link set far up", host.pid)
        if not serve:
            yield host.pid
            return
        script = str(Path(__file__).with_name("dhcp_server.py"))
        enter = ["nsenter", f"--net=/proc/{host.pid}/ns/net", sys.executable, script, "far", SERVER, *habits]
        server = subprocess.Popen(enter, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        try:
            yield host.pid
        finally:
            server.kill()
            server.wait()
    finally:
        host.kill()
        host.wait()


class Client:
    """A DHCP client on eth0, whose news can be waited for."""

    def __init__(self) -> None:
        self.news: asyncio.Queue[Lease | str] = asyncio.Queue()
        put = self.news.put_nowait
        self.keeper = LeaseKeeper("eth0", MAC, put, put, hostname="node7", log=LOG)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Client]:
        task = asyncio.create_task(self.keeper.run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def next(self, seconds: float = 5.0) -> Lease | str:
        async with asyncio.timeout(seconds):
            return await self.news.get()


async def effects_are_carried_out_and_heard() -> None:
    ip("link add eth0 type veth peer name far")
    changes = Changes()
    await network.run(Each((SetLink("lo"), SetLink("far"), SetLink("eth0", mtu=1400))))
    with Network() as state:
        links = {link.name: link for link in state.list_links()}
        assert links["eth0"].mtu == 1400
        assert links["eth0"].flags & links["lo"].flags & 1
        for _ in range(2):  # again is fine
            await network.run(AddAddress("eth0", "10.77.0.9/24", priority=99))
            await network.run(AddAddress("eth0", "fd77::9/64", flags=2))
            await network.run(AddRoute(2, gateway="10.77.0.1", link="eth0", priority=1024, mtu=1300, protocol=16))
            await network.run(AddRoute(2, "10.78.0.0/16", gateway="172.16.0.1", link="eth0", flags=4))
            await network.run(AddRoute(10, "fd78::/32", gateway="fd77::1", link="eth0", priority=7))
        addresses = {address.address: address for address in state.list_addresses()}
        assert addresses["10.77.0.9/24"].broadcast == "10.77.0.255"
        assert "fd77::9/64" in addresses
        routes = {route.destination: route for route in state.list_routes() if route.gateway}
        assert set(routes) == {"", "10.78.0.0/16", "fd78::/32"}
        assert (routes[""].mtu, routes[""].priority) == (1300, 1024)
        assert "via 10.77.0.1 dev eth0 proto dhcp metric 1024 mtu 1300" in ip("route show default")
        for _ in range(2):
            await network.run(RemoveRoute(2, gateway="10.77.0.1", link="eth0", priority=1024))
            await network.run(RemoveAddress("eth0", "10.77.0.9/24"))
            await network.run(RemoveAddress("gone", "10.77.0.9/24"))
        assert "10.77.0.9/24" not in {address.address for address in state.list_addresses()}
    heard = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            while True:
                heard += await changes.read()
    changes.close()
    assert any(there and isinstance(record, Link) and record.mtu == 1400 for there, record in heard)
    assert [there for there, r in heard if isinstance(r, Address) and r.address == "10.77.0.9/24"][-1] is False
    assert any(there and isinstance(record, Route) and record.mtu == 1300 for there, record in heard)


async def a_driver_tells_of_its_link() -> None:
    ip("link add eth0 type veth peer name far")
    told = ethtool.read_ethernet("eth0")
    assert told.channels is not None
    assert (told.channels.rx, told.channels.tx) == (1, 1)
    assert {"rx-gro", "tx-generic-segmentation"} <= {feature.name for feature in told.features}
    assert any(feature.fixed for feature in told.features)


async def rules_are_heard_of() -> None:
    store = Store()
    runtime = Runtime(store, _refuse, LOG)
    runtime.add_watcher(RoutingRuleWatcher())
    task = asyncio.create_task(runtime.run())
    try:
        await store.wait_for(
            ROUTING_RULE_STATUS,
            "inet4/32766",
            lambda rule: rule.spec.table == "main",
        )
        ip("rule add from 10.9.0.0/16 iif lo fwmark 0x5/0xff table 1234 priority 77")
        rule = (await store.wait_for(ROUTING_RULE_STATUS, "inet4/00077", lambda rule: True)).spec
        assert (rule.src, rule.dst, rule.table, rule.iif_name) == ("10.9.0.0/16", "", "1234", "lo")
        assert (rule.fw_mark, rule.fw_mask, rule.action) == (5, 0xFF, "unicast")
        ip("rule del priority 77")
        await store.wait_gone(ROUTING_RULE_STATUS, "inet4/00077")
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _refuse(effect: object) -> None:
    raise AssertionError(f"nobody asks for {effect}")


async def a_refusal_says_why_and_stops_nothing_else() -> None:
    ip("link set lo up")
    effects = (SetLink("nosuch"), AddRoute(2, gateway="192.0.2.1", link="lo"), AddAddress("lo", "10.77.0.9/24"))
    with pytest.raises(Temporary, match="there is no link 'nosuch'") as caught:
        await network.run(Each(effects))
    assert "add route default via 192.0.2.1" in str(caught.value)
    assert "10.77.0.9/24" in ip("addr show lo")


async def the_hostname_is_set() -> None:
    await network.run(SetHostname("node7", "example.org"))
    assert os.uname().nodename == "node7"
    assert Path("/proc/sys/kernel/domainname").read_text() == "example.org\n"
    await network.run(SetHostname("node8"))
    assert Path("/proc/sys/kernel/domainname").read_text() == "(none)\n"


async def a_lease_is_obtained() -> None:
    with neighbour("noisy"):
        ip("link set eth0 up")
        async with Client().running() as client:
            lease = await client.next()
            assert isinstance(lease, Lease)
            assert (lease.address, lease.prefix, lease.server, lease.mtu) == ("10.77.0.50", 24, SERVER, 1400)
            assert (lease.domain, lease.dns_servers) == ("example.org", (SERVER,))


async def a_lost_question_is_asked_again() -> None:
    with neighbour("deaf"):
        ip("link set eth0 up")
        async with Client().running() as client:
            assert isinstance(await client.next(3.0), Lease)


async def a_lease_is_renewed_from_its_address() -> None:
    with neighbour("impatient"):
        ip("link set eth0 up")
        async with Client().running() as client:
            lease = await client.next()
            assert isinstance(lease, Lease)
            ip(f"addr add {lease.address}/24 dev eth0")
            again = await client.next(3.0)
            assert isinstance(again, Lease)
            assert again.address == lease.address


async def a_server_may_change_its_mind() -> None:
    with neighbour("impatient", "moving"):
        ip("link set eth0 up")
        async with Client().running() as client:
            lease = await client.next()
            assert isinstance(lease, Lease)
            ip(f"addr add {lease.address}/24 dev eth0")
            assert isinstance(await client.next(3.0), str), "the lease was not given up"
            other = await client.next(3.0)
            assert isinstance(other, Lease)
            assert other.address == "10.77.0.51"


async def a_client_survives_its_link() -> None:
    with neighbour():
        ip("link set eth0 up")
        client = Client()
        async with client.running():
            assert isinstance(await client.next(), Lease)
        async with client.running():  # as after a cable was out: asks for the same address
            lease = await client.next()
            assert isinstance(lease, Lease)
            assert lease.address == "10.77.0.50"
        ip("link del eth0")
        async with client.running():
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def node(
    settings: NetworkSettings, *more: Callable[[Store], Watcher]
) -> AsyncIterator[tuple[Store, dict[str, str]]]:
    """All of a node's network controllers and watchers, for real; files are only looked at."""
    files: dict[str, str] = {}

    async def run(effect: Effect) -> None:
        if isinstance(effect, WriteFile):
            files[effect.path] = effect.content
        else:
            await network.run(effect)

    store = Store()
    runtime = Runtime(store, run, LOG)
    for controller in (*network_controllers(), *later_controllers()):
        runtime.add(controller)
    for watcher in (*network_watchers(store, LOG), RoutingRuleWatcher(), *(make(store) for make in more)):
        runtime.add_watcher(watcher)
    store.put(NETWORK_SETTINGS, NETWORK, settings)
    store.put(TIME_SETTINGS, TIME, TimeSettings())
    store.put(SYSTEM_INFORMATION, "systeminformation", SystemInformationSpec(uuid="00112233"))
    task = asyncio.create_task(runtime.run())
    try:
        yield store, files
        assert not any(status.failures for status in runtime.statuses().values()), runtime.statuses()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(check: Callable[[], bool], what: str, seconds: float = 5.0) -> None:
    for _ in range(int(seconds * 50)):
        if check():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


def default_route() -> str:
    return ip("route show default").strip()


async def wait_ready(store: Store) -> None:
    await store.wait_for(
        NETWORK_STATUS,
        "status",
        lambda status: (
            status.spec.address_ready
            and status.spec.connectivity_ready
            and status.spec.hostname_ready
            and status.spec.etc_files_ready
        ),
        timeout=5,
    )


async def a_node_comes_up_by_dhcp() -> None:
    with neighbour() as host:
        async with node(NetworkSettings(links=(LinkSettings(name="eth0", dhcp=True),))) as (store, files):
            await wait_ready(store)
            assert store.get(NODE_ADDRESS, "default").spec.addresses == ("10.77.0.50/24",)
            assert default_route() == f"default via {SERVER} dev eth0 proto dhcp src 10.77.0.50 metric 1024"
            await until(lambda: "mtu 1400" in ip("link show eth0"), "the MTU of the lease")
            assert files["/system/etc/resolv.conf"] == f"nameserver {SERVER}\nsearch example.org\n"
            own = lambda: f"10.77.0.50 {os.uname().nodename}\n"  # noqa: E731
            await until(lambda: own() in files["/system/etc/hosts"], "the own address in hosts")
            # somebody meddles: what is missing comes back
            ip("addr flush dev eth0")
            await until(lambda: "10.77.0.50/24" in ip("addr show eth0"), "the address comes back")
            await until(lambda: default_route() != "", "the route comes back")
            # the cable is out and in again
            ip("link set far down", host)
            await asyncio.sleep(0.1)
            ip("link set far up", host)
            await asyncio.sleep(0.1)
            assert store.get(DHCP_LEASE, "eth0").spec.address == "10.77.0.50/24"
            ip("link set eth0 down")
            await until(lambda: default_route() != "", "link and route come back")
            # the link is gone for good
            ip("link del eth0")
            await until(lambda: store.find(DHCP_LEASE, "eth0") is None, "the lease goes with its link")


async def a_node_changes_from_dhcp_to_static() -> None:
    static = LinkSettings(
        name="eth0",
        addresses=("10.77.0.9/24", "fd77::9/64"),
        routes=(
            RouteSettings(gateway=SERVER),
            RouteSettings(network="10.78.0.0/16", gateway="10.77.0.7", metric=5),
            RouteSettings(network="10.79.0.0/16"),
        ),
        mtu=1300,
    )
    with neighbour():
        async with node(NetworkSettings(links=(LinkSettings(name="eth0", dhcp=True),))) as (store, files):
            await wait_ready(store)
            store.put(NETWORK_SETTINGS, NETWORK, NetworkSettings(hostname="node7.example.com", links=(static,)))
            await until(lambda: "10.77.0.50" not in ip("addr show eth0"), "the leased address goes")
            await until(lambda: "10.77.0.9/24" in ip("addr show eth0"), "the address comes")
            wanted = ("default via 10.77.0.1", "10.78.0.0/16 via 10.77.0.7", "10.79.0.0/16 dev eth0")
            await until(lambda: all(route in ip("route") for route in wanted), "the routes come")
            assert "proto static" in default_route()
            # Each of these has a controller or watcher of its own, and they follow one another in no fixed order.
            await until(lambda: "mtu 1300" in ip("link show eth0"), "the MTU is set")
            await until(lambda: os.uname().nodename == "node7", "the host name is set")
            await until(lambda: "search example.com\n" in files["/system/etc/resolv.conf"], "the domain is searched")
            await until(lambda: published_routes(store) == listed_routes(), "every route is published")


def published_routes(store: Store) -> set[str]:
    routes = {route.spec.dst for route in store.list(ROUTE_STATUS) if route.spec.table == "main"}
    return {route or "default" for route in routes if ":" not in route}


def listed_routes() -> set[str]:
    return {line.split()[0] for line in ip("route").splitlines()}


class Clockwork(asyncio.DatagramProtocol):
    """A time server that answers with fixed errors: by name of the scenario."""

    def __init__(self, stratum: int, ahead: float) -> None:
        self.stratum, self.ahead = stratum, ahead

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, sender: tuple[str, int]) -> None:
        import time

        now = ntp.pack_time(time.time() + self.ahead)
        head = bytes((4 << 3 | 4, self.stratum, 0, 0)) + bytes(8) + b"RATE" + bytes(8)
        self.transport.sendto(b"rubbish", sender)
        self.transport.sendto(head + bytes(8) + now + now, sender)
        self.transport.sendto(head + data[40:48] + now + now, sender)


async def time_is_asked_for() -> None:
    ip("link set lo up")
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: Clockwork(2, 100.0), ("127.0.0.1", 123))
    await loop.create_datagram_endpoint(lambda: Clockwork(0, 0.0), ("127.0.0.1", 124))
    sample = await ntp.ask("127.0.0.1")
    assert abs(sample.offset - 100) < 0.1
    assert sample.delay < 0.1
    with pytest.raises(ntp.KissOfDeath, match="RATE"):
        await ntp.ask("127.0.0.1", 124)
    for address, port in (("127.0.0.1", 125), ("192.0.2.1", 123)):
        with pytest.raises(ntp.NoAnswer, match="cannot be reached"):
            await ntp.ask(address, port, timeout=0.5)


async def a_node_knows_its_own_addresses() -> None:
    """Even where programs may bind to addresses that are not the machine's."""
    from dozen.node.apid import is_own_name

    with neighbour(serve=False):
        ip("link set lo up")
        ip("addr add 10.77.0.9/24 dev eth0")
        ip("addr add fd00::9/64 dev eth0 nodad")
        ip("link set eth0 up")
        for family in ("ipv4", "ipv6"):
            Path(f"/proc/sys/net/{family}/ip_nonlocal_bind").write_text("1")
        for own in ("10.77.0.9", "fd00::9", "[fd00::9]", "127.0.0.1", "127.0.0.2", "::1"):
            assert is_own_name(own), own
        for other in (SERVER, "fd00::1", "192.0.2.1", "10.77.0.255"):
            assert not is_own_name(other), other


async def devices_are_announced() -> None:
    events = DeviceEvents(subsystems=("net",))
    ip("link add eth0 type veth peer name far")
    async with asyncio.timeout(5):
        seen = {(event.action, event.properties["INTERFACE"]) for event in [await events.read() for _ in range(2)]}
    events.close()
    assert seen == {("add", "eth0"), ("add", "far")}


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(globals()[sys.argv[1]]())

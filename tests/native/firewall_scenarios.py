"""What packets the node lets in, and which way it sends its own: scenarios that `test_network` runs.

``python firewall_scenarios.py NAME`` with a network namespace of its own; a scenario that fails raises.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest
from network_scenarios import ip, neighbour, node, until

from dozen.linux import network
from dozen.machinery.effects.firewall import SetFirewall
from dozen.machinery.plan import Temporary
from dozen.machinery.resources.firewall import NFTABLES_CHAIN, NfTablesChainSpec
from dozen.machinery.resources.network import NODE_ADDRESS, ROUTE_STATUS
from dozen.machinery.resources.settings import (
    NETWORK,
    NETWORK_SETTINGS,
    BlackholeSettings,
    FirewallRule,
    FirewallSettings,
    LinkSettings,
    NetworkSettings,
    RouteSettings,
    RuleSettings,
)
from dozen.node.controllers.network.firewall import plan_prerouting

NODE, NODE6 = "10.77.0.9", "fd77::9"
LINK = LinkSettings(name="eth0", addresses=(f"{NODE}/24", f"{NODE6}/64"))
PORTS = (50000, 6443, 7000, 7005)
KNOCK = """
import socket, sys
for target in sys.argv[1:]:
    address, source, port = target.split(",")
    try:
        socket.create_connection((address, int(port)), timeout=0.4, source_address=(source, 0)).close()
        print("open")
    except OSError as error:
        print("refused" if isinstance(error, ConnectionRefusedError) else "silent")
"""


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[None]:
    """Servers of the node at every port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    servers = [await asyncio.start_server(serve, "::", port) for port in PORTS]
    servers += [await asyncio.start_server(serve, "0.0.0.0", port) for port in PORTS]
    try:
        yield
    finally:
        for server in servers:
            server.close()


async def knock(host: int, source: str, *ports: int, address: str = "") -> list[str]:
    """What becomes of connections from an address of the other host to ports of the node."""
    address = address or (NODE6 if ":" in source else NODE)
    command = ["nsenter", f"--net=/proc/{host}/ns/net", sys.executable, "-c", KNOCK]
    targets = [f"{address},{source},{port}" for port in ports]
    done = await asyncio.to_thread(
        subprocess.run, [*command, *targets], capture_output=True, text=True, check=True, timeout=20
    )
    return done.stdout.split()


def firewall(block: bool, *rules: FirewallRule) -> NetworkSettings:
    return NetworkSettings(links=(LINK,), firewall=FirewallSettings(block=block, rules=rules, inside=("10.99.0.0/16",)))


async def what_is_not_allowed_is_blocked() -> None:
    friends = FirewallRule(ports=("50000",), subnets=("10.77.0.0/24", "fd77::/64"), excepted=("10.77.0.66/32",))
    everybody = FirewallRule(ports=("7000-7003",), subnets=("0.0.0.0/0",))
    with neighbour(serve=False) as host:
        for address in ("10.77.0.66/24", "10.99.0.1/16", "fd77::1/64"):
            ip(f"addr add {address} dev far nodad", host)
        async with listening(), node(NetworkSettings(links=(LINK,))) as (store, _):
            await until(lambda: NODE in ip("addr show eth0") and NODE6 in ip("addr show eth0"), "the node is there")
            ip("route add 10.99.0.0/16 dev eth0")
            await store.wait_for(NODE_ADDRESS, "current", lambda each: f"{NODE}/24" in each.spec.addresses)
            assert await knock(host, "10.77.0.1", *PORTS) == ["open"] * 4
            store.put(NETWORK_SETTINGS, NETWORK, firewall(True, friends, everybody))
            await store.wait_for(NFTABLES_CHAIN, "prerouting", lambda chain: len(chain.spec.rules) > 3)
            await asyncio.sleep(0.2)
            assert await knock(host, "10.77.0.1", *PORTS) == ["open", "silent", "open", "silent"]
            assert await knock(host, "10.77.0.66", *PORTS) == ["silent", "silent", "open", "silent"]
            assert await knock(host, "fd77::1", *PORTS) == ["open", "silent", "silent", "silent"]
            assert await knock(host, "10.99.0.1", *PORTS) == ["open"] * 4, "pods reach their node"
            with contextlib.closing((await asyncio.open_connection("127.0.0.1", 6443))[1]):
                pass  # and the node itself
            # what the node asks for comes back
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("10.77.0.1", 1)
            store.put(NETWORK_SETTINGS, NETWORK, NetworkSettings(links=(LINK,)))
            await store.wait_gone(NFTABLES_CHAIN, "ingress")
            await store.wait_gone(NFTABLES_CHAIN, "prerouting")
            assert await knock(host, "10.77.0.1", *PORTS) == ["open"] * 4


async def a_rule_keeps_others_from_its_ports() -> None:
    friends = FirewallRule(ports=("50000", "6443"), subnets=("10.77.0.0/24",), excepted=("10.77.0.66/32",))
    with neighbour(serve=False) as host:
        for address in ("10.77.0.66/24", "10.78.0.1/24", "fd77::1/64"):
            ip(f"addr add {address} dev far nodad", host)
        async with listening(), node(firewall(False, friends)) as (store, _):
            await until(lambda: NODE in ip("addr show eth0") and NODE6 in ip("addr show eth0"), "the node is there")
            ip("route add 10.78.0.0/24 dev eth0")
            await store.wait_for(NFTABLES_CHAIN, "prerouting", lambda chain: len(chain.spec.rules) > 3)
            await asyncio.sleep(0.2)
            assert await knock(host, "10.77.0.1", *PORTS) == ["open"] * 4
            for stranger in ("10.77.0.66", "10.78.0.1", "fd77::1"):
                assert await knock(host, stranger, *PORTS) == ["silent", "silent", "open", "open"], stranger


async def packets_are_stopped_before_they_become_a_pod_s() -> None:
    """What Kubernetes turns into packets for a pod never meets the chain of the node's own: the other one is enough."""
    friends = FirewallRule(ports=("50000",), subnets=("10.77.0.0/24",))
    elsewhere = "10.55.0.5"  # a pod's address, which the node would forward to
    with neighbour(serve=False) as host:
        async with listening(), node(NetworkSettings(links=(LINK,))):
            await until(lambda: NODE in ip("addr show eth0"), "the node is there")
            ip(f"addr add {elsewhere}/32 dev lo")
            ip(f"route add {elsewhere} via {NODE}", host)
            settings = FirewallSettings(block=True, rules=(friends,))
            await network.run(SetFirewall((("prerouting", plan_prerouting(settings, (NODE,))),)))
            assert await knock(host, "10.77.0.1", 50000, 7000) == ["open", "silent"]
            assert await knock(host, "10.77.0.1", 7000, address=elsewhere) == ["open"], "packets to others are not ours"


async def what_the_kernel_refuses_is_told() -> None:
    broken = SetFirewall((("ingress", NfTablesChainSpec(type="nosuch")),))
    with pytest.raises(Temporary, match="set the firewall: ingress 0 rules: No such file or directory"):
        await network.run(broken)
    await network.run(SetFirewall(()))  # none to remove is fine
    await network.run(SetFirewall((("ingress", NfTablesChainSpec()),)))
    with pytest.raises(Temporary):
        await network.run(broken)


async def packets_are_sent_by_rules_and_into_nowhere() -> None:
    ip("link add eth0 type veth peer name far")
    ip("link set far up")
    table = RouteSettings(network="10.90.0.0/16", table="100", metric=5)
    link = LinkSettings(
        name="eth0", addresses=(f"{NODE}/24", "10.77.1.9/24"), address_priorities=(77,), routes=(table,)
    )
    rules = (
        RuleSettings(priority=1000, table="100", source="10.77.0.9/24", incoming="eth0"),
        RuleSettings(priority=1001, table="100", mark=5),
        RuleSettings(priority=1002, table="main", destination="fd80::/16", action=6),
    )
    holes = (BlackholeSettings(network="10.91.0.0/16", metric=3), BlackholeSettings(network="fd91::/16"))
    async with node(NetworkSettings(links=(link,), rules=rules, blackholes=holes)) as (store, _):
        await until(lambda: "from 10.77.0.0/24 iif eth0 lookup 100" in ip("rule"), "the rule is there")
        await until(lambda: "10.90.0.0/16 dev eth0 table 100" in ip("route show table all"), "the table has its route")
        await until(
            lambda: "10.77.0.0/24 dev eth0 proto kernel scope link src 10.77.0.9 metric 77" in ip("route"), "77"
        )
        assert "fwmark 0x5 lookup 100" in ip("rule")
        assert "fwmark 0x5 lookup 100" in ip("-6 rule")
        dropped = next(line for line in ip("-6 rule").splitlines() if line.startswith("1002:"))
        assert "to fd80::/16" in dropped
        assert "blackhole" in dropped
        await until(lambda: "blackhole 10.91.0.0/16 proto static metric 3" in ip("route"), "into nowhere")
        await until(lambda: "blackhole fd91::/16" in ip("-6 route"), "into nowhere, with IPv6")
        await store.wait_for(ROUTE_STATUS, "blackhole//inet4//10.91.0.0/16/3", lambda route: True)
        ip("rule del priority 1000")
        await until(lambda: "1000:" in ip("rule"), "somebody meddles: it comes back")
        changed = RuleSettings(priority=1000, table="101", source="10.77.0.0/24")
        plain = LinkSettings(name="eth0", addresses=(f"{NODE}/24",), address_priorities=(88,))
        store.put(NETWORK_SETTINGS, NETWORK, NetworkSettings(links=(plain,), rules=(changed,)))
        await until(lambda: "from 10.77.0.0/24 lookup 101" in ip("rule"), "the rule is another one")
        await until(lambda: "1001:" not in ip("rule") and "1001:" not in ip("-6 rule"), "and others are gone")
        await until(lambda: "blackhole" not in ip("route") + ip("-6 route"), "and so are the holes")
        await until(lambda: "metric 88" in ip("route"), "and the metric is another one")


async def a_lease_is_taken_in_part() -> None:
    link = LinkSettings(name="eth0", dhcp=True, dhcp_ignore_routes=True, dhcp_identifier="duid", dhcp_duid="00:03:aa")
    with neighbour("strict=0003aa", "named"):
        async with node(NetworkSettings(links=(link,))):
            await until(lambda: "10.77.0.50/24" in ip("addr show eth0"), "the address is leased")
            await until(lambda: "10.77.0.0/24" in ip("route"), "its own network is known")
            await asyncio.sleep(0.3)
            assert ip("route show default") == ""
            assert os.uname().nodename == "leased"


async def a_leased_name_is_not_taken() -> None:
    link = LinkSettings(name="eth0", dhcp=True, dhcp_ignore_hostname=True, dhcp_identifier="none")
    with neighbour("strict=", "named"):
        async with node(NetworkSettings(links=(link,))):
            await until(lambda: "default via" in ip("route"), "the lease is there")
            await asyncio.sleep(0.3)
            assert os.uname().nodename != "leased"


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(globals()[sys.argv[1]]())

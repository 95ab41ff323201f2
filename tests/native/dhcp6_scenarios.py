"""What a DHCPv6 client does on a link with another host at its other end: scenarios that `test_network` runs.

``python dhcp6_scenarios.py NAME`` with a network namespace of its own; a scenario that fails raises.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from network_scenarios import MAC, ip, neighbour, node, until

from dozen.engine.store import Store
from dozen.linux.dhcp6 import make_machine_duid
from dozen.machinery import yaml
from dozen.machinery.config.generating import generate
from dozen.machinery.resources.hardware import SYSTEM_INFORMATION, SystemInformationSpec
from dozen.machinery.resources.link import LINK_STATUS
from dozen.machinery.resources.network import (
    ADDRESS_STATUS,
    HOSTNAME_STATUS,
    NODE_ADDRESS,
    RESOLVER_STATUS,
    TIME_SERVER_STATUS,
)
from dozen.machinery.resources.operator import DHCP_LEASE, OPERATOR_SPEC
from dozen.machinery.resources.settings import (
    NETWORK,
    NETWORK_SETTINGS,
    DHCP6Settings,
    LinkSettings,
    NetworkSettings,
)
from dozen.node.configuration import parse
from dozen.node.controllers.settings import network_settings

# Whether links made from now on look for other hosts with their addresses first, which takes some seconds.
DETECTION = Path("/proc/sys/net/ipv6/conf/default/accept_dad")
LEASE = "eth0/dhcp6"
MAC_DUID = f"00030001{MAC.hex()}"
soon = functools.partial(until, seconds=30.0)


def asking(identifier: str = "mac", duid: str = "", ignore_hostname: bool = False) -> NetworkSettings:
    """What a node takes from a document that asks for DHCPv6 only."""
    fields = {
        "name": "eth0",
        "routeMetric": 77,
        "clientIdentifier": identifier,
        "ignoreHostname": ignore_hostname,
        **({"duidRaw": duid} if duid else {}),
    }
    return settings_of({"apiVersion": "v1alpha1", "kind": "DHCPv6Config", **fields})


def settings_of(*documents: dict[str, Any]) -> NetworkSettings:
    return network_settings(parse(yaml.dump_documents(list(documents))), NetworkSettings())


class Questions:
    """What a server was asked: words of a line each, the type first."""

    def __init__(self, server: subprocess.Popen[bytes]) -> None:
        assert server.stdout is not None
        self._pipe = server.stdout
        self._lines: list[list[str]] = []

    def all(self) -> list[list[str]]:
        while line := self._pipe.readline():
            self._lines.append(line.decode().split())
        return self._lines

    def kinds(self) -> list[str]:
        return [words[0] for words in self.all()]


@contextlib.contextmanager
def server(*habits: str) -> Iterator[tuple[Questions, int]]:
    """Another host at the other end of eth0, which serves DHCPv6; its questions, and a pid in its namespace."""
    with neighbour(serve=False) as host:
        # what the server sends at once is not to wait until its address is known to be nobody else's
        ip("addr add fe80::99/64 dev far nodad", host)
        script = str(Path(__file__).with_name("dhcp6_server.py"))
        enter = ["nsenter", f"--net=/proc/{host}/ns/net", sys.executable, script, "far", *habits]
        process = subprocess.Popen(enter, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        os.set_blocking(process.stdout.fileno(), False)
        try:
            yield Questions(process), host
        finally:
            process.kill()
            process.wait()


def addresses() -> str:
    return ip("-6 addr show dev eth0 scope global")


async def leased(store: Store, address: str = "fd77::50") -> None:
    """Wait until an address is leased and can be used."""
    await soon(
        lambda: any(
            each.spec.address == f"{address}/128" and "tentative" not in each.spec.flags
            for each in store.list(ADDRESS_STATUS)
        ),
        f"{address} on the link",
    )


async def replug(store: Store, host: int) -> None:
    """Take the cable out, and put it in again once the node has seen that it was out."""
    ip("link set far down", host)
    await store.wait_for(LINK_STATUS, "eth0", lambda link: not link.spec.link_state, timeout=30)
    ip("link set far up", host)
    ip("addr replace fe80::99/64 dev far nodad", host)


async def a_node_gets_an_address_and_names() -> None:
    with server("named", "noisy") as (questions, _):
        async with node(asking()) as (store, files):
            await leased(store)
            assert "inet6 fd77::50/128 metric 77 scope global" in addresses()
            spec = store.get(OPERATOR_SPEC, "dhcp6/eth0").spec
            assert (spec.operator, spec.link_name, spec.dhcp4) == ("dhcp6", "eth0", None)
            assert store.find(OPERATOR_SPEC, "dhcp4/eth0") is None
            lease = store.get(DHCP_LEASE, LEASE).spec
            assert (lease.link_name, lease.address, lease.duration) == ("eth0", "fd77::50/128", 3600)
            assert lease.server == "fe80::99" or lease.server.startswith("fe80:")
            assert store.get(RESOLVER_STATUS, "resolvers").spec.dns_servers == ("fd77::53",)
            assert store.get(TIME_SERVER_STATUS, "timeservers").spec.time_servers == ("fd77::123",)
            resolvers = "nameserver fd77::53\nsearch example.org lab.example.org\n"
            await soon(lambda: files["/system/etc/resolv.conf"] == resolvers, "the resolvers of the lease")
            await soon(lambda: store.get(HOSTNAME_STATUS, "hostname").spec.fqdn == "leased.example.org", "its name")
            await soon(lambda: store.get(NODE_ADDRESS, "routed").spec.addresses == ("fd77::50/128",), "the address")
            assert set(questions.kinds()) == {"solicit", "request"}
            assert {words[1] for words in questions.all()} == {MAC_DUID}
            # somebody meddles: the address comes back
            ip("addr del fd77::50/128 dev eth0")
            await soon(lambda: "fd77::50" in addresses(), "the address comes back")
            # what the configuration does not ask for any more goes
            store.put(NETWORK_SETTINGS, NETWORK, NetworkSettings(links=(LinkSettings(name="eth0"),)))
            await soon(lambda: "fd77::50" not in addresses(), "the address goes")
            await soon(lambda: store.find(DHCP_LEASE, LEASE) is None, "the lease goes")
            await soon(lambda: "fd77::53" not in files["/system/etc/resolv.conf"], "the resolvers go")


async def a_server_may_give_at_once() -> None:
    with server("rapid", "deaf", "named") as (questions, _):
        async with node(asking("none", ignore_hostname=True)) as (store, _):
            await leased(store)
            assert questions.kinds() == ["solicit", "solicit"]
            assert store.get(HOSTNAME_STATUS, "hostname").spec.hostname != "leased"


async def addresses_are_renewed() -> None:
    with server("rapid", "impatient", "strict=000200abcdef") as (questions, _):
        async with node(asking("duid", "00:02:00:ab:cd:ef")) as (store, _):
            await leased(store)
            granted = store.get(DHCP_LEASE, LEASE).spec.granted
            await soon(lambda: questions.kinds()[-1:] == ["renew"], "a renewal")
            assert questions.all()[-1] == ["renew", "000200abcdef", "fd77::50"]
            await soon(lambda: store.get(DHCP_LEASE, LEASE).spec.granted > granted, "more time")
            assert "fd77::50" in addresses()


async def the_main_document_asks_too() -> None:
    given = yaml.load(generate("lab", "https://10.0.0.1:6443").worker)
    options = {"ipv4": False, "ipv6": True, "duidv6": "000200abcdef", "routeMetric": 88}
    given["machine"]["network"] = {"interfaces": [{"interface": "eth0", "dhcp": True, "dhcpOptions": options}]}
    with server("rapid", "strict=000200abcdef") as (_, _):
        async with node(settings_of(given)) as (store, _):
            await leased(store)
            assert "inet6 fd77::50/128 metric 88 scope global" in addresses()
            assert [each.id for each in store.list(OPERATOR_SPEC)] == ["dhcp6/eth0"]


async def addresses_age_and_end() -> None:
    with server("rapid", "brief") as (questions, _):
        async with node(asking()) as (store, _):
            await leased(store)
            await soon(lambda: "deprecated" in addresses(), "it is not preferred any more")
            assert store.get(DHCP_LEASE, LEASE).spec.addresses[0].deprecated
            await store.wait_for(NODE_ADDRESS, "current", lambda found: found.spec.addresses == ())
            await soon(lambda: "fd77::50" not in addresses(), "it ends")
            assert questions.kinds()[0] == "solicit"
            assert "rebind" in questions.kinds()
            await leased(store)  # and is asked for anew
            await soon(lambda: "deprecated" not in addresses(), "preferred again")


async def a_server_that_refuses() -> None:
    with server("refusing") as (questions, _):
        async with node(asking()) as (store, _):
            await soon(lambda: questions.kinds().count("request") > 1, "asked again")
            assert store.find(DHCP_LEASE, LEASE) is None
            assert addresses() == ""


async def a_server_that_has_nothing() -> None:
    with server("full") as (questions, _):
        async with node(asking()) as (store, _):
            await soon(lambda: questions.kinds()[:2] == ["solicit"] * 2, "asked again")
            assert store.find(DHCP_LEASE, LEASE) is None


async def a_server_that_forgets_is_asked_anew() -> None:
    with server("rapid", "impatient", "forgetful") as (questions, _):
        async with node(asking()) as (store, _):
            await leased(store)
            await soon(lambda: questions.kinds()[:3] == ["solicit", "renew", "request"], "asked for once more")
            await soon(lambda: questions.kinds()[3:4] == ["renew"], "and renewed")
            assert "fd77::50" in addresses()


async def after_the_cable_was_out_addresses_are_confirmed() -> None:
    with server("rapid") as (questions, host):
        async with node(asking()) as (store, _):
            await leased(store)
            await replug(store, host)
            await soon(lambda: "confirm" in questions.kinds(), "asked whether it is still good")
            assert "fd77::50" in addresses()


async def on_another_link_there_are_other_addresses() -> None:
    with server("rapid", "moved") as (questions, host):
        async with node(asking()) as (store, _):
            await leased(store)
            await replug(store, host)
            await soon(lambda: questions.kinds()[1:][-1:] == ["solicit"], "asked anew")
            await leased(store)


async def an_address_of_another_host_is_declined() -> None:
    DETECTION.write_text("1")
    with server("rapid", "pool=fd77::60") as (questions, host):
        ip("addr add fd77::60/64 dev far nodad", host)
        async with node(asking()) as (store, _):
            await leased(store, "fd77::61")
            assert [words[:1] + words[2:] for words in questions.all()][:2] == [["solicit"], ["decline", "fd77::60"]]
            assert "fd77::60" not in addresses()


async def nobody_answers_and_the_node_goes_on() -> None:
    with neighbour(serve=False):
        link = LinkSettings(name="eth0", addresses=("10.77.0.9/24",), dhcp6=DHCP6Settings())
        async with node(NetworkSettings(links=(link,))) as (store, _):
            await store.wait_for(NODE_ADDRESS, "current", lambda found: found.spec.addresses == ("10.77.0.9/24",))
            await asyncio.sleep(2)
            assert store.find(DHCP_LEASE, LEASE) is None


async def a_machine_says_who_it_is() -> None:
    uuid = "00112233-4455-6677-8899-aabbccddeeff"
    with server("rapid", f"strict={make_machine_duid(uuid).hex()}") as (questions, _):
        async with node(asking("none")) as (store, _):
            store.put(SYSTEM_INFORMATION, "systeminformation", SystemInformationSpec(uuid=uuid))
            await leased(store)
            assert questions.all()[-1][1] == make_machine_duid(uuid).hex()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    DETECTION.write_text("0")
    asyncio.run(globals()[sys.argv[1]]())

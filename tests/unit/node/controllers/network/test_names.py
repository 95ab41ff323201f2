"""The host's name, its resolvers, and the files that say both."""

import asyncio
import re

import pytest

from dozen.machinery.effects.files import WriteFile
from dozen.machinery.effects.network import SetHostname
from dozen.machinery.plan import Put
from dozen.machinery.resources.files import ETC_FILE_SPEC, ETC_FILE_STATUS, EtcFileSpec, EtcFileStatusSpec
from dozen.machinery.resources.hardware import SYSTEM_INFORMATION, SystemInformationSpec
from dozen.machinery.resources.network import (
    HARDWARE_ADDRESS,
    HOSTNAME_SPEC,
    HOSTNAME_STATUS,
    NODE_ADDRESS,
    RESOLVER_STATUS,
    TIME_SERVER_SPEC,
    HardwareAddressSpec,
    HostnameSpec,
    HostnameStatusSpec,
    NodeAddressSpec,
    ResolverStatusSpec,
)
from dozen.machinery.resources.operator import DHCP_LEASE, DHCPLease
from dozen.machinery.resources.routing import (
    DNS_RESOLVE_CACHE,
    HOST_DNS_CONFIG,
    DNSResolveCacheSpec,
    HostDNSConfigSpec,
)
from dozen.machinery.resources.settings import (
    NETWORK,
    NETWORK_SETTINGS,
    TIME,
    TIME_SETTINGS,
    HostEntry,
    NetworkSettings,
    TimeSettings,
)
from dozen.node.controllers.network import names
from dozen.node.controllers.network.names import (
    EtcFileController,
    HostnameController,
    HostnameSpecController,
    NameFilesController,
    ResolverController,
    StaticHostController,
    make_hostname,
)
from dozen.node.controllers.network.timeservers import TimeServerController
from dozen.testing.controllers import Bench, PlainView

MACHINE = SystemInformationSpec(uuid="00112233-4455-6677-8899-aabbccddeeff")


def settings(**fields: object) -> PlainView:
    return PlainView((NETWORK_SETTINGS, NETWORK, NetworkSettings(**fields)))  # type: ignore[arg-type]


def hostname(view: PlainView) -> HostnameSpec | None:
    return next((step.spec for step in HostnameSpecController().plan(view) if isinstance(step, Put)), None)  # type: ignore[return-value]


def test_a_default_name_is_stable_and_the_machines_own() -> None:
    assert re.fullmatch("dozen-[a-z0-9]{3}-[a-z0-9]{3}", make_hostname("a"))
    assert make_hostname("a") == make_hostname("a")
    assert len({make_hostname(str(number)) for number in range(200)}) == 200


@pytest.mark.parametrize(
    ("configured", "leased", "expected"),
    [
        ("node1", "node2", HostnameSpec(hostname="node1", layer="configuration")),
        ("node1.example.org", "", HostnameSpec(hostname="node1", domainname="example.org", layer="configuration")),
        ("", "node2", HostnameSpec(hostname="node2", domainname="leased.example", layer="operator")),
        ("", "node2.b.example", HostnameSpec(hostname="node2", domainname="b.example", layer="operator")),
        ("", "", HostnameSpec(hostname=make_hostname(MACHINE.uuid), layer="default")),
    ],
)
def test_who_names_the_host(configured: str, leased: str, expected: HostnameSpec) -> None:
    view = settings(hostname=configured).add(SYSTEM_INFORMATION, "systeminformation", MACHINE)
    view.add(DHCP_LEASE, "eth0", DHCPLease(hostname=leased, domain="leased.example"))
    assert hostname(view) == expected


def test_without_a_uuid_the_first_links_address_decides() -> None:
    view = settings().add(SYSTEM_INFORMATION, "systeminformation", SystemInformationSpec())
    assert hostname(view) is None, "neither is known yet"
    view.add(HARDWARE_ADDRESS, "first", HardwareAddressSpec(hardware_addr="52:54:00:12:34:56"))
    assert hostname(view) == HostnameSpec(hostname=make_hostname("52:54:00:12:34:56"), layer="default")
    assert hostname(settings()) is None, "the firmware has not been asked yet"


def test_the_kernel_is_told_once() -> None:
    view = PlainView((HOSTNAME_SPEC, names.HOSTNAME, HostnameSpec(hostname="a", domainname="b")))
    status = HostnameStatusSpec(hostname="a", domainname="b")
    assert list(HostnameController().plan(view)) == [
        SetHostname("a", "b"),
        Put(HOSTNAME_STATUS, names.HOSTNAME, status),
    ]
    view.add(HOSTNAME_STATUS, names.HOSTNAME, status)
    assert list(HostnameController().plan(view)) == [Put(HOSTNAME_STATUS, names.HOSTNAME, status)]


@pytest.mark.parametrize(
    ("fields", "leased", "layer", "servers", "search"),
    [
        ({}, {}, "default", names.DEFAULT_SERVERS, ("own.example",)),
        ({}, {"dns_servers": ("10.0.2.3",)}, "operator", ("10.0.2.3",), ("own.example",)),
        (
            {"name_servers": ("9.9.9.9",)},
            {"dns_servers": ("10.0.2.3",)},
            "configuration",
            ("9.9.9.9",),
            ("own.example",),
        ),
        ({}, {"domain": "l.example"}, "default", names.DEFAULT_SERVERS, ("l.example", "own.example")),
        (
            {},
            {"domain": "l.example", "search_domains": ("s.example",)},
            "default",
            names.DEFAULT_SERVERS,
            ("s.example", "own.example"),
        ),
        ({"search_domains": ("c.example",)}, {"domain": "l.example"}, "default", names.DEFAULT_SERVERS, ("c.example",)),
        ({"disable_search_domain": True}, {"domain": "l.example"}, "default", names.DEFAULT_SERVERS, ()),
    ],
    ids=["default", "leased", "configured", "leased domain", "leased search", "configured search", "disabled"],
)
def test_resolvers(
    fields: dict[str, object],
    leased: dict[str, object],
    layer: str,
    servers: tuple[str, ...],
    search: tuple[str, ...],
) -> None:
    view = settings(**fields).add(DHCP_LEASE, "eth0", DHCPLease(**leased))  # type: ignore[arg-type]
    view.add(HOSTNAME_STATUS, names.HOSTNAME, HostnameStatusSpec(hostname="a", domainname="own.example"))
    spec, status = (step.spec for step in ResolverController().plan(view))  # type: ignore[union-attr]
    assert (spec.layer, spec.dns_servers, spec.search_domains) == (layer, servers, search)  # type: ignore[attr-defined]
    assert (status.dns_servers, status.search_domains) == (servers, search)  # type: ignore[attr-defined]


def test_the_files() -> None:
    view = settings(hosts=(HostEntry(address="10.9.9.9", names=("registry",)),))
    view.add(RESOLVER_STATUS, names.RESOLVERS, ResolverStatusSpec(dns_servers=("10.0.2.3",)))
    view.add(HOSTNAME_STATUS, names.HOSTNAME, HostnameStatusSpec(hostname="node1"))
    view.add(NODE_ADDRESS, "default", NodeAddressSpec(addresses=("10.0.2.15/24",)))
    files = {step.id: step.spec.contents for step in NameFilesController().plan(view)}  # type: ignore[union-attr]
    assert files["resolv.conf"] == "nameserver 10.0.2.3\n"
    assert "10.0.2.15 node1\n" in files["hosts"]
    assert files["hosts"].endswith("10.9.9.9 registry\n")


def test_each_name_of_the_hosts_file_has_its_addresses() -> None:
    view = settings(hosts=(HostEntry(address="10.9.9.9", names=("registry", "mirror")),))
    assert {step.id for step in StaticHostController().plan(view)} == {"registry", "mirror"}  # type: ignore[union-attr]
    view.add(HOSTNAME_STATUS, names.HOSTNAME, HostnameStatusSpec(hostname="node1", domainname="example.org"))
    view.add(NODE_ADDRESS, "default", NodeAddressSpec(addresses=("10.0.2.15/24", "fd00::5/64")))
    found = {step.id: step.spec.addresses for step in StaticHostController().plan(view)}  # type: ignore[union-attr]
    own = ("10.0.2.15", "fd00::5")
    assert found == {
        "registry": ("10.9.9.9",),
        "mirror": ("10.9.9.9",),
        "node1": own,
        "node1.example.org": own,
    }
    assert list(StaticHostController().plan(PlainView())) == []


def test_a_file_is_written_when_its_text_changed() -> None:
    view = PlainView((ETC_FILE_SPEC, "hosts", EtcFileSpec(contents="text", mode=0o644)))
    done = Put(ETC_FILE_STATUS, "hosts", EtcFileStatusSpec(spec_version="1"))
    assert list(EtcFileController().plan(view)) == [WriteFile("/system/etc/hosts", "text", 0o644), done]
    view.add(ETC_FILE_STATUS, "hosts", EtcFileStatusSpec(spec_version="1"))
    assert list(EtcFileController().plan(view)) == [done]


async def boot() -> list[str]:
    """All of the names together: what is written, in order."""
    controllers = (HostnameSpecController(), HostnameController(), ResolverController(), NameFilesController())
    async with Bench(*controllers, EtcFileController()) as bench:
        bench.put(NETWORK_SETTINGS, NETWORK, NetworkSettings())
        bench.put(SYSTEM_INFORMATION, "systeminformation", MACHINE)
        await bench.settle()
        first = len(bench.effects)
        bench.put(DHCP_LEASE, "eth0", DHCPLease(dns_servers=("10.0.2.3",)))
        await bench.settle()
        return [str(effect).split(" (")[0] for effect in (*bench.effects[:first], *bench.effects[first:])]


def test_names_settle_with_few_writes() -> None:
    name = make_hostname(MACHINE.uuid)
    assert sorted(asyncio.run(boot())) == [
        f"set hostname {name}",
        "write /system/etc/hosts",
        "write /system/etc/resolv.conf",
        "write /system/etc/resolv.conf",
    ]


@pytest.mark.parametrize(
    ("configured", "leased", "layer", "servers"),
    [
        (("a.example",), ("10.0.2.4",), "configuration", ("a.example",)),
        ((), ("10.0.2.4",), "operator", ("10.0.2.4",)),
        ((), (), "default", ("time.cloudflare.com",)),
    ],
)
def test_time_servers(
    configured: tuple[str, ...], leased: tuple[str, ...], layer: str, servers: tuple[str, ...]
) -> None:
    view = PlainView((TIME_SETTINGS, TIME, TimeSettings(servers=configured)))
    view.add(DHCP_LEASE, "eth0", DHCPLease(time_servers=leased))
    spec, status = TimeServerController().plan(view)
    assert isinstance(spec, Put)
    assert isinstance(status, Put)
    assert (spec.kind, spec.spec.layer, spec.spec.time_servers) == (TIME_SERVER_SPEC, layer, servers)  # type: ignore[attr-defined]
    assert status.spec.time_servers == servers  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "controller",
    [
        HostnameSpecController(),
        HostnameController(),
        ResolverController(),
        NameFilesController(),
        TimeServerController(),
    ],
    ids=lambda controller: controller.name,
)
def test_nothing_is_done_before_anything_is_known(controller: HostnameController) -> None:
    assert list(controller.plan(PlainView())) == []


def test_the_node_s_own_dns_server_is_the_name_server_where_it_listens() -> None:
    view = settings()
    view.add(RESOLVER_STATUS, names.RESOLVERS, ResolverStatusSpec(dns_servers=("10.0.2.3",)))
    view.add(HOST_DNS_CONFIG, "config", HostDNSConfigSpec(enabled=True))
    texts = lambda: {  # noqa: E731
        step.id: step.spec.contents  # type: ignore[union-attr]
        for step in NameFilesController().plan(view)
    }
    assert texts() == {"resolv.conf": "nameserver 10.0.2.3\n", "resolv-pods.conf": "nameserver 10.0.2.3\n"}
    view.add(DNS_RESOLVE_CACHE, f"udp-{names.LOCAL_DNS}:53", DNSResolveCacheSpec(status="running"))
    assert texts() == {"resolv.conf": "nameserver 127.0.0.53\n", "resolv-pods.conf": "nameserver 10.0.2.3\n"}
    view.add(DNS_RESOLVE_CACHE, f"udp-{names.POD_DNS}:53", DNSResolveCacheSpec(status="running"))
    assert texts()["resolv-pods.conf"] == "nameserver 169.254.116.108\n"

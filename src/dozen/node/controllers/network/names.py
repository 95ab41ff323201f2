"""Names: this host's own, the servers that resolve others, and the two files by which the C library finds both."""

from __future__ import annotations

from collections.abc import Iterable

from dozen.linux.resolvconf import HOSTS, POD_RESOLV_CONF, RESOLV_CONF, render_hosts, render_resolv_conf
from dozen.machinery.addresses import address_of
from dozen.machinery.effects.files import WriteFile
from dozen.machinery.effects.network import SetHostname
from dozen.machinery.plan import Input, Put, Shared, Step, View
from dozen.machinery.resource import Resource
from dozen.machinery.resources.files import ETC_FILE_SPEC, ETC_FILE_STATUS, EtcFileSpec, EtcFileStatusSpec
from dozen.machinery.resources.hardware import SYSTEM_INFORMATION
from dozen.machinery.resources.network import (
    HARDWARE_ADDRESS,
    HOSTNAME_SPEC,
    HOSTNAME_STATUS,
    NODE_ADDRESS,
    RESOLVER_SPEC,
    RESOLVER_STATUS,
    HostnameSpec,
    HostnameStatusSpec,
    NameServer,
    ResolverSpec,
    ResolverStatusSpec,
)
from dozen.machinery.resources.operator import DHCP_LEASE, DHCPLease
from dozen.machinery.resources.routing import DNS_RESOLVE_CACHE, HOST_DNS_CONFIG, STATIC_HOST, StaticHostSpec
from dozen.machinery.resources.settings import NETWORK, NETWORK_SETTINGS

HOSTNAME, RESOLVERS = "hostname", "resolvers"
DEFAULT_SERVERS = ("1.1.1.1", "8.8.8.8")
NAMES = ("hosts", "resolv.conf")  # without which nobody finds anybody
FILES = {"hosts": HOSTS, "resolv.conf": RESOLV_CONF, "resolv-pods.conf": POD_RESOLV_CONF}
# Where the node's own DNS server listens (`dozen.node.hostdns`): for its own programs, and for pods.
LOCAL_DNS, POD_DNS = "127.0.0.53", "169.254.116.108"
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


class HostnameSpecController:
    """NetworkSettings, DHCPLease, or who the machine is → HostnameSpec: the first of them that has a name."""

    name = "network-hostname-spec"
    inputs = (
        Input(NETWORK_SETTINGS),
        Input(DHCP_LEASE),
        Input(SYSTEM_INFORMATION),
        Input(HARDWARE_ADDRESS),
    )
    outputs = (HOSTNAME_SPEC,)

    def plan(self, view: View) -> Iterable[Step]:
        settings = view.get(NETWORK_SETTINGS, NETWORK)
        if settings is None:
            return  # not yet known
        leased = next((lease.spec for lease in view.list(DHCP_LEASE) if lease.spec.hostname), None)
        if settings.spec.hostname:
            name, domain, layer = settings.spec.hostname, "", "configuration"
        elif leased is not None:
            name, domain, layer = leased.hostname, leased.domain, "operator"
        elif settings.spec.fallback_hostname:
            name, domain, layer = settings.spec.fallback_hostname, "", "platform"
        elif settings.spec.waits_for_hostname:
            return
        else:
            identity = _identity(view)
            if identity is None:
                return  # not yet known either
            name, domain, layer = make_hostname(identity), "", "default"
        host, _, rest = name.partition(".")
        yield Put(HOSTNAME_SPEC, HOSTNAME, HostnameSpec(hostname=host, domainname=rest or domain, layer=layer))


class HostnameController:
    """HostnameSpec → the kernel's name → HostnameStatus."""

    name = "network-hostname"
    inputs = (Input(HOSTNAME_SPEC),)
    outputs = (HOSTNAME_STATUS,)

    def plan(self, view: View) -> Iterable[Step]:
        spec = view.get(HOSTNAME_SPEC, HOSTNAME)
        if spec is None:
            return
        wanted = HostnameStatusSpec(hostname=spec.spec.hostname, domainname=spec.spec.domainname)
        done = view.get(HOSTNAME_STATUS, HOSTNAME)
        if done is None or done.spec != wanted:
            yield SetHostname(wanted.hostname, wanted.domainname)
        yield Put(HOSTNAME_STATUS, HOSTNAME, wanted)


class ResolverController:
    """NetworkSettings, DHCPLease or public servers → ResolverSpec → ResolverStatus."""

    name = "network-resolvers"
    inputs = (Input(NETWORK_SETTINGS), Input(DHCP_LEASE), Input(HOSTNAME_STATUS))
    outputs = (RESOLVER_SPEC, RESOLVER_STATUS)

    def plan(self, view: View) -> Iterable[Step]:
        settings = view.get(NETWORK_SETTINGS, NETWORK)
        if settings is None:
            return  # not yet known
        leases = [lease.spec for lease in view.list(DHCP_LEASE)]
        leased = _unique(server for lease in leases for server in lease.dns_servers)
        if settings.spec.name_servers:
            servers, layer = settings.spec.name_servers, "configuration"
        elif leased:
            servers, layer = leased, "operator"
        else:
            servers, layer = DEFAULT_SERVERS, "default"
        search = settings.spec.search_domains
        if not search and not settings.spec.disable_search_domain:
            search = _search(leases, view.get(HOSTNAME_STATUS, HOSTNAME))
        named = tuple(NameServer(addr=server) for server in servers)
        yield Put(
            RESOLVER_SPEC,
            RESOLVERS,
            ResolverSpec(dns_servers=servers, name_servers=named, layer=layer, search_domains=search),
        )
        status = ResolverStatusSpec(dns_servers=servers, name_servers=named, search_domains=search)
        yield Put(RESOLVER_STATUS, RESOLVERS, status)


class NameFilesController:
    """ResolverStatus, HostnameStatus, NodeAddress, NetworkSettings → the text of resolv.conf and hosts.

    Where the node's own DNS server listens, it is the name server; as long as it does not, those that it would ask are.
    """

    name = "network-name-files"
    inputs = (
        *(Input(RESOLVER_STATUS), Input(HOSTNAME_STATUS), Input(NODE_ADDRESS, "default"), Input(NETWORK_SETTINGS)),
        *(Input(DNS_RESOLVE_CACHE), Input(HOST_DNS_CONFIG)),
    )
    outputs = (Shared(ETC_FILE_SPEC),)

    def plan(self, view: View) -> Iterable[Step]:
        resolvers = view.get(RESOLVER_STATUS, RESOLVERS)
        if resolvers is not None:
            asked = view.get(HOST_DNS_CONFIG, "config")
            pods = (("resolv-pods.conf", POD_DNS),) if asked is not None and asked.spec.enabled else ()
            for file, own in (("resolv.conf", LOCAL_DNS), *pods):
                listening = view.get(DNS_RESOLVE_CACHE, f"udp-{own}:53") is not None
                servers = (own,) if listening else resolvers.spec.dns_servers
                text = render_resolv_conf(servers, resolvers.spec.search_domains)
                yield Put(ETC_FILE_SPEC, file, EtcFileSpec(contents=text, mode=0o644))
        name = view.get(HOSTNAME_STATUS, HOSTNAME)
        settings = view.get(NETWORK_SETTINGS, NETWORK)
        if name is None or settings is None:
            return
        own = view.get(NODE_ADDRESS, "default")
        address = address_of(own.spec.addresses[0]) if own and own.spec.addresses else ""
        extra = [(entry.address, entry.names) for entry in settings.spec.hosts]
        text = render_hosts(name.spec.hostname, name.spec.domainname, address, extra)
        yield Put(ETC_FILE_SPEC, "hosts", EtcFileSpec(contents=text, mode=0o644))


class StaticHostController:
    """NetworkSettings, HostnameStatus, NodeAddress → StaticHost: names of the hosts file and their addresses."""

    name = "network-static-hosts"
    inputs = (Input(HOSTNAME_STATUS), Input(NODE_ADDRESS, "default"), Input(NETWORK_SETTINGS))
    outputs = (STATIC_HOST,)

    def plan(self, view: View) -> Iterable[Step]:
        name, settings = view.get(HOSTNAME_STATUS, HOSTNAME), view.get(NETWORK_SETTINGS, NETWORK)
        if settings is None:
            return
        entries = [(entry.address, entry.names) for entry in settings.spec.hosts]
        own = view.get(NODE_ADDRESS, "default")
        if name is not None and own is not None:
            names = tuple(filter(None, dict.fromkeys((name.spec.hostname, name.spec.fqdn))))
            entries += [(address_of(each), names) for each in own.spec.addresses]
        found: dict[str, list[str]] = {}
        for address, names in entries:
            for each in names:
                found.setdefault(each, []).append(address)
        for host, addresses in found.items():
            yield Put(STATIC_HOST, host, StaticHostSpec(addresses=tuple(dict.fromkeys(addresses))))


class EtcFileController:
    """EtcFileSpec → the file → EtcFileStatus, which says which version of the text the file has."""

    name = "etc-files"
    inputs = (Input(ETC_FILE_SPEC),)
    outputs = (Shared(ETC_FILE_STATUS),)

    def plan(self, view: View) -> Iterable[Step]:
        for spec in view.list(ETC_FILE_SPEC):
            wanted = EtcFileStatusSpec(spec_version=str(spec.metadata.version))
            done = view.get(ETC_FILE_STATUS, spec.id)
            path = FILES.get(spec.id)
            if path is None:
                continue
            if done is None or done.spec != wanted:
                yield WriteFile(path, spec.spec.contents, spec.spec.mode)
            yield Put(ETC_FILE_STATUS, spec.id, wanted)


def make_hostname(identity: str) -> str:
    """A name that stays the same for a machine and is not another one's: ``dozen-abc-123``."""
    import hashlib

    number = int.from_bytes(hashlib.sha256(identity.encode()).digest(), "big")
    letters = ""
    for _ in range(6):
        number, rest = divmod(number, len(LETTERS))
        letters += LETTERS[rest]
    return f"dozen-{letters[:3]}-{letters[3:]}"


def _identity(view: View) -> str | None:
    """What tells this machine from others: its UUID, else the address of its first link; None if still unknown."""
    system = view.get(SYSTEM_INFORMATION, "systeminformation")
    if system is None:
        return None
    if system.spec.uuid:
        return system.spec.uuid
    link = view.get(HARDWARE_ADDRESS, "first")
    return link.spec.hardware_addr if link else None


def _search(leases: list[DHCPLease], name: Resource[HostnameStatusSpec] | None) -> tuple[str, ...]:
    """Search domains that nobody configured: from DHCP, and the host's own."""
    leased = [domain for lease in leases for domain in lease.search_domains or (lease.domain,)]
    own = name.spec.domainname if name else ""
    return _unique(domain for domain in (*leased, own) if domain)


def _unique(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))

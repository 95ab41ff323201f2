"""Documents about the network above the interfaces: names, resolvers, time, probes, firewall, overlay."""

from __future__ import annotations

from typing import Literal

import msgspec

from dozen.machinery.config.model import Document, Json, Model
from dozen.machinery.config.scalars import Duration, Hostname, IpAddress, LinkName, Network, Secret, Url


class BgpImportRoute(Model, frozen=True):
    bgp_instance: str = ""
    prefixes: tuple[str, ...] = ()


class BgpbfdConfig(Model, frozen=True):
    transmit_interval: Duration | None = None
    receive_interval: Duration | None = None
    detect_multiplier: int = 0


class BgpNeighborConfig(Model, frozen=True):
    address: str = ""
    link: LinkName = ""
    peer_asn: int = msgspec.field(name="peerASN", default=0)
    local_asn: int = msgspec.field(name="localASN", default=0)
    passive: bool | None = None
    hold_time: Duration | None = None
    bfd: BgpbfdConfig | None = None


class BGPInstanceConfig(Document, frozen=True):
    name: str
    local_asn: int = msgspec.field(name="localASN")
    vrf: str = ""
    router_id: str = msgspec.field(name="routerID", default="")
    route_source: str = ""
    advertise: tuple[str, ...] = ()
    multipath: bool | None = None
    max_paths: int = 0
    install_routes: bool | None = None
    import_routes: tuple[BgpImportRoute, ...] = ()
    neighbors: tuple[BgpNeighborConfig, ...] = ()


class BlackholeRouteConfig(Document, frozen=True):
    name: str
    metric: int = 0


class NetworkDefaultActionConfig(Document, frozen=True):
    ingress: Literal["accept", "block"] | None = None


class DHCPv4Config(Document, frozen=True):
    name: str
    route_metric: int = 0
    ignore_hostname: bool | None = None
    ignore_routes: bool | None = None
    client_identifier: Literal["none", "mac", "duid"] | None = None
    duid_raw: str = ""


class DHCPv6Config(Document, frozen=True):
    name: str
    route_metric: int = 0
    ignore_hostname: bool | None = None
    client_identifier: Literal["none", "mac", "duid"] | None = None
    duid_raw: str = ""


class HCloudVIPConfig(Document, frozen=True):
    name: str
    link: LinkName = ""
    api_token: Secret = Secret("")


class HostnameConfig(Document, frozen=True):
    auto: Literal["stable", "off"] | None = None
    hostname: Hostname = ""


class HTTPProbeConfig(Document, frozen=True):
    name: str
    url: Url
    interval: Duration | None = None
    failure_threshold: int = 0
    timeout: Duration | None = None


class KubeSpanFiltersConfig(Model, frozen=True):
    endpoints: tuple[str, ...] = ()
    exclude_advertised_networks: tuple[str, ...] = ()


class KubeSpanConfig(Document, frozen=True):
    enabled: bool | None = None
    advertise_kubernetes_networks: bool | None = None
    allow_down_peer_bypass: bool | None = None
    harvest_extra_endpoints: bool | None = None
    mtu: int = 0
    filters: KubeSpanFiltersConfig | None = None


class KubeSpanEndpoints(Document, frozen=True):
    extra_announced_endpoints: tuple[str, ...] = ()


class Layer2VIPConfig(Document, frozen=True):
    name: str
    link: LinkName = ""


class NameserverConfig(Model, frozen=True):
    address: IpAddress = ""
    protocol: Literal["Do53", "DoT", "DoH"] | None = None
    tls_server_name: str = ""


class SearchDomainsConfig(Model, frozen=True):
    domains: tuple[str, ...] = ()
    disable_default: bool | None = None


class HostDnsConfig(Model, frozen=True):
    enabled: bool | None = None
    forward_kube_dns_to_host: bool | None = msgspec.field(name="forwardKubeDNSToHost", default=None)
    resolve_member_names: bool | None = None


class ResolverConfig(Document, frozen=True):
    nameservers: tuple[NameserverConfig, ...] = ()
    search_domains: SearchDomainsConfig | None = None
    host_dns: HostDnsConfig | None = msgspec.field(name="hostDNS", default=None)


class RoutingRuleConfig(Document, frozen=True):
    name: str
    table: str
    src: Network = ""
    dst: Network = ""
    action: int = 0
    iif_name: str = ""
    oif_name: str = ""
    fw_mark: int = 0
    fw_mask: int = 0


class RulePortSelector(Model, frozen=True):
    ports: tuple[Json, ...] = ()
    protocol: Literal["tcp", "udp", "icmp", "icmpv6"] | None = None


class IngressRule(Model, frozen=True):
    subnet: Network = ""
    except_: Network = msgspec.field(name="except", default="")


class NetworkRuleConfig(Document, frozen=True):
    name: str
    port_selector: RulePortSelector | None = None
    ingress: tuple[IngressRule, ...] = ()


class StaticHostConfig(Document, frozen=True):
    name: IpAddress
    hostnames: tuple[Hostname, ...] = ()


class TCPProbeConfig(Document, frozen=True):
    name: str
    endpoint: str
    interval: Duration | None = None
    failure_threshold: int = 0
    timeout: Duration | None = None


class NtpConfig(Model, frozen=True):
    servers: tuple[str, ...] = ()
    use_nts: bool | None = msgspec.field(name="useNTS", default=None)


class PtpConfig(Model, frozen=True):
    devices: tuple[str, ...] = ()


class TimeSyncConfig(Document, frozen=True):
    enabled: bool | None = None
    boot_timeout: Duration | None = None
    ntp: NtpConfig | None = None
    ptp: PtpConfig | None = None

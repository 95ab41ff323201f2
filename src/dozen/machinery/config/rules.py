"""Rules that span fields or documents, checked when every field by itself is right.

Each rule is a generator of complaints about one subject; `check` runs them all and puts lines to the paths.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from dozen.machinery.config.problems import Problem
from dozen.machinery.yaml import MapNode, Node, SeqNode

if TYPE_CHECKING:
    from dozen.machinery.config.documents.links import LinkFields
    from dozen.machinery.config.documents.links import WireguardPeer as DocumentPeer
    from dozen.machinery.config.links import Interface, WireguardPeer
    from dozen.machinery.config.loading import Config
    from dozen.machinery.config.machine import Machine

Complaint = tuple[str, str]
"""Path in the v1alpha1 document, and what is wrong there."""


def check(config: Config) -> list[Problem]:
    problems: list[Problem] = []
    if config.main is not None and config.main_node is not None:
        for rule in _MAIN_RULES:
            problems += [Problem(path, line_of(config.main_node, path), words) for path, words in rule(config)]
    for part in config.parts:
        part_rule = _PART_RULES.get(part.kind, _nothing)
        problems += [Problem(path, line_of(part.node, path), words) for path, words in part_rule(part.model)]
    return problems


def line_of(root: Node, path: str) -> int:
    """The line of a path's last part that is there. Paths are those of `decode`: ``a.b[0].c["d.e"]``."""
    node, line = root, root.line
    for step in _steps(path):
        if isinstance(node, SeqNode) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
            line = node.line
        elif isinstance(node, MapNode) and isinstance(step, str) and step in node.items:
            line, node = node.keys[step], node.items[step]
        else:
            break
    return line


def _steps(path: str) -> Iterator[str | int]:
    """Names of fields, keys of maps and indexes of lists, from the outside in."""
    while path:
        if path.startswith('["'):
            key, _, path = path[2:].partition('"]')
            yield key
        elif path.startswith("["):
            index, _, path = path[1:].partition("]")
            yield int(index)
        else:
            size = min((at for at in (path.find("."), path.find("[")) if at >= 0), default=len(path))
            yield path[:size]
            path = path[size:]
        path = path.removeprefix(".")


def _identity(config: Config) -> Iterator[Complaint]:
    machine = _machine(config)
    if not machine.token:
        yield "machine.token", "is required: nodes of a cluster know each other by it"
    if not machine.ca.crt:
        yield "machine.ca.crt", "is required: clients and nodes are verified with it"
        return
    if config.machine_type == "controlplane" and not machine.ca.key:
        yield "machine.ca.key", "is required on a control plane: it signs the certificates of the other machines"
    if config.machine_type == "worker" and machine.ca.key:
        yield "machine.ca.key", "does not belong on a worker: whoever has it can become any node"
    yield from _authority("machine.ca.crt", machine.ca.crt)
    for at, accepted in enumerate(machine.accepted_cas):
        yield from _authority(f"machine.acceptedCAs[{at}].crt", accepted.crt)


def _authority(path: str, pem: str) -> Iterator[Complaint]:
    from dozen.machinery.pki import PkiError, certificate

    try:
        if not certificate(pem).is_ca:
            yield path, "is not a CA certificate"
    except PkiError as error:
        yield path, str(error)


def _endpoint(config: Config) -> Iterator[Complaint]:
    assert config.cluster is not None
    endpoint = config.cluster.control_plane.endpoint
    if endpoint and not endpoint.startswith("https://"):
        yield "cluster.controlPlane.endpoint", f'expected an https URL, found "{endpoint}"'
    if not endpoint and not any(part.kind == "KubeClusterConfig" for part in config.parts):
        yield "cluster.controlPlane.endpoint", "is required, here or in a KubeClusterConfig document"
    port = config.cluster.control_plane.local_api_server_port
    if not 0 < port < 65536:
        yield "cluster.controlPlane.localAPIServerPort", f"expected a port from 1 to 65535, found {port}"


def _subnets(config: Config) -> Iterator[Complaint]:
    from dozen.machinery.config.scalars import network_bounds

    assert config.cluster is not None
    network = config.cluster.network
    for at, text in enumerate(network.pod_subnets):
        for other in network.service_subnets:
            mine, theirs = network_bounds(text), network_bounds(other)
            if mine and theirs and mine[2] == theirs[2] and mine[0] <= theirs[1] and theirs[0] <= mine[1]:
                yield f"cluster.network.podSubnets[{at}]", f"{text} overlaps the service subnet {other}"
    if network.cni.urls and network.cni.name != "custom":
        yield "cluster.network.cni.urls", 'are used only with name "custom"'
    if network.cni.name == "custom" and not network.cni.urls:
        yield "cluster.network.cni.urls", 'is required with name "custom"'


def _install(config: Config) -> Iterator[Complaint]:
    install = _machine(config).install
    if install and install.disk and install.disk_selector:
        yield "machine.install.diskSelector", "and disk are two ways to say the same; keep one"
    if install and install.disk_selector:
        from dozen.machinery.config.disk_choice import complaints

        for field, words in complaints(install.disk_selector):
            yield f"machine.install.diskSelector{'.' if field else ''}{field}", words


def _parameters(config: Config) -> Iterator[Complaint]:
    for kind, params in (("sysctls", _machine(config).sysctls), ("sysfs", _machine(config).sysfs)):
        for name in params:
            if name.startswith(("/", ".")) or ".." in name or not name.isprintable() or " " in name:
                yield f"machine.{kind}", f'"{name}" is not a name of a kernel parameter'


def _modules(config: Config) -> Iterator[Complaint]:
    for at, module in enumerate(_machine(config).kernel.modules):
        if not module.name.replace("_", "").replace("-", "").isalnum():
            yield f"machine.kernel.modules[{at}].name", f'"{module.name}" is not a name of a kernel module'


def _interfaces(config: Config) -> Iterator[Complaint]:
    interfaces = _machine(config).network.interfaces
    seen = Counter(each.interface for each in interfaces if each.interface)
    for at, each in enumerate(interfaces):
        path = f"machine.network.interfaces[{at}]"
        if bool(each.interface) == bool(each.device_selector):
            yield path, "needs either interface or deviceSelector"
        if seen[each.interface] > 1:
            yield f"{path}.interface", f'"{each.interface}" is configured more than once'
        for words, field in _interface(each):
            yield f"{path}.{field}" if field else path, words


def _interface(each: Interface) -> Iterator[tuple[str, str]]:
    made_of = [name for name in ("bond", "bridge", "wireguard") if getattr(each, name)] + ["dummy"] * each.dummy
    if len(made_of) > 1:
        yield f"cannot be {' and '.join(made_of)} at once", ""
    if each.mtu and not 68 <= each.mtu <= 65536:
        yield f"expected an MTU from 68 to 65536, found {each.mtu}", "mtu"
    for at, route in enumerate(each.routes):
        if not route.network and not route.gateway:
            yield "needs a network or a gateway", f"routes[{at}]"
        elif route.gateway and route.network and (":" in route.gateway) != (":" in route.network):
            yield "is of another address family than the network", f"routes[{at}].gateway"
    vlans = Counter(vlan.vlan_id for vlan in each.vlans)
    for at, vlan in enumerate(each.vlans):
        if not 0 < vlan.vlan_id < 4095:
            yield f"expected a VLAN from 1 to 4094, found {vlan.vlan_id}", f"vlans[{at}].vlanId"
        elif vlans[vlan.vlan_id] > 1:
            yield f"VLAN {vlan.vlan_id} is there more than once", f"vlans[{at}].vlanId"
    yield from _wireguard(each)
    if each.bond and not (each.bond.interfaces or each.bond.device_selectors):
        yield "needs interfaces or deviceSelectors", "bond"


def _wireguard(each: Interface) -> Iterator[tuple[str, str]]:
    if each.wireguard is None:
        return
    if not _is_key(each.wireguard.private_key.reveal()):
        yield "expected a key of 32 bytes in base64", "wireguard.privateKey"
    for at, peer in enumerate(each.wireguard.peers):
        yield from ((words, f"wireguard.peers[{at}].{field}") for field, words in _peer(peer))


def _twice_said(config: Config) -> Iterator[Complaint]:
    """Fields that a document has replaced must not be there beside that document."""
    machine = _machine(config)
    kinds = {part.kind for part in config.parts}
    pairs = (
        (machine.network.hostname, "machine.network.hostname", "HostnameConfig"),
        (machine.install, "machine.install", "UnattendedInstall"),
        (machine.network.nameservers, "machine.network.nameservers", "ResolverConfig"),
        (machine.time.servers or machine.time.disabled is not None, "machine.time", "TimeSyncConfig"),
    )
    for value, path, kind in pairs:
        if value and kind in kinds:
            yield path, f"is said again by the {kind} document; keep one of them"


def _nothing(_: object) -> Iterable[Complaint]:
    return ()


def _hostname_document(model: object) -> Iterator[Complaint]:
    from dozen.machinery.config.documents.network import HostnameConfig

    assert isinstance(model, HostnameConfig)
    if model.auto == "stable" and model.hostname:
        yield "auto", "cannot be stable when a hostname is given"
    if model.auto is None and not model.hostname:
        yield "hostname", "needs a value, or auto needs one"


def _link_document(model: object) -> Iterator[Complaint]:
    from dozen.machinery.config.documents.links import LinkFields

    assert isinstance(model, LinkFields)
    yield from _link_fields(model)
    if isinstance(peer := getattr(model, "peer", None), LinkFields):
        yield from ((f"peer.{field}", words) for field, words in _link_fields(peer))
    yield from _logical_document(model)


def _link_fields(model: LinkFields) -> Iterator[Complaint]:
    if model.mtu and not 68 <= model.mtu <= 65536:
        yield "mtu", f"expected an MTU from 68 to 65536, found {model.mtu}"
    for at, address in enumerate(model.addresses):
        if not address.address:
            yield f"addresses[{at}].address", "is required"
    for at, route in enumerate(model.routes):
        if not route.destination and not route.gateway:
            yield f"routes[{at}]", "needs a destination or a gateway"
        if route.table and not is_table(route.table):
            yield f"routes[{at}].table", f'expected main, local, default or a number, found "{route.table}"'


def _logical_document(model: object) -> Iterator[Complaint]:
    """What documents about links made of software have of their own."""
    if isinstance(vlan := getattr(model, "vlan_id", None), int) and not 0 < vlan < 4095:
        yield "vlanID", f"expected a VLAN from 1 to 4094, found {vlan}"
    table = getattr(model, "table", None)
    if isinstance(table, str) and not is_table(table):
        yield "table", f'expected the number of a routing table, found "{table}"'
    key = getattr(model, "private_key", None)
    if key is not None and not _is_key(key.reveal()):
        yield "privateKey", "expected a key of 32 bytes in base64"
    for at, peer in enumerate(getattr(model, "peers", ())):
        yield from ((f"peers[{at}].{field}", words) for field, words in _peer(peer))


def _peer(peer: WireguardPeer | DocumentPeer) -> Iterator[Complaint]:
    if not _is_key(peer.public_key):
        yield "publicKey", "expected a key of 32 bytes in base64"
    shared = getattr(peer, "preshared_key", None)
    if shared and not _is_key(shared.reveal()):
        yield "presharedKey", "expected a key of 32 bytes in base64"
    host, colon, port = peer.endpoint.rpartition(":")
    if peer.endpoint and not (host and colon and port.isdecimal() and 0 < int(port) < 65536):
        yield "endpoint", f'expected host:port like 192.0.2.1:51820, found "{peer.endpoint}"'


def _is_key(text: str) -> bool:
    from binascii import Error, a2b_base64

    try:
        return len(a2b_base64(text, strict_mode=True)) == 32
    except (Error, ValueError):
        return False


def is_table(text: str) -> bool:
    return text in ("main", "local", "default") or (text.isdecimal() and 0 < int(text) < 1 << 32)


def _kubernetes(config: Config) -> Iterator[Complaint]:
    from dozen.machinery.config.rules_kubernetes import check_cluster

    yield from check_cluster(config)


def _later(module: str, function: str) -> Callable[[object], Iterable[Complaint]]:
    """Rules of documents that most configurations have none of: they are loaded for the first one."""

    def rule(model: object) -> Iterable[Complaint]:
        from importlib import import_module

        found: Iterable[Complaint] = getattr(import_module(f"dozen.machinery.config.{module}"), function)(model)
        return found

    return rule


def _host(config: Config) -> Iterator[Complaint]:
    from dozen.machinery.config.rules_host import check_host

    yield from check_host(config)


def _machine(config: Config) -> Machine:
    assert config.machine is not None
    return config.machine


_MAIN_RULES: tuple[Callable[[Config], Iterable[Complaint]], ...] = (
    _identity,
    _endpoint,
    _subnets,
    _install,
    _host,
    _parameters,
    _modules,
    _interfaces,
    _twice_said,
    _kubernetes,
)
_HOST_DOCUMENTS = (
    *("CRICustomizationConfig", "EnvironmentConfig", "EtcFileConfig", "EventSinkConfig", "KmsgLogConfig"),
    *("HTTPProbeConfig", "TCPProbeConfig", "TrustedRootsConfig", "WatchdogTimerConfig", "ZswapConfig"),
)
_PART_RULES: dict[str, Callable[[object], Iterable[Complaint]]] = {
    "BlackholeRouteConfig": _later("rules_network", "check_blackhole_document"),
    "DHCPv4Config": _later("rules_network", "check_lease_document"),
    "DHCPv6Config": _later("rules_network", "check_lease_document"),
    "EthernetConfig": _later("rules_host", "check_ethernet_document"),
    "HostnameConfig": _hostname_document,
    "KubeNetworkConfig": _later("rules_kubernetes", "check_network_document"),
    "KubeNodeConfig": _later("rules_kubernetes", "check_node_document"),
    "KubeTalosAPIAccessConfig": _later("rules_kubernetes", "check_access_document"),
    "Layer2VIPConfig": _later("rules_network", "check_virtual_document"),
    "LinkAliasConfig": _later("rules_expressions", "check_alias_document"),
    "NetworkRuleConfig": _later("rules_network", "check_firewall_document"),
    "OOMConfig": _later("rules_expressions", "check_oom_document"),
    "RoutingRuleConfig": _later("rules_network", "check_rule_document"),
    **dict.fromkeys(_HOST_DOCUMENTS, _later("rules_host", "check_host_document")),
    **dict.fromkeys(
        (
            *("LinkConfig", "BondConfig", "BridgeConfig", "DummyLinkConfig", "VLANConfig"),
            *("VRFConfig", "VethConfig", "WireguardConfig"),
        ),
        _link_document,
    ),
}

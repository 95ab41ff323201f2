"""What this node does with each field of a configuration, as data; and the warnings that follow.

A field that is accepted and then ignored is a promise that is not kept, so whoever applies a configuration is told.
Paths have no indexes or keys of maps. The longest path that a field's own begins with decides about it; in documents
beside the v1alpha1 one the path begins with the kind and a colon. ``docs/configuration.md`` is generated from this
table.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from dozen.machinery.config.loading import Config
from dozen.machinery.yaml import MapNode, Node, Scalar, SeqNode


class State(Enum):
    """``IDLE``: there is nothing for the node to do about it. ``ALWAYS``: a switch that stays on, as is told to whoever
    turns it off. ``REFUSED``: a configuration with it is not taken. ``IGNORED``: what it asks for is not done."""

    USED = "used"
    IDLE = "nothing to do"
    ALWAYS = "always on"
    REFUSED = "refused"
    IGNORED = "ignored"


class Support(NamedTuple):
    state: State
    note: str = ""


_USED = Support(State.USED)


def _ignored(note: str) -> Support:
    return Support(State.IGNORED, note)


def _idle(note: str) -> Support:
    return Support(State.IDLE, note)


_NO_CLOUD_VIP = _ignored("a cloud is not told that an address has moved; Layer2VIPConfig moves it on a link")
_NO_ENCRYPTION = _ignored("volumes are not encrypted")
_NO_DISCOVERY = _ignored("members of a cluster are not looked up in a discovery service")
_NO_KUBESPAN = _ignored("there is no encrypted network between nodes")
_NO_SERVICE = _idle("for a discovery service, and there is none")
_INSTALLED = _idle("read when the system is installed to a disk")
_NOT_INSTALLED = _ignored("the system is not installed to a disk by the node itself")
_ALWAYS = Support(State.ALWAYS)
_NO_MAPPINGS = _ignored("the kubelet sees the owners of files as they are on the node")
_NO_PROVIDERS = _ignored("the image has no programs that give credentials: use machine.registries")
_NO_VOLUMES = _ignored("only META, STATE and EPHEMERAL are kept, on one disk")

_VARIABLES = Support(State.USED, "by services when they start, by downloads at once; not PATH and what loads code")
_ACCESS = Support(State.USED, "on control planes")
_PRISM = Support(State.USED, "by the kubelet, kube-proxy and flannel")

SUPPORT: dict[str, Support] = {
    "version": _USED,
    "debug": Support(State.USED, "more is logged, and services' logs are on the console too"),
    "persist": Support(State.ALWAYS, "a configuration is kept wherever there is a disk for it"),
    "machine": _USED,
    "machine.network.interfaces.bond.adActorSystem": _ignored("the bond's own address is the actor's"),
    "machine.network.kubespan": _NO_KUBESPAN,
    "machine.disks": _NO_VOLUMES,
    "machine.install": _INSTALLED,
    "machine.install.disk": Support(State.USED, "the disk for META, STATE and EPHEMERAL"),
    "machine.install.diskSelector": Support(State.USED, "the first disk that it fits, for the same"),
    "machine.install.diskSelector.name": Support(State.REFUSED, "not known of disks here; there are model and serial"),
    "machine.install.extraKernelArgs": _NOT_INSTALLED,
    "machine.install.wipe": _NOT_INSTALLED,
    "machine.install.legacyBIOSSupport": _NOT_INSTALLED,
    "machine.install.extensions": _ignored("an image holds what its recipes list"),
    "machine.files": Support(State.USED, "below /var, and changes of files in /etc; not the node's own"),
    "machine.env": _VARIABLES,
    "machine.systemDiskEncryption": _NO_ENCRYPTION,
    "machine.features": _idle("switches of features that are there or not"),
    "machine.features.rbac": _ALWAYS,
    "machine.features.apidCheckExtKeyUsage": _ALWAYS,
    "machine.features.diskQuotaSupport": _ALWAYS,
    "machine.features.kubernetesTalosAPIAccess": _ACCESS,
    "machine.features.kubePrism": _PRISM,
    "machine.features.hostDNS": Support(State.USED, "on 127.0.0.53, and for pods on 169.254.116.108"),
    "machine.features.imageCache.localEnabled": Support(State.ALWAYS, "an image cache is used when there is one"),
    "machine.features.nodeAddressSortAlgorithm": _USED,
    "machine.kubelet.disableManifestsDirectory": Support(
        State.USED, "on workers; a control plane's own pods are handed over in that directory"
    ),
    "machine.kubelet.credentialProviderConfig": _NO_PROVIDERS,
    "machine.kubelet.extraMounts.uidMappings": _NO_MAPPINGS,
    "machine.kubelet.extraMounts.gidMappings": _NO_MAPPINGS,
    "machine.logging.destinations.format": _idle("there is one format, json_lines"),
    "machine.network.interfaces.vip": Support(State.USED, "by ARP and neighbour discovery on the link"),
    "machine.network.interfaces.vip.equinixMetal": _NO_CLOUD_VIP,
    "machine.network.interfaces.vip.hcloud": _NO_CLOUD_VIP,
    "machine.network.interfaces.vlans.vip.equinixMetal": _NO_CLOUD_VIP,
    "machine.network.interfaces.vlans.vip.hcloud": _NO_CLOUD_VIP,
    "cluster.network.cni.flannel.kubeNetworkPoliciesEnabled": _ignored("network policies are not enforced"),
    "cluster": _USED,
    "cluster.secret": _NO_SERVICE,
    "cluster.discovery.enabled": Support(State.USED, "members are the Nodes that Kubernetes lists"),
    "cluster.discovery.registries.kubernetes": _idle("members are the Nodes that Kubernetes lists"),
    "cluster.discovery.registries.kubernetes.disabled": _ignored("members are the Nodes that Kubernetes lists"),
    "cluster.discovery.registries.service.disabled": _idle("there is no discovery service"),
    "cluster.discovery.registries.service.endpoint": _NO_DISCOVERY,
    "cluster.apiServer.disablePodSecurityPolicy": _idle("Kubernetes has no such policies any more"),
    "cluster.externalCloudProvider": Support(State.USED),
    # Documents.
    "BGPInstanceConfig:": _ignored("routes are not exchanged"),
    "BlackholeRouteConfig:": _USED,
    "BondConfig:": _USED,
    "BridgeConfig:": _USED,
    "CRIBaseRuntimeSpecConfig:": _USED,
    "CRICustomizationConfig:": Support(State.USED, "laid over containerd's configuration, which is of version 2"),
    "ContainerConfig:": _ignored("only Kubernetes starts containers"),
    "DHCPv4Config:": _USED,
    "DHCPv6Config:": _USED,
    "DiscoveryIdentityConfig:": _USED,
    "DiscoveryIdentityConfig:clusterSecret": _NO_SERVICE,
    "DiscoveryServiceConfig:": _NO_DISCOVERY,
    "DummyLinkConfig:": _USED,
    "EnvironmentConfig:": _VARIABLES,
    "EtcFileConfig:": Support(State.USED, "except for files that the node itself writes"),
    "EthernetConfig:": Support(State.USED, "for physical links, as far as their drivers take it"),
    "EventSinkConfig:": _USED,
    "ExistingVolumeConfig:": _NO_VOLUMES,
    "ExtensionServiceConfig:": _ignored("an image holds what its recipes list"),
    "ExternalVolumeConfig:": _NO_VOLUMES,
    "FilesystemScrubConfig:": _ignored("file systems are repaired when they do not mount"),
    "FilesystemTrimConfig:": Support(State.USED, "for the volumes of the system"),
    "HCloudVIPConfig:": _NO_CLOUD_VIP,
    "HTTPProbeConfig:": _USED,
    "HostnameConfig:": _USED,
    "ImageCacheConfig:": _idle("about the image cache"),
    "ImageCacheConfig:local.enabled": Support(State.ALWAYS, "an image cache is used when there is one"),
    "KernelModuleConfig:": _USED,
    "KmsgLogConfig:": _USED,
    "KubePrismConfig:": _PRISM,
    "KubeSpanConfig:": _NO_KUBESPAN,
    "KubeSpanEndpoints:": _NO_KUBESPAN,
    "KubeTalosAPIAccessConfig:": _ACCESS,
    "LVMLogicalVolumeConfig:": _NO_VOLUMES,
    "LVMVolumeGroupConfig:": _NO_VOLUMES,
    "KubeCredentialProviderConfig:": _NO_PROVIDERS,
    "KubeFlannelCNIConfig:kubeNetworkPoliciesEnabled": _ignored("network policies are not enforced"),
    "Layer2VIPConfig:": _USED,
    "LinkAliasConfig:": Support(State.USED, "for physical links; expressions without regular expressions"),
    "LinkConfig:": _USED,
    "NetworkDefaultActionConfig:": _USED,
    "NetworkRuleConfig:": _USED,
    "OOMConfig:": Support(State.USED, "pods and services but containerd, apid, the kubelet and etcd; none scored 0"),
    "PCIDriverRebindConfig:": Support(State.USED, "with drivers that the image has"),
    "RAIDArrayConfig:": _NO_VOLUMES,
    "RawVolumeConfig:": _NO_VOLUMES,
    "RegistryAuthConfig:": _USED,
    "RegistryMirrorConfig:": _USED,
    "RegistryTLSConfig:": _USED,
    "ResolverConfig:": _USED,
    "ResolverConfig:nameservers.protocol": _ignored("names are asked for by plain DNS"),
    "ResolverConfig:nameservers.tlsServerName": _ignored("names are asked for by plain DNS"),
    "RoutingRuleConfig:": _USED,
    "SecurityProfileConfig:": _ignored("there is one profile"),
    "SideroLinkConfig:": _ignored("nodes are reached by their API only"),
    "StaticHostConfig:": _USED,
    "SwapVolumeConfig:": _NO_VOLUMES,
    "SysctlConfig:": _USED,
    "SysfsConfig:": _USED,
    "TCPProbeConfig:": _USED,
    "TimeSyncConfig:": _USED,
    "TimeSyncConfig:ntp.useNTS": _ignored("time servers are asked by plain NTP"),
    "TimeSyncConfig:ptp": _ignored("time comes from NTP servers"),
    "TrustedRootsConfig:": Support(State.USED, "by containerd, the kubelet and the node; pods bring their own"),
    "UdevRulesConfig:": _USED,
    "UnattendedInstall:": _INSTALLED,
    "UserVolumeConfig:": _NO_VOLUMES,
    "VLANConfig:": _USED,
    "VRFConfig:": _USED,
    "VethConfig:": _USED,
    "VolumeConfig:": _NO_VOLUMES,
    "WatchdogTimerConfig:": _USED,
    "WireguardConfig:": _USED,
    "ZswapConfig:": _ignored("the image's kernel has no zswap"),
}
# Kinds about Kubernetes, of which the components take notice.
SUPPORT |= {
    f"Kube{name}:": _USED
    for name in (
        "AdmissionControlConfig",
        "AggregatorCAConfig",
        "APIServerConfig",
        "APIServerCAConfig",
        "AuditPolicyConfig",
        "AuthenticationConfig",
        "AuthorizerConfig",
        "ClusterConfig",
        "ControllerManagerConfig",
        "CoreDNSConfig",
        "EtcdEncryptionConfig",
        "ExternalManifestConfig",
        "FlannelCNIConfig",
        "InlineManifestConfig",
        "letConfig",
        "NetworkConfig",
        "NodeConfig",
        "ProxyConfig",
        "SchedulerConfig",
        "ServiceAccountConfig",
        "StaticPodConfig",
    )
}


# Arguments of programs, some of which are the node's to decide (`dozen.machinery.kubernetes.arguments.FIXED`).
ARGUMENTS = {
    "cluster.apiServer.extraArgs": "kube-apiserver",
    "cluster.controllerManager.extraArgs": "kube-controller-manager",
    "cluster.scheduler.extraArgs": "kube-scheduler",
    "cluster.etcd.extraArgs": "etcd",
    "machine.kubelet.extraArgs": "kubelet",
    "KubeAPIServerConfig:extraArgs": "kube-apiserver",
    "KubeControllerManagerConfig:extraArgs": "kube-controller-manager",
    "KubeSchedulerConfig:extraArgs": "kube-scheduler",
    "KubeletConfig:extraArgs": "kubelet",
}
SUPPORT |= {
    path: Support(State.USED, "except for what the node decides: names, files, addresses") for path in ARGUMENTS
}


# Settings of the kubelet that are laid over its configuration and do nothing here: it would be told of the machine's
# end by logind, which is not there. Pods are ended by `dozen.node.pods`, within bounds of `dozen.node.tasks.stopping`.
KUBELET_SETTINGS = ("machine.kubelet.extraConfig", "KubeletConfig:config")
GRACE_PERIODS = ("shutdownGracePeriod", "shutdownGracePeriodCriticalPods", "shutdownGracePeriodByPodPriority")
GRACE_NOTE = "when the machine ends pods have 20 s, critical ones 10 s more, the lower priority first"


def support_of(path: str) -> Support | None:
    """What is done with a field; None for one that nothing in the table is about."""
    kind, colon, rest = path.rpartition(":")
    steps = rest.split(".") if rest else []
    for count in range(len(steps), -1, -1):
        found = SUPPORT.get(f"{kind}{colon}{'.'.join(steps[:count])}")
        if found is not None:
            return found
    return None


def warnings(config: Config) -> list[str]:
    """One line for each field that is set and ignored, with its line, in the order of the text."""
    found: dict[str, tuple[int, str]] = {}
    documents = [("", config.main_node)] if config.main_node else []
    for kind, node in [*documents, *((f"{part.kind}:", part.node) for part in config.parts)]:
        for path, line in _ignored_fields(node, kind):
            support = support_of(path)
            assert support is not None
            note = support.note or "it is always on"
            found.setdefault(path, (line, f"{path.rstrip(':')} (line {line}) is ignored: {note}"))
        for path, line in (*_decided_arguments(node, kind), *_decided_variables(node, kind)):
            found[path] = line, f"{path} (line {line}) is ignored: the node decides it"
        for path, line in _grace_periods(node, kind):
            found[path] = line, f"{path} (line {line}) is ignored: {GRACE_NOTE}"
    return [words for _, words in sorted(found.values())]


def _ignored_fields(node: MapNode, kind: str) -> Iterator[tuple[str, int]]:
    if (whole := SUPPORT.get(kind)) is not None and whole.state is State.IGNORED:
        yield kind, node.line
        return
    yield from _walk(node, kind)


def _decided_arguments(document: MapNode, kind: str) -> Iterator[tuple[str, int]]:
    """Arguments that are set and not the configuration's to set, with lines."""
    from dozen.machinery.kubernetes.arguments import FIXED

    for path, program in ARGUMENTS.items():
        node = _find(document, path, kind)
        if isinstance(node, MapNode):
            yield from ((f'{path}["{name}"]', node.keys[name]) for name in node.items if name in FIXED[program])


def _decided_variables(document: MapNode, kind: str) -> Iterator[tuple[str, int]]:
    """Variables that are set and that services do not get, with lines."""
    from dozen.machinery.config.host import is_own_variable

    for path in ("machine.env", "EnvironmentConfig:variables"):
        node = _find(document, path, kind)
        if isinstance(node, MapNode):
            yield from ((f'{path}["{name}"]', node.keys[name]) for name in node.items if is_own_variable(name))


def _grace_periods(document: MapNode, kind: str) -> Iterator[tuple[str, int]]:
    """Grace periods of the kubelet that are set, with lines."""
    for path in KUBELET_SETTINGS:
        node = _find(document, path, kind)
        if isinstance(node, MapNode):
            yield from ((f"{path}.{name}", node.keys[name]) for name in GRACE_PERIODS if name in node.items)


def _find(document: MapNode, path: str, kind: str) -> Node | None:
    """What stands at a path of `SUPPORT` in a document of a kind (the v1alpha1 one: none)."""
    if not path.startswith(kind) or (":" in path and not kind):
        return None
    node: Node | None = document
    for step in path.removeprefix(kind).split("."):
        node = node.items.get(step) if isinstance(node, MapNode) else None
    return node


def _walk(node: Node, path: str) -> Iterator[tuple[str, int]]:
    """Paths in the table that are set, outermost first, with lines."""
    if isinstance(node, SeqNode):
        for each in node.items:
            yield from _walk(each, path)
    elif isinstance(node, MapNode):
        for key, value in node.items.items():
            inner = f"{path}{key}" if not path or path.endswith(":") else f"{path}.{key}"
            entry = SUPPORT.get(inner)
            if entry is not None and entry.state is State.IGNORED:
                if _is_set(value):
                    yield inner, node.keys[key]
            elif entry is not None and entry.state is State.ALWAYS:
                if isinstance(value, Scalar) and value.text in _OFF:
                    yield inner, node.keys[key]
            elif any(other.startswith(inner + ".") for other in SUPPORT):
                yield from _walk(value, inner)


_OFF = ("false", "no", "off")


def _is_set(node: Node) -> bool:
    """Whether a value asks for something: false, empty and null ones do not."""
    if isinstance(node, Scalar):
        return not node.null and node.text not in ("", "0", *_OFF)
    assert isinstance(node, (MapNode, SeqNode))
    values = node.items.values() if isinstance(node, MapNode) else node.items
    return any(_asks(value) for value in values)


def _asks(node: Node) -> bool:
    if isinstance(node, Scalar):
        return not node.null and node.text not in _OFF
    return _is_set(node)

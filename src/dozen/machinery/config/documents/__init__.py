"""The documents that a configuration may hold beside the v1alpha1 one, by kind.

Each kind's model has the kind's name and lives in the module given here, which is imported when such a document is met:
a node pays only for the documents that its configuration has.
"""

from __future__ import annotations

import importlib

from dozen.machinery.config.model import Document

KINDS: dict[str, str] = {
    kind: module
    for module, kinds in {
        "block": (
            "ExistingVolumeConfig",
            "ExternalVolumeConfig",
            "FilesystemTrimConfig",
            "FilesystemScrubConfig",
            "RawVolumeConfig",
            "SwapVolumeConfig",
            "UserVolumeConfig",
            "VolumeConfig",
            "ZswapConfig",
        ),
        "cluster": (
            "DiscoveryIdentityConfig",
            "DiscoveryServiceConfig",
        ),
        "container": ("ContainerConfig",),
        "cri": (
            "CRIBaseRuntimeSpecConfig",
            "CRICustomizationConfig",
            "ImageCacheConfig",
            "RegistryAuthConfig",
            "RegistryMirrorConfig",
            "RegistryTLSConfig",
        ),
        "extensions": ("ExtensionServiceConfig",),
        "hardware": ("PCIDriverRebindConfig",),
        "k8s": (
            "KubeAdmissionControlConfig",
            "KubeAggregatorCAConfig",
            "KubeAPIServerConfig",
            "KubeAPIServerCAConfig",
            "KubeAuditPolicyConfig",
            "KubeAuthenticationConfig",
            "KubeAuthorizerConfig",
            "KubeClusterConfig",
            "KubeControllerManagerConfig",
            "KubeCoreDNSConfig",
            "KubeCredentialProviderConfig",
            "KubeEtcdEncryptionConfig",
            "KubeExternalManifestConfig",
            "KubeFlannelCNIConfig",
            "KubeInlineManifestConfig",
            "KubeletConfig",
            "KubePrismConfig",
            "KubeNetworkConfig",
            "KubeNodeConfig",
            "KubeProxyConfig",
            "KubeSchedulerConfig",
            "KubeServiceAccountConfig",
            "KubeStaticPodConfig",
            "KubeTalosAPIAccessConfig",
        ),
        "links": (
            "BondConfig",
            "BridgeConfig",
            "DummyLinkConfig",
            "EthernetConfig",
            "LinkConfig",
            "LinkAliasConfig",
            "VethConfig",
            "VLANConfig",
            "VRFConfig",
            "WireguardConfig",
        ),
        "network": (
            "BGPInstanceConfig",
            "BlackholeRouteConfig",
            "NetworkDefaultActionConfig",
            "DHCPv4Config",
            "DHCPv6Config",
            "HCloudVIPConfig",
            "HostnameConfig",
            "HTTPProbeConfig",
            "KubeSpanConfig",
            "KubeSpanEndpoints",
            "Layer2VIPConfig",
            "ResolverConfig",
            "RoutingRuleConfig",
            "NetworkRuleConfig",
            "StaticHostConfig",
            "TCPProbeConfig",
            "TimeSyncConfig",
        ),
        "runtime": (
            "EnvironmentConfig",
            "EtcFileConfig",
            "EventSinkConfig",
            "KernelModuleConfig",
            "KmsgLogConfig",
            "OOMConfig",
            "SecurityProfileConfig",
            "SysctlConfig",
            "SysfsConfig",
            "UdevRulesConfig",
            "UnattendedInstall",
            "WatchdogTimerConfig",
        ),
        "security": ("TrustedRootsConfig",),
        "siderolink": ("SideroLinkConfig",),
        "storage": (
            "LVMLogicalVolumeConfig",
            "LVMVolumeGroupConfig",
            "RAIDArrayConfig",
        ),
    }.items()
    for kind in kinds
}


def model_of(kind: str) -> type[Document]:
    """The model for a kind in `KINDS`."""
    module = importlib.import_module(f"dozen.machinery.config.documents.{KINDS[kind]}")
    model: type[Document] = getattr(module, kind)
    return model

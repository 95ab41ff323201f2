"""What the kubelet is told: its configuration file as data, and its command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dozen.machinery.kubernetes import paths
from dozen.machinery.kubernetes.arguments import CIPHERS, FIXED, command_line
from dozen.machinery.kubernetes.objects import Object, laid_over

CONTAINERD = "unix:///run/containerd/containerd.sock"
# Kept back from pods: what the system's own services use, beside the control plane's pods, which count themselves.
RESERVED = {"cpu": "50m", "memory": "192Mi", "ephemeral-storage": "256Mi", "pid": "100"}
# Processes and threads of one pod: one that forks without end must not take the node's numbers (CIS 4.2.13). Programs
# that start a thread for each connection come to thousands, so it is as much as other distributions allow.
POD_PIDS = 4096


class KubeletInput(NamedTuple):
    """``taints`` are by key, as ``value:Effect``; ``addresses`` are the node's, one for each family."""

    nodename: str
    addresses: Sequence[str]
    cluster_dns: Sequence[str] = ()
    cluster_domain: str = "cluster.local"
    control_plane: bool = False
    skip_registration: bool = False
    seccomp_default: bool = True
    manifests_directory: bool = True
    cloud_external: bool = False
    host_dns: bool = False
    taints: Mapping[str, str] = {}
    extra_config: Mapping[str, object] = {}
    extra_args: Mapping[str, Sequence[str]] = {}


def configuration(given: KubeletInput) -> Object:
    """KubeletConfiguration; what the machine configuration says is laid over it."""
    any_address = "::" if given.addresses and ":" in given.addresses[0] else "0.0.0.0"
    found: Object = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": any_address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": paths.KUBELET_CA},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": "/",
        "clusterDNS": list(given.cluster_dns),
        "clusterDomain": given.cluster_domain,
        "containerRuntimeEndpoint": CONTAINERD,
        "kubeletCgroups": "/podruntime/kubelet",
        "oomScoreAdj": -450,
        "podPidsLimit": POD_PIDS,
        "protectKernelDefaults": True,
        "readOnlyPort": 0,
        "registerNode": not given.skip_registration,
        "resolvConf": paths.POD_RESOLV_CONF if given.host_dns else paths.RESOLV_CONF,
        "rotateCertificates": True,
        "seccompDefault": given.seccomp_default,
        "serverTLSBootstrap": True,
        "streamingConnectionIdleTimeout": "5m",
        "systemReserved": dict(RESERVED),
        "tlsCipherSuites": list(CIPHERS),
        "tlsMinVersion": "VersionTLS12",
    }
    if given.manifests_directory:
        found["staticPodPath"] = paths.MANIFESTS
    if given.taints and not given.skip_registration:
        found["registerWithTaints"] = [_taint(key, text) for key, text in given.taints.items()]
    return laid_over(found, given.extra_config)


def arguments(given: KubeletInput) -> tuple[str, ...]:
    """The command line. A worker without an identity asks for one with the bootstrap token; a control plane is given
    its first one by the node itself."""
    flags: dict[str, tuple[str, ...]] = {
        "cert-dir": (paths.KUBELET_PKI,),
        "config": (paths.KUBELET_CONFIG,),
        "hostname-override": (given.nodename,),
        "kubeconfig": (paths.CONTROL_PLANE_KUBECONFIG if given.control_plane else paths.KUBELET_KUBECONFIG,),
    }
    if given.addresses:
        flags["node-ip"] = (",".join(given.addresses),)
    if not given.control_plane:
        flags["bootstrap-kubeconfig"] = (paths.BOOTSTRAP_KUBECONFIG,)
    if given.cloud_external:
        flags["cloud-provider"] = ("external",)
    for name, values in given.extra_args.items():
        if name not in FIXED["kubelet"]:
            flags[name] = tuple(values)
    return command_line(flags)


def _taint(key: str, text: str) -> Object:
    value, _, effect = text.rpartition(":")
    return {"key": key, "effect": effect} | ({"value": value} if value else {})

"""The command lines of a cluster's own programs: our defaults, and what a configuration may change of them.

A flag of the configuration replaces ours, or is added to it where a list is meant (plug-ins, feature gates). Flags that
name the files which the node writes for the program, and by which its parts find each other, are not the
configuration's to change: another value could only break the cluster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dozen.machinery.kubernetes import paths

Flags = dict[str, tuple[str, ...]]

# TLS 1.2 with forward secrecy and authenticated encryption only; TLS 1.3 has nothing else. In Go's words.
CIPHERS = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
)
ETCD_SERVERS = ("https://127.0.0.1:2379",)

_LISTS = frozenset(
    ("api-audiences", "disable-admission-plugins", "enable-admission-plugins", "feature-gates", "runtime-config")
)
# What an administrator's ``extraArgs`` do not change (`support.warnings` tells so).
FIXED: Mapping[str, frozenset[str]] = {
    paths.APISERVER: frozenset(
        (
            *("admission-control-config-file", "audit-policy-file", "authentication-config", "authorization-config"),
            *("client-ca-file", "encryption-provider-config", "etcd-cafile", "etcd-certfile", "etcd-keyfile"),
            *("etcd-servers", "kubelet-client-certificate", "kubelet-client-key", "proxy-client-cert-file"),
            *("proxy-client-key-file", "requestheader-client-ca-file", "secure-port"),
            *("service-account-signing-key-file", "tls-cert-file", "tls-private-key-file"),
        )
    ),
    paths.CONTROLLER_MANAGER: frozenset(
        (
            *("authentication-kubeconfig", "authorization-kubeconfig", "client-ca-file", "cluster-signing-cert-file"),
            *("cluster-signing-key-file", "kubeconfig", "root-ca-file", "service-account-private-key-file"),
        )
    ),
    paths.SCHEDULER: frozenset(("authentication-kubeconfig", "authorization-kubeconfig", "config")),
    "kubelet": frozenset(("bootstrap-kubeconfig", "cert-dir", "config", "kubeconfig")),
    # What keeps members together and strangers out.
    "etcd": frozenset(
        (
            *("name", "data-dir", "listen-peer-urls", "listen-client-urls"),
            *("initial-advertise-peer-urls", "advertise-client-urls", "initial-cluster", "initial-cluster-state"),
            *("client-cert-auth", "cert-file", "key-file", "trusted-ca-file"),
            *("peer-client-cert-auth", "peer-cert-file", "peer-key-file", "peer-trusted-ca-file"),
            *("auto-tls", "peer-auto-tls"),
        )
    ),
}


def merged(program: str, ours: Flags, said: Mapping[str, Sequence[str]]) -> Flags:
    """A program's flags: ours with those of the configuration."""
    found = dict(ours)
    for name, values in said.items():
        if name in FIXED[program]:
            continue
        if name in _LISTS and name in found:
            both = [part for text in (*found[name], *values) for part in text.split(",") if part]
            found[name] = (",".join(dict.fromkeys(both)),)
        else:
            found[name] = tuple(values)
    return found


def command_line(flags: Flags) -> tuple[str, ...]:
    """Flags in the order of their names, so that equal ones are equal texts."""
    return tuple(f"--{name}={value}" for name in sorted(flags) for value in flags[name])


def apiserver_flags(
    *,
    port: int,
    advertised: str,
    service_subnets: Sequence[str],
    issuers: Sequence[str],
    audiences: Sequence[str],
    encrypted: bool,
) -> Flags:
    """kube-apiserver's. ``issuers``: the first one signs, all are accepted."""
    family_any = "::" if any(":" in subnet for subnet in service_subnets) or ":" in advertised else "0.0.0.0"
    flags: Flags = {
        "advertise-address": (advertised,),
        "allow-privileged": ("true",),
        "api-audiences": (",".join(dict.fromkeys((*issuers, *audiences))),),
        "audit-log-maxage": ("30",),
        "audit-log-maxbackup": ("10",),
        "audit-log-maxsize": ("100",),
        "audit-log-path": (f"{paths.AUDIT_LOG}/kube-apiserver.log",),
        "audit-policy-file": (paths.AUDIT_POLICY,),
        "admission-control-config-file": (paths.ADMISSION,),
        "authentication-config": (paths.AUTHENTICATION,),
        "authorization-config": (paths.AUTHORIZATION,),
        "bind-address": (family_any,),
        "enable-admission-plugins": ("NodeRestriction",),
        "enable-bootstrap-token-auth": ("true",),
        "etcd-servers": (",".join(ETCD_SERVERS),),
        "kubelet-preferred-address-types": ("InternalIP,ExternalIP,Hostname",),
        "profiling": ("false",),
        "requestheader-allowed-names": ("front-proxy-client",),
        "requestheader-extra-headers-prefix": ("X-Remote-Extra-",),
        "requestheader-group-headers": ("X-Remote-Group",),
        "requestheader-username-headers": ("X-Remote-User",),
        "secure-port": (str(port),),
        "service-account-issuer": tuple(issuers),
        "service-cluster-ip-range": (",".join(service_subnets),),
        "tls-cipher-suites": (",".join(CIPHERS),),
        "tls-min-version": ("VersionTLS12",),
    }
    files = {
        "client-ca-file": "ca.crt",
        "etcd-cafile": "etcd-client-ca.crt",
        "etcd-certfile": "etcd-client.crt",
        "etcd-keyfile": "etcd-client.key",
        # Kubelets serve with certificates of the cluster's authority: a logs or exec request goes to nobody else.
        "kubelet-certificate-authority": "ca.crt",
        "kubelet-client-certificate": "apiserver-kubelet-client.crt",
        "kubelet-client-key": "apiserver-kubelet-client.key",
        "proxy-client-cert-file": "front-proxy-client.crt",
        "proxy-client-key-file": "front-proxy-client.key",
        "requestheader-client-ca-file": "aggregator-ca.crt",
        "service-account-key-file": "service-account.pub",
        "service-account-signing-key-file": "service-account.key",
        "tls-cert-file": "apiserver.crt",
        "tls-private-key-file": "apiserver.key",
    }
    flags |= {flag: (paths.secret(paths.APISERVER, name),) for flag, name in files.items()}
    if encrypted:
        flags["encryption-provider-config"] = (paths.ENCRYPTION,)
    return flags


def controller_manager_flags(
    *, pod_subnets: Sequence[str], service_subnets: Sequence[str], mask_ipv4: int = 0, mask_ipv6: int = 0
) -> Flags:
    """kube-controller-manager's. Masks are the sizes of a node's pod subnets, 0 for Kubernetes' own."""

    def secret(name: str) -> tuple[str, ...]:
        return (paths.secret(paths.CONTROLLER_MANAGER, name),)

    flags: Flags = {
        "allocate-node-cidrs": ("true",),
        "authentication-kubeconfig": secret("kubeconfig"),
        "authorization-kubeconfig": secret("kubeconfig"),
        "bind-address": ("127.0.0.1",),
        "client-ca-file": secret("ca.crt"),
        "cluster-cidr": (",".join(pod_subnets),),
        "cluster-signing-cert-file": secret("ca.crt"),
        "cluster-signing-key-file": secret("ca.key"),
        "configure-cloud-routes": ("false",),
        "controllers": ("*,tokencleaner",),
        "kubeconfig": secret("kubeconfig"),
        "leader-elect": ("true",),
        "profiling": ("false",),
        "root-ca-file": secret("root-ca.crt"),
        "service-account-private-key-file": secret("service-account.key"),
        "service-cluster-ip-range": (",".join(service_subnets),),
        "tls-cipher-suites": (",".join(CIPHERS),),
        "tls-min-version": ("VersionTLS12",),
        "use-service-account-credentials": ("true",),
    }
    masks = {"node-cidr-mask-size-ipv4": mask_ipv4, "node-cidr-mask-size-ipv6": mask_ipv6}
    if len(pod_subnets) == 1:
        # Of a single family the flag has another name.
        mask = mask_ipv6 if ":" in pod_subnets[0] else mask_ipv4
        masks = {"node-cidr-mask-size": mask}
    return flags | {name: (str(size),) for name, size in masks.items() if size}


def scheduler_flags() -> Flags:
    """kube-scheduler's."""
    kubeconfig = (paths.secret(paths.SCHEDULER, "kubeconfig"),)
    return {
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": ("127.0.0.1",),
        "config": (paths.SCHEDULER_CONFIG,),
        "leader-elect": ("true",),
        "profiling": ("false",),
        "tls-cipher-suites": (",".join(CIPHERS),),
        "tls-min-version": ("VersionTLS12",),
    }

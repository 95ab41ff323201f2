"""Services on every node: kube-proxy, by nftables unless the configuration wants another mode.

The image that this system brings along has what nftables needs and nothing else; who wants iptables or ipvs names an
image that has their programs. Those modes write kernel parameters and share a lock with others who set rules, so they
get the rights for that.

kube-proxy ignores most of its flags once it has a configuration file. The machine configuration has always been able to
set flags (``cluster.proxy.extraArgs``), so those that have a place in the file are put there, and only the others stay
flags.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from dozen.machinery.kubernetes.manifests.pieces import (
    account,
    binding,
    confinement,
    daemon_set,
    env_of_pod,
    host_path,
    resources,
    system_object,
)
from dozen.machinery.kubernetes.objects import Object, laid_over
from dozen.machinery.resources.manifests import BootstrapManifestsConfigSpec

NAME = "kube-proxy"
FOLDER = "/var/lib/kube-proxy"
LOCK = "/run/xtables.lock"
LABELS = {"k8s-app": NAME, "tier": "node"}
SMALL = {"requests": {"cpu": "50m", "memory": "32Mi"}}

# Flag → its place in KubeProxyConfiguration and how its text is read there.
_PLACES: dict[str, tuple[str, str]] = {
    "bind-address": ("bindAddress", "text"),
    "cluster-cidr": ("clusterCIDR", "text"),
    "conntrack-max-per-core": ("conntrack.maxPerCore", "number"),
    "conntrack-min": ("conntrack.min", "number"),
    "conntrack-tcp-timeout-close-wait": ("conntrack.tcpCloseWaitTimeout", "text"),
    "conntrack-tcp-timeout-established": ("conntrack.tcpEstablishedTimeout", "text"),
    "detect-local-mode": ("detectLocalMode", "text"),
    "healthz-bind-address": ("healthzBindAddress", "text"),
    "iptables-masquerade-bit": ("iptables.masqueradeBit", "number"),
    "iptables-min-sync-period": ("iptables.minSyncPeriod", "text"),
    "iptables-sync-period": ("iptables.syncPeriod", "text"),
    "ipvs-scheduler": ("ipvs.scheduler", "text"),
    "ipvs-strict-arp": ("ipvs.strictARP", "switch"),
    "masquerade-all": ("nftables.masqueradeAll", "switch"),
    "metrics-bind-address": ("metricsBindAddress", "text"),
    "nodeport-addresses": ("nodePortAddresses", "list"),
    "oom-score-adj": ("oomScoreAdj", "number"),
    "proxy-mode": ("mode", "text"),
    "show-hidden-metrics-for-version": ("showHiddenMetricsForVersion", "text"),
}


def proxy(config: BootstrapManifestsConfigSpec) -> tuple[Object, ...]:
    """Account, rights, configuration and daemon."""
    from dozen.machinery.yaml import dump

    settings, flags = configuration(config)
    text = dump(settings)
    return (
        binding("kube-proxy", "system:node-proxier", account(NAME)),
        system_object("v1", "ServiceAccount", NAME),
        system_object("v1", "ConfigMap", NAME, labels=LABELS, data={"config.conf": text}),
        _daemon(config, flags, hashlib.sha256(text.encode()).hexdigest(), settings["mode"] == "nftables"),
    )


def configuration(config: BootstrapManifestsConfigSpec) -> tuple[Object, list[str]]:
    """KubeProxyConfiguration, and the flags that have no place in it."""
    settings: Object = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": "/etc/kubernetes/kubeconfig"},
        "clusterCIDR": ",".join(config.pod_cidrs),
        # The kernel's own limits stay: writing them takes rights over the whole node that nothing else here needs.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpCloseWaitTimeout": "0s", "tcpEstablishedTimeout": "0s"},
        "healthzBindAddress": "0.0.0.0:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "mode": "nftables",
    }
    left = []
    for flag in config.proxy_args:
        if not _settle(settings, flag):
            left.append(flag)
    if settings["mode"] in ("iptables", "ipvs") and "masqueradeAll" in settings.get("nftables", {}):
        settings.setdefault("iptables", {})["masqueradeAll"] = settings.pop("nftables")["masqueradeAll"]
    return laid_over(settings, config.proxy_config), left


def _settle(settings: Object, flag: str) -> bool:
    """Put a flag into the configuration; False when it has no place there."""
    name, equals, text = flag.lstrip("-").partition("=")
    if name not in _PLACES:
        return False
    place, form = _PLACES[name]
    value: object = text
    if form == "number":
        value = int(text) if text.lstrip("-").isdigit() else text
    elif form == "switch":
        value = not equals or text == "true"
    elif form == "list":
        value = [part for part in text.split(",") if part]
    *path, last = place.split(".")
    target = settings
    for step in path:
        target = target.setdefault(step, {})
    target[last] = value
    return True


def _daemon(config: BootstrapManifestsConfigSpec, flags: Iterable[str], checksum: str, nftables: bool) -> Object:
    said = {"requests": config.proxy_resources.requests, "limits": config.proxy_resources.limits}
    container: Object = {
        "name": NAME,
        "image": config.proxy_image,
        "command": ["/usr/local/bin/kube-proxy"],
        "args": [f"--config={FOLDER}/config.conf", "--hostname-override=$(NODE_NAME)", *flags],
        "env": [env_of_pod("NODE_NAME", "spec.nodeName")],
        "livenessProbe": {
            "httpGet": {"path": "/livez", "port": 10256, "host": "127.0.0.1"},
            "initialDelaySeconds": 15,
            "periodSeconds": 20,
            "timeoutSeconds": 15,
        },
        "resources": resources(said, SMALL),
        "securityContext": confinement("NET_ADMIN") if nftables else {"privileged": True},
        "volumeMounts": [
            {"name": "configuration", "mountPath": FOLDER, "readOnly": True},
            {"name": "kubeconfig", "mountPath": "/etc/kubernetes", "readOnly": True},
            {"name": "modules", "mountPath": "/lib/modules", "readOnly": True},
        ],
    }
    volumes = [
        {"name": "configuration", "configMap": {"name": NAME}},
        {"name": "kubeconfig", "configMap": {"name": "kubeconfig-in-cluster"}},
        host_path("modules", "/lib/modules", "Directory"),
    ]
    if not nftables:
        container["volumeMounts"].append({"name": "lock", "mountPath": LOCK})
        volumes.append(host_path("lock", LOCK, "FileOrCreate"))
    pod = {
        "serviceAccountName": NAME,
        "containers": [container],
        "volumes": volumes,
    }
    return daemon_set(NAME, LABELS, {"checksum/config": checksum}, pod)

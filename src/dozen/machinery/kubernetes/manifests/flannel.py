"""The default pod network: flannel, which joins the nodes' pod subnets over VXLAN.

A daemon on every node takes the node's pod subnet from its Node object, keeps routes and the VXLAN device, and
masquerades what leaves the cluster by nftables. Before it starts, a container copies the CNI configuration to where the
container runtime looks for one; the plug-ins that it names are on the node already.
"""

from __future__ import annotations

import json

from dozen.machinery.kubernetes.manifests.pieces import (
    account,
    binding,
    cluster_role,
    confinement,
    daemon_set,
    env_of_pod,
    host_path,
    resources,
    system_object,
)
from dozen.machinery.kubernetes.objects import Object
from dozen.machinery.resources.manifests import BootstrapManifestsConfigSpec

NAME = "flannel"
DAEMON = "kube-flannel"
# IANA's port for VXLAN; the kernel's own default, 8472, is older than the assignment.
VXLAN_PORT = 4789
LABELS = {"k8s-app": "flannel", "tier": "node"}
SMALL = {"requests": {"cpu": "50m", "memory": "50Mi"}}


def flannel(config: BootstrapManifestsConfigSpec) -> tuple[Object, ...]:
    """Account, rights, configuration and daemon."""
    rules = [
        ("", ("pods",), ("get",)),
        ("", ("nodes",), ("get", "list", "watch")),
        ("", ("nodes/status",), ("patch",)),
    ]
    files = {"cni-conf.json": _json(cni_configuration()), "net-conf.json": _json(network_configuration(config))}
    return (
        cluster_role(NAME, rules),
        binding(NAME, NAME, account(NAME)),
        system_object("v1", "ServiceAccount", NAME),
        system_object("v1", "ConfigMap", "kube-flannel-cfg", labels=LABELS, data=files),
        _daemon(config, files),
    )


def cni_configuration() -> Object:
    """What the container runtime does for each pod: a bridge port by flannel's plug-in, then host ports."""
    return {
        "name": "cbr0",
        "cniVersion": "1.0.0",
        "plugins": [
            {"type": "flannel", "delegate": {"hairpinMode": True, "isDefaultGateway": True}},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def network_configuration(config: BootstrapManifestsConfigSpec) -> Object:
    """flanneld's own configuration: which networks there are and how nodes reach each other."""
    backend: Object = {"Type": config.flannel_backend_type or "vxlan"}
    if port := config.flannel_backend_port or (VXLAN_PORT if backend["Type"] == "vxlan" else 0):
        backend["Port"] = port
    if config.flannel_backend_mtu:
        backend["MTU"] = config.flannel_backend_mtu
    backend |= config.flannel_backend_extra
    found: Object = {"EnableNFTables": True, "Backend": backend}
    for subnet in config.pod_cidrs:
        found |= {"IPv6Network": subnet, "EnableIPv6": True} if ":" in subnet else {"Network": subnet}
    if "Network" not in found:
        found["EnableIPv4"] = False
    return found


def _daemon(config: BootstrapManifestsConfigSpec, files: dict[str, str]) -> Object:
    import hashlib

    # A daemon reads its configuration once: another configuration must be another pod.
    checksum = hashlib.sha256("".join(files.values()).encode()).hexdigest()
    pod = {
        "serviceAccountName": NAME,
        "initContainers": [_install(config.flannel_image)],
        "containers": [_flanneld(config)],
        "volumes": [
            host_path("run", "/run/flannel"),
            host_path("cni-conf", "/etc/cni/net.d"),
            {"name": "configuration", "configMap": {"name": "kube-flannel-cfg"}},
        ],
    }
    return daemon_set(DAEMON, LABELS, {"checksum/config": checksum}, pod)


def _install(image: str) -> Object:
    return {
        "name": "install-config",
        "image": image,
        "command": ["cp"],
        "args": ["-f", "/etc/kube-flannel/cni-conf.json", "/etc/cni/net.d/10-flannel.conflist"],
        "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}},
        "securityContext": confinement(),
        "volumeMounts": [
            {"name": "cni-conf", "mountPath": "/etc/cni/net.d"},
            {"name": "configuration", "mountPath": "/etc/kube-flannel", "readOnly": True},
        ],
    }


def _flanneld(config: BootstrapManifestsConfigSpec) -> Object:
    said = {"requests": config.flannel_resources.requests, "limits": config.flannel_resources.limits}
    env = [env_of_pod("POD_NAME", "metadata.name"), env_of_pod("POD_NAMESPACE", "metadata.namespace")]
    env.append({"name": "EVENT_QUEUE_DEPTH", "value": "5000"})
    if config.flannel_kube_service_host:
        # Straight to the API's endpoint: the Service's address works only once kube-proxy does.
        env.append({"name": "KUBERNETES_SERVICE_HOST", "value": config.flannel_kube_service_host})
        env.append({"name": "KUBERNETES_SERVICE_PORT", "value": config.flannel_kube_service_port})
    return {
        "name": DAEMON,
        "image": config.flannel_image,
        "command": ["/opt/bin/flanneld"],
        "args": ["--ip-masq", "--kube-subnet-mgr", *config.flannel_extra_args],
        "env": env,
        "resources": resources(said, SMALL),
        "securityContext": confinement("NET_ADMIN", "NET_RAW"),
        "volumeMounts": [
            {"name": "run", "mountPath": "/run/flannel"},
            {"name": "configuration", "mountPath": "/etc/kube-flannel", "readOnly": True},
        ],
    }


def _json(value: Object) -> str:
    return json.dumps(value, indent=2, sort_keys=True) + "\n"

"""The cluster's DNS: CoreDNS behind the Service ``kube-dns``, two of it on different nodes when there are several."""

from __future__ import annotations

import hashlib

from dozen.machinery.kubernetes.manifests.pieces import (
    account,
    binding,
    cluster_role,
    confinement,
    resources,
    system_object,
)
from dozen.machinery.kubernetes.objects import Object
from dozen.machinery.resources.manifests import BootstrapManifestsConfigSpec

NAME = "coredns"
ROLE = "system:coredns"
# Users and programs find the cluster's DNS by this label since before it was CoreDNS.
LABELS = {"k8s-app": "kube-dns"}
REPLICAS = 2
USER = 65532
SMALL = {"requests": {"cpu": "50m", "memory": "70Mi"}, "limits": {"memory": "170Mi"}}


def core_dns(config: BootstrapManifestsConfigSpec) -> tuple[Object, ...]:
    """Account, rights, configuration and the servers."""
    watching = ("list", "watch")
    rules = [
        ("", ("endpoints", "services", "pods", "namespaces"), watching),
        ("discovery.k8s.io", ("endpointslices",), watching),
    ]
    text = corefile(config.cluster_domain)
    return (
        cluster_role(ROLE, rules),
        binding(ROLE, ROLE, account(NAME)),
        system_object("v1", "ServiceAccount", NAME),
        system_object("v1", "ConfigMap", NAME, data={"Corefile": text}),
        _deployment(config, hashlib.sha256(text.encode()).hexdigest()),
    )


def corefile(domain: str) -> str:
    """Names of the cluster from the API, all others from the node's name servers; ready only when the API was read."""
    return f""".:53 {{
    errors
    health {{
        lameduck 5s
    }}
    ready
    prometheus :9153
    kubernetes {domain} in-addr.arpa ip6.arpa {{
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }}
    forward . /etc/resolv.conf {{
        max_concurrent 1000
    }}
    cache 30 {{
        disable success {domain}
        disable denial {domain}
    }}
    loop
    reload
    loadbalance
}}
"""


def service(config: BootstrapManifestsConfigSpec) -> Object:
    """The address that every pod's resolver has."""
    addresses = [address for address in (config.dns_service_ip, config.dns_service_ipv6) if address]
    families = ["IPv6" if ":" in address else "IPv4" for address in addresses]
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
        {"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
    ]
    spec: Object = {"selector": LABELS, "ports": ports}
    if addresses:
        spec |= {
            "clusterIP": addresses[0],
            "clusterIPs": addresses,
            "ipFamilies": families,
            "ipFamilyPolicy": "SingleStack" if len(addresses) == 1 else "RequireDualStack",
        }
    labels = {**LABELS, "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}
    return system_object("v1", "Service", "kube-dns", labels=labels, spec=spec)


def _deployment(config: BootstrapManifestsConfigSpec, checksum: str) -> Object:
    apart = {"labelSelector": {"matchLabels": LABELS}, "topologyKey": "kubernetes.io/hostname"}
    pod: Object = {
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": apart}]
            }
        },
        "containers": [_container(config.core_dns_image)],
        # Of the node, not of the cluster: the cluster's DNS cannot ask itself.
        "dnsPolicy": "Default",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "priorityClassName": "system-cluster-critical",
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "serviceAccountName": NAME,
        "tolerations": [
            {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"},
            {"key": "node.cloudprovider.kubernetes.io/uninitialized", "operator": "Exists", "effect": "NoSchedule"},
        ],
        "volumes": [
            {"name": "configuration", "configMap": {"name": NAME, "items": [{"key": "Corefile", "path": "Corefile"}]}}
        ],
    }
    template = {"metadata": {"labels": LABELS, "annotations": {"checksum/config": checksum}}, "spec": pod}
    spec = {
        "replicas": REPLICAS,
        "selector": {"matchLabels": LABELS},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
        "template": template,
    }
    return system_object("apps/v1", "Deployment", NAME, labels={**LABELS, "kubernetes.io/name": "CoreDNS"}, spec=spec)


def _container(image: str) -> Object:
    ports = [("dns", 53, "UDP"), ("dns-tcp", 53, "TCP"), ("metrics", 9153, "TCP")]
    return {
        "name": NAME,
        "image": image,
        "args": ["-conf", "/etc/coredns/Corefile"],
        # The garbage collector works harder near the limit instead of running into it.
        "env": [{"name": "GOMEMLIMIT", "value": "161MiB"}],
        "livenessProbe": {
            "httpGet": {"path": "/health", "port": 8080},
            "initialDelaySeconds": 60,
            "failureThreshold": 5,
            "timeoutSeconds": 5,
        },
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 5, "timeoutSeconds": 3},
        "ports": [{"name": name, "containerPort": port, "protocol": protocol} for name, port, protocol in ports],
        "resources": resources({}, SMALL),
        "securityContext": confinement("NET_BIND_SERVICE", runAsNonRoot=True, runAsUser=USER, runAsGroup=USER),
        "volumeMounts": [{"name": "configuration", "mountPath": "/etc/coredns", "readOnly": True}],
    }

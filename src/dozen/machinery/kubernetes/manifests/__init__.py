"""What every cluster of this system is given when it begins: who may join, the pod network, service routing, names.

Each manifest is a pure function of typed inputs; `bootstrap_manifests` is the list of them. Ids begin with a number
that orders them. The objects carry what production asks for (priority, tolerations, confinement, modest requests) and
nothing that the defaults of the API server say already: a second apply of the same objects changes nothing.
"""

from __future__ import annotations

import msgspec

from dozen.machinery.kubernetes import accounts
from dozen.machinery.kubernetes.manifests import access, coredns, flannel, joining, proxy
from dozen.machinery.kubernetes.objects import Object
from dozen.machinery.resources.manifests import BootstrapManifestsConfigSpec


class Trust(msgspec.Struct, frozen=True):
    """What those who join are given: the API server's authority (PEM) and the token, ``id.secret``."""

    ca: str
    token: str

    def __repr__(self) -> str:
        return "<Trust>"  # the token is a secret


def bootstrap_manifests(config: BootstrapManifestsConfigSpec, trust: Trust) -> dict[str, tuple[Object, ...]]:
    """The system's own manifests by id, in the order in which they are applied."""
    found: dict[str, tuple[Object, ...]] = {
        "00-kube-system-namespace": (access.kube_system(),),
        "00-kubelet-bootstrapping-token": joining.bootstrap_token(trust.token),
        "01-csr-approver-role-binding": (joining.approval_of_first_certificates(),),
        "01-csr-node-bootstrap": (joining.first_certificates(),),
        "01-csr-renewal-role-binding": (joining.renewal(),),
    }
    if config.flannel_enabled:
        found["05-flannel"] = flannel.flannel(config)
    if config.proxy_enabled:
        found["10-kube-proxy"] = proxy.proxy(config)
    if config.core_dns_enabled:
        found["11-core-dns"] = coredns.core_dns(config)
        found["11-core-dns-svc"] = (coredns.service(config),)
    found["11-kube-config-in-cluster"] = (access.kubeconfig_in_cluster(config.server, trust.ca),)
    found["11-talos-node-rbac-template"] = access.node_access()
    if config.talos_api_service:
        found["12-talos-api-service"] = (accounts.definition(), accounts.service())
    return found

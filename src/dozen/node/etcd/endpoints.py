"""The addresses of the control planes, asked of Kubernetes at the cluster's endpoint.

A control plane holds the key of Kubernetes' authority, so it can speak as an administrator there before anything of
Kubernetes runs on it. Its question is what every API server answers: who is behind the Service ``kubernetes``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dozen.machinery.addresses import sort_key
from dozen.machinery.resources import secrets

if TYPE_CHECKING:
    from dozen.engine.store import Store

TIMEOUT = 5.0


async def control_plane_addresses(store: Store) -> list[str]:
    """Addresses of API servers; none when Kubernetes does not answer at the endpoint (yet)."""
    found = store.find(secrets.KUBERNETES_CERTS, secrets.KUBERNETES_CERTS_ID)
    if found is None or not found.spec.admin_kubeconfig:
        return []
    from dozen.machinery.kubeconfig import KubeconfigError, read_kubeconfig
    from dozen.node.kubernetes.client import Client
    from dozen.node.kubernetes.errors import KubernetesError

    try:
        async with Client(read_kubeconfig(found.spec.admin_kubeconfig), timeout=TIMEOUT) as client:
            slice_ = await client.get("discovery.k8s.io/v1", "EndpointSlice", "kubernetes", "default")
    except (KubernetesError, KubeconfigError, OSError):
        return []
    addresses = {str(each) for endpoint in slice_.get("endpoints") or () for each in endpoint.get("addresses") or ()}
    return sorted(addresses, key=sort_key)

"""The system's namespace, the way to the API for pods that bypass Services, and what nodes may know of each other."""

from __future__ import annotations

from dozen.machinery.kubernetes.manifests.pieces import binding, cluster_role, group, system_object, user
from dozen.machinery.kubernetes.objects import Object

NODES_ROLE = "system:talos-nodes"
# The name in the certificate that the API server shows to kubelets.
KUBELET_CLIENT = "apiserver-kubelet-client"


def kube_system() -> Object:
    """kube-system runs what nodes are made of: its pods may have the node's network and devices."""
    labels = {f"pod-security.kubernetes.io/{mode}": "privileged" for mode in ("audit", "enforce", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "labels": labels}}


def kubeconfig_in_cluster(server: str, ca: str) -> Object:
    """A kubeconfig for pods that cannot use the Service ``kubernetes`` because they are what makes Services work."""
    from dozen.machinery.yaml import dump

    secrets = "/var/run/secrets/kubernetes.io/serviceaccount"
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": {"server": server, "certificate-authority": f"{secrets}/ca.crt"}}],
        "users": [{"name": "service-account", "user": {"tokenFile": f"{secrets}/token"}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "service-account"}}],
        "current-context": "local",
    }
    return system_object(
        "v1", "ConfigMap", "kubeconfig-in-cluster", data={"kubeconfig": dump(kubeconfig), "ca.crt": ca}
    )


def node_access() -> tuple[Object, ...]:
    """Nodes may see all nodes and where the API is; the API server may use kubelets (logs, exec, metrics)."""
    seeing = cluster_role(
        NODES_ROLE,
        [
            ("", ("nodes",), ("get", "list", "watch")),
            ("", ("endpoints",), ("get", "list", "watch")),
            ("discovery.k8s.io", ("endpointslices",), ("get", "list", "watch")),
        ],
    )
    return (
        seeing,
        binding(NODES_ROLE, NODES_ROLE, group("system:nodes")),
        binding("system:dozen-apiserver-to-kubelet", "system:kubelet-api-admin", user(KUBELET_CLIENT)),
    )

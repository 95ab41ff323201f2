"""Which Kubernetes this system runs: every version and image name in one place.

The names are the upstream ones, so that the same configuration pulls from a registry where there is one; what the image
cache holds is made by us under the same names. Who builds components, renders pods or generates configuration asks
here.
"""

from __future__ import annotations

KUBERNETES = "v1.36.3"
ETCD = "v3.6.16"
COREDNS = "v1.15.0"
FLANNEL = "v0.28.10"
CNI_PLUGINS = "v1.9.1"
PAUSE = "3.10"


def kubelet_image(version: str = KUBERNETES) -> str:
    """``version`` as in tags, with the v."""
    return f"ghcr.io/siderolabs/kubelet:{version}"


def component_image(program: str, version: str = KUBERNETES) -> str:
    """The image of ``kube-apiserver``, ``kube-controller-manager``, ``kube-scheduler`` or ``kube-proxy``."""
    return f"registry.k8s.io/{program}:{version}"


KUBELET_IMAGE = kubelet_image()
KUBE_APISERVER_IMAGE = component_image("kube-apiserver")
KUBE_CONTROLLER_MANAGER_IMAGE = component_image("kube-controller-manager")
KUBE_SCHEDULER_IMAGE = component_image("kube-scheduler")
KUBE_PROXY_IMAGE = component_image("kube-proxy")
ETCD_IMAGE = f"registry.k8s.io/etcd:{ETCD}"
COREDNS_IMAGE = f"registry.k8s.io/coredns/coredns:{COREDNS}"
FLANNEL_IMAGE = f"ghcr.io/siderolabs/flannel:{FLANNEL}"
PAUSE_IMAGE = f"registry.k8s.io/pause:{PAUSE}"
# What tests run in pods, as upstream's own tests do.
AGNHOST_IMAGE = "registry.k8s.io/e2e-test-images/agnhost:2.63.0"
# Ours, and only in the image cache: no registry has it.
CNI_PLUGINS_IMAGE = f"localhost/dozen/cni-plugins:{CNI_PLUGINS}"

# The users that the programs of a control plane run as; their files belong to them.
ETCD_UID = 60
APISERVER_UID = 65534
CONTROLLER_MANAGER_UID = 65536
SCHEDULER_UID = 65537

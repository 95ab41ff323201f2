"""Where Kubernetes' programs find their files; the path is the same on the node and in their containers."""

from __future__ import annotations

SECRETS = "/system/secrets/kubernetes"
CONFIG = "/system/config/kubernetes"
APISERVER, CONTROLLER_MANAGER, SCHEDULER = "kube-apiserver", "kube-controller-manager", "kube-scheduler"

AUDIT_LOG = "/var/log/audit/kube"
MANIFESTS = "/etc/kubernetes/manifests"
KUBELET_CONFIG = "/etc/kubernetes/kubelet.yaml"
KUBELET_CA = "/etc/kubernetes/pki/ca.crt"
RESOLV_CONF = "/system/etc/resolv.conf"
POD_RESOLV_CONF = "/system/etc/resolv-pods.conf"
# A worker asks for its first certificate with a token, and its kubelet keeps what it got. A control plane's kubelet
# gets a certificate from the node itself at every boot.
BOOTSTRAP_KUBECONFIG = "/etc/kubernetes/bootstrap-kubeconfig"
KUBELET_KUBECONFIG = "/var/lib/kubelet/kubeconfig"
CONTROL_PLANE_KUBECONFIG = "/etc/kubernetes/kubeconfig-kubelet"
KUBELET_PKI = "/var/lib/kubelet/pki"


def on_node(path: str) -> str:
    """Where the node writes what programs find below /etc/kubernetes: that is bound into a read-only tree, late."""
    return f"/system{path}" if path.startswith("/etc/kubernetes/") else path


def secret(program: str, name: str) -> str:
    """A file with a key, or that belongs to one."""
    return f"{SECRETS}/{program}/{name}"


def config(program: str, name: str) -> str:
    """A file of a program's configuration."""
    return f"{CONFIG}/{program}/{name}"


ENCRYPTION = secret(APISERVER, "encryptionconfig.yaml")
ADMISSION = config(APISERVER, "admission-control-config.yaml")
AUDIT_POLICY = config(APISERVER, "auditpolicy.yaml")
AUTHENTICATION = config(APISERVER, "authentication-config.yaml")
AUTHORIZATION = config(APISERVER, "authorization-config.yaml")
SCHEDULER_CONFIG = config(SCHEDULER, "scheduler-config.yaml")

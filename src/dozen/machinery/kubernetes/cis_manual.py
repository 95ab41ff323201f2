"""The CIS Kubernetes Benchmark's recommendations that no evidence of a node settles: what a person has to look at.

They are about who uses the cluster and what for, which a node does not know. Numbers are those of version 1.10, the
words are ours. Leaving them out would look as if they held.
"""

from __future__ import annotations

from typing import NamedTuple


class Manual(NamedTuple):
    """``look`` says what to look at, and where it is changed."""

    id: str
    title: str
    look: str


# What to think of where a node's evidence settles a rule only one way.
EXTERNAL_IPS = (
    "whoever may make Services may take over traffic to any address; if nobody needs externalIPs, add "
    "DenyServiceExternalIPs to enable-admission-plugins in cluster.apiServer.extraArgs"
)
ENDED_PODS = "12500 of them are kept; fewer suit a small cluster (cluster.controllerManager.extraArgs)"
OWN_CERTIFICATE = "it makes one itself unless tlsCertFile and tlsPrivateKeyFile name one (machine.kubelet.extraConfig)"

_ROLES = "dozenctl kubeconfig, then list ClusterRoleBindings and RoleBindings with "
_PODS = (
    "the namespaces' labels pod-security.kubernetes.io/enforce; baseline is the default here, kube-system is exempt: "
)

MANUAL = (
    Manual(
        "1.2.9",
        "Floods of events are held back",
        "the plug-in EventRateLimit needs limits that suit the cluster: cluster.apiServer.admissionControl",
    ),
    Manual(
        "1.2.11",
        "Images are asked for with each pod's own credentials",
        "AlwaysPullImages keeps tenants from using each other's images, and nodes from starting without a registry",
    ),
    Manual(
        "1.2.20",
        "Requests time out when they should",
        "a minute, Kubernetes' own: request-timeout in cluster.apiServer.extraArgs",
    ),
    Manual(
        "3.1.1",
        "People do not use client certificates",
        "they cannot be taken back: use an OpenID provider (KubeAuthenticationConfig), keep admin kubeconfigs few",
    ),
    Manual("3.1.2", "People do not use tokens of service accounts", "who holds Secrets of type service-account-token"),
    Manual(
        "3.1.3",
        "People do not use bootstrap tokens",
        "cluster.token lets machines ask for a certificate, and nothing else",
    ),
    Manual(
        "3.2.2",
        "The audit policy covers what matters",
        "cluster.apiServer.auditPolicy; without one, who did what to which object is recorded, contents are not",
    ),
    Manual(
        "4.2.7",
        "The kubelet does not choose its own name",
        "the node gives it its host name; certificates are approved for that name only",
    ),
    Manual("5.1.1", "cluster-admin is given to those who need it", _ROLES + "roleRef cluster-admin"),
    Manual("5.1.2", "Few may read Secrets", _ROLES + "get, list or watch on secrets"),
    Manual("5.1.3", "Roles name what they allow", _ROLES + "* among resources, verbs or apiGroups"),
    Manual("5.1.4", "Few may create pods", _ROLES + "create on pods"),
    Manual("5.1.5", "Default service accounts have no rights", _ROLES + "a subject ServiceAccount default"),
    Manual(
        "5.1.6",
        "Pods get tokens only if they use them",
        "automountServiceAccountToken of service accounts and pods",
    ),
    Manual(
        "5.1.7", "The group system:masters is not used", _ROLES + "a subject Group system:masters; certificates too"
    ),
    Manual("5.1.8", "Few may raise their own rights", _ROLES + "bind, escalate or impersonate"),
    Manual("5.1.9", "Few may create volumes", _ROLES + "create on persistentvolumes: a hostPath is the node's disk"),
    Manual("5.1.10", "Few may use nodes' proxies", _ROLES + "nodes/proxy"),
    Manual("5.1.11", "Few may approve certificates", _ROLES + "certificatesigningrequests/approval"),
    Manual("5.1.12", "Few may change webhooks", _ROLES + "validating- or mutatingwebhookconfigurations"),
    Manual("5.1.13", "Few may make service accounts' tokens", _ROLES + "create on serviceaccounts/token"),
    Manual("5.2.1", "Every namespace has a policy for pods", _PODS + "restricted where it can be"),
    Manual("5.2.2", "Few pods are privileged", _PODS + "which namespaces are privileged"),
    Manual("5.2.3", "Few pods see the node's processes", _PODS + "baseline refuses hostPID"),
    Manual("5.2.4", "Few pods see the node's IPC", _PODS + "baseline refuses hostIPC"),
    Manual("5.2.5", "Few pods use the node's network", _PODS + "baseline refuses hostNetwork"),
    Manual("5.2.6", "Pods cannot raise their rights", _PODS + "restricted refuses allowPrivilegeEscalation"),
    Manual("5.2.7", "Few pods run as root", _PODS + "restricted wants runAsNonRoot"),
    Manual("5.2.8", "Few pods have NET_RAW", _PODS + "restricted wants all capabilities dropped"),
    Manual("5.2.9", "Few pods have more capabilities", _PODS + "baseline refuses those beyond the runtime's own"),
    Manual("5.2.10", "Pods drop capabilities that they do not use", _PODS + "restricted wants all dropped"),
    Manual("5.2.11", "No Windows pod runs as the node", "there are no Windows nodes of this system"),
    Manual("5.2.12", "Few pods mount folders of the node", _PODS + "baseline refuses hostPath"),
    Manual("5.2.13", "Few pods take ports of the node", _PODS + "baseline refuses hostPort"),
    Manual(
        "5.3.1",
        "The network enforces policies",
        "flannel does not: cluster.network.cni.name none, and a CNI that does",
    ),
    Manual("5.3.2", "Every namespace has a policy for its network", "NetworkPolicies of each namespace"),
    Manual("5.4.1", "Secrets are files, not variables", "secretKeyRef in pods' env"),
    Manual("5.4.2", "Secrets are kept outside where that is better", "what the organization has for that"),
    Manual(
        "5.5.1",
        "Only known images run",
        "machine.registries, signatures (ImageVerificationConfig), the plug-in ImagePolicyWebhook",
    ),
    Manual("5.7.1", "Namespaces keep things apart", "what is in default"),
    Manual("5.7.2", "System calls are filtered", "RuntimeDefault is the default here; pods that say Unconfined"),
    Manual("5.7.3", "Pods have a security context", "securityContext of pods and containers"),
    Manual("5.7.4", "Nothing is in the namespace default", "objects in default"),
)

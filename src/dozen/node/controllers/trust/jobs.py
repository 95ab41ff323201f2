"""Which certificates the node makes: for etcd, for the API server, for the kubelet, and for who calls the API server.

Each job has a part that reads what is needed and one that makes certificates of it; the second is a function of its
arguments, of randomness and of the clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dozen.machinery.addresses import address_of, contains
from dozen.machinery.resources import config, kubernetes, network, secrets
from dozen.node.controllers.trust.issuers import DAY, Job, Made

if TYPE_CHECKING:
    from dozen.engine.store import Store
    from dozen.machinery.pki import Keypair

YEAR = 365 * DAY
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def pair(made: Keypair) -> secrets.PemPair:
    return secrets.PemPair(crt=made.crt.encode(), key=made.key.encode())


def authority(root: secrets.PemPair, what: str) -> Keypair:
    """An authority that can sign. Raises PkiError naming the field of the configuration."""
    from dozen.machinery.certificates import check_authority
    from dozen.machinery.pki import Keypair

    found = Keypair(root.crt.decode(), root.key.decode())
    check_authority(found, what)
    return found


class NodeNames(NamedTuple):
    """What this node answers to: its names and addresses."""

    hostname: str
    all: tuple[str, ...]


def node_names(store: Store) -> NodeNames | None:
    """None while the node has no name yet. Addresses inside the pods' networks are not the node's."""
    status = store.find(network.HOSTNAME_STATUS, "hostname")
    if status is None or not status.spec.hostname:
        return None
    found = store.find(network.NODE_ADDRESS, "accumulative") or store.find(network.NODE_ADDRESS, "current")
    inside = _pod_networks(store)
    addresses = [
        address
        for address in map(address_of, found.spec.addresses if found is not None else ())
        if not any(contains(subnet, address) for subnet in inside)
    ]
    names = (status.spec.hostname, status.spec.fqdn, *LOOPBACK, *addresses)
    return NodeNames(status.spec.hostname, tuple(dict.fromkeys(names)))


def _pod_networks(store: Store) -> tuple[str, ...]:
    from dozen.machinery.config import kubernetes as said
    from dozen.node.configuration import parse

    active = store.find(config.MACHINE_CONFIG, config.ACTIVE)
    if active is None:
        return ()
    return said.network(parse(active.spec.text)).inside


# -- etcd


def _etcd_material(store: Store) -> tuple[secrets.EtcdRootSpec, NodeNames] | None:
    root, names = store.find(secrets.ETCD_ROOT, secrets.ETCD), node_names(store)
    return (root.spec, names) if root is not None and names is not None else None


def issue_etcd(material: tuple[secrets.EtcdRootSpec, NodeNames], lifetime: float) -> Made:
    """etcd's own certificates serve and call: members call each other, and its gateway calls the member itself."""
    from dozen.machinery.certificates import BOTH, issue

    root, names = material
    ca = authority(root.etcd_ca, "cluster.etcd.ca")
    server = issue(ca, names.hostname, usages=BOTH, names=names.all, lifetime=lifetime)
    peer = issue(ca, names.hostname, usages=BOTH, names=names.all, lifetime=lifetime)
    made = secrets.EtcdCertsSpec(
        etcd=pair(server),
        etcd_peer=pair(peer),
        etcd_admin=pair(issue(ca, "machined", lifetime=lifetime)),
        etcd_api_server=pair(issue(ca, "kube-apiserver", lifetime=lifetime)),
    )
    yield secrets.ETCD_CERTS, secrets.ETCD, made


# -- Kubernetes


def _api_server_material(store: Store) -> tuple[secrets.KubernetesRootSpec, NodeNames] | None:
    root, names = store.find(secrets.KUBERNETES_ROOT, secrets.KUBERNETES), node_names(store)
    return (root.spec, names) if root is not None and names is not None else None


def api_server_names(root: secrets.KubernetesRootSpec, names: NodeNames) -> tuple[str, ...]:
    """Everything that somebody may call the API server by: from pods, from the node, from outside."""
    from urllib.parse import urlsplit

    service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc")
    outside = urlsplit(root.endpoint.full_path).hostname or ""
    found = (*names.all, *service, f"kubernetes.default.svc.{root.dns_domain}", *root.api_server_ips)
    return tuple(dict.fromkeys(each for each in (outside, *root.cert_sans, *found) if each))


def issue_api_server(material: tuple[secrets.KubernetesRootSpec, NodeNames], lifetime: float) -> Made:
    """What the API server serves with, calls kubelets with, and calls other API servers with on behalf of users."""
    from dozen.machinery.certificates import SERVER, issue

    root, names = material
    ca = authority(root.issuing_ca, "cluster.ca")
    front = authority(root.aggregator_ca, "cluster.aggregatorCA")
    serving = issue(ca, "kube-apiserver", usages=SERVER, names=api_server_names(root, names), lifetime=lifetime)
    made = secrets.KubernetesDynamicCertsSpec(
        api_server=pair(serving),
        # No group: this name alone is bound to a role that may call kubelets, and to nothing else.
        api_server_kubelet_client=pair(issue(ca, "apiserver-kubelet-client", lifetime=lifetime)),
        front_proxy=pair(issue(front, "front-proxy-client", lifetime=lifetime)),
    )
    yield secrets.KUBERNETES_DYNAMIC_CERTS, secrets.KUBERNETES_DYNAMIC_CERTS_ID, made


def trusted(root: secrets.KubernetesRootSpec) -> str:
    """Every certificate that Kubernetes' clients trust, one PEM text."""
    return "".join(each.crt.decode().rstrip("\n") + "\n" for each in root.accepted_cas)


def _kubeconfig(root: secrets.KubernetesRootSpec, server: str, user: str, made: Keypair) -> str:
    from dozen.machinery.kubeconfig import render_kubeconfig

    return render_kubeconfig(root.name, server, trusted(root), user, crt=made.crt, key=made.key)


def _kubeconfigs_material(store: Store) -> secrets.KubernetesRootSpec | None:
    root = store.find(secrets.KUBERNETES_ROOT, secrets.KUBERNETES)
    return root.spec if root is not None else None


def issue_kubeconfigs(root: secrets.KubernetesRootSpec, lifetime: float) -> Made:
    """For the scheduler, the controller-manager, the node itself, and the node as the administrator from outside."""
    from dozen.machinery.certificates import issue

    ca, local, masters = authority(root.issuing_ca, "cluster.ca"), root.local_endpoint.full_path, ("system:masters",)
    scheduler = issue(ca, "system:kube-scheduler", lifetime=lifetime)
    manager = issue(ca, "system:kube-controller-manager", lifetime=lifetime)
    # Its own name, so that the audit log tells what the node did from what people did.
    own = issue(ca, "machined", organizations=masters, lifetime=lifetime)
    made = secrets.KubernetesCertsSpec(
        scheduler_kubeconfig=_kubeconfig(root, local, "scheduler", scheduler),
        controller_manager_kubeconfig=_kubeconfig(root, local, "controller-manager", manager),
        localhost_admin_kubeconfig=_kubeconfig(root, local, "machined", own),
        admin_kubeconfig=make_admin_kubeconfig(root, lifetime),
    )
    yield secrets.KUBERNETES_CERTS, secrets.KUBERNETES_CERTS_ID, made


def make_admin_kubeconfig(root: secrets.KubernetesRootSpec, lifetime: float) -> str:
    """The cluster's administrator's, from outside, with a new certificate that is good for ``lifetime`` seconds."""
    from dozen.machinery.certificates import issue

    ca = authority(root.issuing_ca, "cluster.ca")
    made = issue(ca, "admin", organizations=("system:masters",), lifetime=lifetime)
    return _kubeconfig(root, root.endpoint.full_path, "admin", made)


def _kubelet_material(store: Store) -> tuple[secrets.KubernetesRootSpec, str] | None:
    root, name = store.find(secrets.KUBERNETES_ROOT, secrets.KUBERNETES), store.find(kubernetes.NODENAME, "nodename")
    return (root.spec, name.spec.nodename) if root is not None and name is not None and name.spec.nodename else None


def issue_kubelet(material: tuple[secrets.KubernetesRootSpec, str], lifetime: float) -> Made:
    """The first certificate of a control plane's kubelet: the node can sign it, so no token makes the rounds.

    The kubelet replaces it by one of its own as soon as the cluster gives it one.
    """
    from dozen.machinery.certificates import issue

    root, nodename = material
    ca = authority(root.issuing_ca, "cluster.ca")
    made = issue(ca, f"system:node:{nodename}", organizations=("system:nodes",), lifetime=lifetime)
    text = _kubeconfig(root, root.local_endpoint.full_path, "kubelet", made)
    yield secrets.KUBELET_CLIENT, secrets.KUBELET, secrets.KubeletClientSpec(kubeconfig=text)


_NAMES = (network.HOSTNAME_STATUS, network.NODE_ADDRESS)

JOBS = (
    Job("etcd-certificates", (secrets.ETCD_CERTS,), (secrets.ETCD_ROOT, *_NAMES), _etcd_material, issue_etcd),
    Job(
        "api-server-certificates",
        (secrets.KUBERNETES_DYNAMIC_CERTS,),
        (secrets.KUBERNETES_ROOT, *_NAMES),
        _api_server_material,
        issue_api_server,
    ),
    Job(
        "kubeconfigs",
        (secrets.KUBERNETES_CERTS,),
        (secrets.KUBERNETES_ROOT,),
        _kubeconfigs_material,
        issue_kubeconfigs,
    ),
    Job(
        "kubelet-certificate",
        (secrets.KUBELET_CLIENT,),
        (secrets.KUBERNETES_ROOT, kubernetes.NODENAME),
        _kubelet_material,
        issue_kubelet,
        YEAR,
    ),
)

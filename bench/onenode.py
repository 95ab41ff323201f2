"""The cluster of one node that both systems are to make: the same authorities, network, images and patience.

Ours gets it as `dozenctl cluster create` gives a configuration to a machine, kubeadm as its own configuration and the
authorities' files. The host asks both API servers with a certificate of the same authority.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from dozen.client.kubernetes import Kubernetes
from dozen.machinery import certificates, talosconfig, yaml
from dozen.machinery.config import load
from dozen.machinery.config.clients import client_config
from dozen.machinery.config.kubernetes import DEFAULT_DNS_DOMAIN, DEFAULT_POD_SUBNETS, DEFAULT_SERVICE_SUBNETS
from dozen.machinery.config.secrets import Secrets
from dozen.machinery.kubeconfig import Access
from dozen.machinery.kubernetes import versions
from dozen.machinery.kubernetes.manifests.flannel import flannel
from dozen.machinery.kubernetes.manifests.settings import bootstrap_settings
from dozen.machinery.kubernetes.objects import Object
from dozen.machinery.pki import Keypair
from dozen.provider import layout
from dozen.provider.cluster import CONTROL_PLANE_MIB
from dozen.provider.layout import Member, Plan
from dozen.provider.network import KUBERNETES_PORT, Place, address_of

NAME = "bench"
ADDRESS = address_of(0)
MEMORY_MIB, DISK_MIB = CONTROL_PLANE_MIB, 8192
ADMIN_SECONDS = 24 * 3600
ASK_SECONDS = 5.0
"""What hangs longer, most likely hangs in the emulator, whose guest has no network yet."""

# How long kubeadm waits for what it started, for it would give up sooner than an emulated machine can be done. The API
# server's start-up probe follows the first of them.
PATIENCE = {"controlPlaneComponentHealthCheck": "40m", "kubeletHealthCheck": "40m", "kubernetesAPICall": "40m"}


def machine_config(secrets: Secrets) -> str:
    """Our node's configuration, as for a cluster made with one control plane and no worker."""
    member = Member(NAME, layout.CONTROL_PLANE)
    place = Place(NAME, ADDRESS, api=0, kubernetes=0, trust=0)
    return layout.configure(NAME, Plan((member,)), member, place, secrets, patches=[layout.EMULATED])


def client_context(secrets: Secrets) -> talosconfig.Context:
    """The administrator of our node's own API."""
    return client_config(NAME, secrets.os).select()


def ask_as_admin(secrets: Secrets, port: int) -> Kubernetes:
    """The API server behind this loopback port, asked as an administrator whom kubeadm's clusters know as well."""
    admin = certificates.issue(
        secrets.kubernetes, "kubernetes-admin", lifetime=ADMIN_SECONDS, organizations=("system:masters",)
    )
    access = Access("127.0.0.1", port, secrets.kubernetes.crt.encode(), admin.crt.encode(), admin.key.encode())
    return Kubernetes(access, seconds=ASK_SECONDS)


def authority_files(secrets: Secrets) -> dict[str, str]:
    """What our node finds in its configuration, where kubeadm looks for it before it makes its own."""
    pairs: Mapping[str, Keypair] = {
        "ca": secrets.kubernetes,
        "front-proxy-ca": secrets.aggregator,
        "etcd/ca": secrets.etcd,
    }
    files = {f"{name}.crt": pair.crt for name, pair in pairs.items()}
    files |= {f"{name}.key": pair.key for name, pair in pairs.items()}
    account = secrets.service_account
    return {**files, "sa.key": account, "sa.pub": certificates.public_pem(account)}


def kubeadm_config(node: str) -> str:
    """Documents for `kubeadm init --config`: versions, names and subnets of ours, everything else as it comes."""
    extra = extra_arguments()
    init = {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "InitConfiguration",
        "localAPIEndpoint": {"advertiseAddress": ADDRESS, "bindPort": KUBERNETES_PORT},
        "nodeRegistration": {
            "name": node,
            "criSocket": "unix:///run/containerd/containerd.sock",
            # All images are there; it would look for a version of pause that is not.
            "imagePullPolicy": "Never",
        },
        "timeouts": PATIENCE,
    }
    etcd = image_parts(versions.ETCD_IMAGE)
    cluster = {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "ClusterConfiguration",
        "clusterName": NAME,
        "kubernetesVersion": versions.KUBERNETES,
        "networking": {
            "podSubnet": ",".join(DEFAULT_POD_SUBNETS),
            "serviceSubnet": ",".join(DEFAULT_SERVICE_SUBNETS),
            "dnsDomain": DEFAULT_DNS_DOMAIN,
        },
        "apiServer": {"certSANs": [*layout.LOCAL_NAMES]},
        "controllerManager": {"extraArgs": extra["controllerManager"]},
        "scheduler": {"extraArgs": extra["scheduler"]},
        "etcd": {"local": {"dataDir": "/var/lib/etcd", **etcd, "extraArgs": extra["etcd"]}},
        "dns": image_parts(versions.COREDNS_IMAGE),
    }
    # As on our node; the program of iptables is not in the image.
    proxy = {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "nftables"}
    return yaml.dump_documents([init, cluster, proxy])


def extra_arguments() -> dict[str, list[dict[str, str]]]:
    """The profile for emulated machines, as kubeadm has arguments: a list for each component."""
    wanted: Mapping[str, Any] = yaml.load(layout.EMULATED)["cluster"]
    return {
        component: [{"name": name, "value": str(value)} for name, value in part["extraArgs"].items()]
        for component, part in wanted.items()
    }


def image_parts(name: str) -> dict[str, str]:
    """An image's name as kubeadm wants it: the last part of its path is known to kubeadm."""
    path, _, tag = name.rpartition(":")
    return {"imageRepository": path.rpartition("/")[0], "imageTag": tag}


def pod_network(secrets: Secrets) -> tuple[Object, ...]:
    """The objects of flannel that our node would apply."""
    settings = bootstrap_settings(load(machine_config(secrets), NAME))
    return flannel(
        msgspec.structs.replace(
            settings, flannel_kube_service_host=ADDRESS, flannel_kube_service_port=str(KUBERNETES_PORT)
        )
    )

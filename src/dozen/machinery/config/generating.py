"""A cluster's first configuration: files for its control plane and its workers, and the client's.

Everything that differs between clusters comes in as an argument or out of the secrets. The files say what somebody
would look for in them, images and subnets above all, although most of it is what the node would do anyway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from dozen.machinery import talosconfig, yaml
from dozen.machinery.config.clients import client_config
from dozen.machinery.config.kubernetes import DEFAULT_DNS_DOMAIN, DEFAULT_POD_SUBNETS, DEFAULT_SERVICE_SUBNETS
from dozen.machinery.config.problems import ConfigError, Problem
from dozen.machinery.config.scalars import check_url, host_of
from dozen.machinery.config.secrets import Secrets, encode_pem, new_secrets
from dozen.machinery.kubernetes import versions
from dozen.machinery.pki import Keypair

if TYPE_CHECKING:
    from dozen.machinery.config.patches import Patch

LOCAL_SANS = ("127.0.0.1",)
# Service load balancers outside the cluster are not to send traffic to control planes (Kubernetes' well-known labels).
NO_BALANCING = "node.kubernetes.io/exclude-from-external-load-balancers"


class Choices(msgspec.Struct, frozen=True):
    """What whoever generates may say about the machines; empty values leave it to the defaults.

    ``kubernetes_version`` with or without v. ``mirrors``: registry → URLs. ``patches`` go over both files, the others
    over one of them.
    """

    install_disk: str = ""
    install_image: str = ""
    kubernetes_version: str = versions.KUBERNETES
    dns_domain: str = DEFAULT_DNS_DOMAIN
    mirrors: Mapping[str, Sequence[str]] = {}
    allow_scheduling_on_control_planes: bool = False
    patches: Sequence[Patch] = ()
    controlplane_patches: Sequence[Patch] = ()
    worker_patches: Sequence[Patch] = ()


class Bundle(msgspec.Struct, frozen=True):
    """YAML texts, ready to be written to files; the secrets they were made from beside them."""

    controlplane: str
    worker: str
    talosconfig: str
    secrets: Secrets

    def __repr__(self) -> str:
        return f"<Bundle of cluster {self.secrets.cluster_id}>"


def generate(
    cluster_name: str,
    endpoint: str,
    *,
    secrets: Secrets | None = None,
    sans: Sequence[str] = (),
    endpoints: Sequence[str] = (),
    nodes: Sequence[str] = (),
    install_disk: str = "",
    machine: Mapping[str, Any] | None = None,
    documents: Sequence[Mapping[str, Any]] = (),
    choices: Choices | None = None,
) -> Bundle:
    """``endpoint`` is the Kubernetes API's URL; ``sans`` are further names and addresses of the machines.

    ``endpoints`` and ``nodes`` go into the client's configuration; ``machine`` is merged over both machine parts;
    ``documents`` are appended to both files. Raises ConfigError for an endpoint that is not a URL, for patches that
    do not fit, and for what they make invalid.
    """
    if (complaint := check_url(endpoint)) is not None:
        raise ConfigError("arguments", [Problem("endpoint", 0, complaint)])
    choices = choices or Choices()
    if install_disk:
        choices = msgspec.structs.replace(choices, install_disk=install_disk)
    secrets = secrets or new_secrets()
    host = host_of(endpoint)
    names = list(dict.fromkeys([*sans, *LOCAL_SANS]))

    def text(kind: str, patches: Sequence[Patch]) -> str:
        made = _MainDocument(kind, cluster_name, endpoint, secrets, choices)
        main = made.document(names, host)
        main["machine"].update(machine or {})
        return _patched(yaml.dump_documents([main, *documents]), [*choices.patches, *patches], f"{kind}.yaml")

    client = talosconfig.render(client_config(cluster_name, secrets.os, endpoints=endpoints or [host], nodes=nodes))
    return Bundle(
        text("controlplane", choices.controlplane_patches), text("worker", choices.worker_patches), client, secrets
    )


def _patched(text: str, patches: Sequence[Patch], source: str) -> str:
    if not patches:
        return text
    from dozen.machinery.config.loading import load
    from dozen.machinery.config.patches import patch

    result = patch(text, patches, source)
    load(result, source)
    return result


class _MainDocument:
    """Makes the v1alpha1 document of one kind of machine. A worker's holds no authority's key."""

    def __init__(self, kind: str, name: str, endpoint: str, secrets: Secrets, choices: Choices) -> None:
        self.leader = kind == "controlplane"
        self.kind, self.name, self.endpoint = kind, name, endpoint
        self.secrets, self.choices = secrets, choices
        self.version = "v" + choices.kubernetes_version.removeprefix("v")

    def document(self, names: Sequence[str], host: str) -> dict[str, Any]:
        return {"version": "v1alpha1", "machine": self.machine(names, host), "cluster": self.cluster(names, host)}

    def machine(self, names: Sequence[str], host: str) -> dict[str, Any]:
        choices = self.choices
        machine: dict[str, Any] = {
            "type": self.kind,
            "token": self.secrets.machine_token,
            "ca": self.authority(self.secrets.os),
            "certSANs": list(dict.fromkeys([*names, host])) if self.leader else list(names),
            "kubelet": {
                "image": versions.kubelet_image(self.version),
                "defaultRuntimeSeccompProfileEnabled": True,
            },
        }
        install = {"disk": choices.install_disk, "image": choices.install_image}
        if any(install.values()):
            machine["install"] = {key: value for key, value in install.items() if value} | {"wipe": False}
        if choices.mirrors:
            mirrors = {name: {"endpoints": list(urls)} for name, urls in choices.mirrors.items()}
            machine["registries"] = {"mirrors": mirrors}
        machine["features"] = {"rbac": True, "apidCheckExtKeyUsage": True, "diskQuotaSupport": True}
        if self.leader:
            machine["nodeLabels"] = {NO_BALANCING: ""}
        return machine

    def cluster(self, names: Sequence[str], host: str) -> dict[str, Any]:
        secrets = self.secrets
        cluster: dict[str, Any] = {
            "id": secrets.cluster_id,
            "secret": secrets.cluster_secret,
            "controlPlane": {"endpoint": self.endpoint},
            "clusterName": self.name,
            "network": {
                "dnsDomain": self.choices.dns_domain,
                "podSubnets": list(DEFAULT_POD_SUBNETS),
                "serviceSubnets": list(DEFAULT_SERVICE_SUBNETS),
            },
            "token": secrets.bootstrap_token,
            "ca": self.authority(secrets.kubernetes),
        }
        return cluster | self.control_plane(list(dict.fromkeys([host, *names]))) if self.leader else cluster

    def control_plane(self, names: Sequence[str]) -> dict[str, Any]:
        """What only control planes know, and what runs there."""
        from dozen.machinery.config.kubernetes_defaults import AUDIT_POLICY, POD_SECURITY

        secrets = self.secrets
        part: dict[str, Any] = {
            "secretboxEncryptionSecret": secrets.secretbox_secret,
            "aggregatorCA": self.authority(secrets.aggregator),
            "serviceAccount": {"key": encode_pem(secrets.service_account)},
            "apiServer": {
                "image": self.image("kube-apiserver"),
                "certSANs": list(names),
                "admissionControl": [{"name": "PodSecurity", "configuration": POD_SECURITY}],
                "auditPolicy": AUDIT_POLICY,
            },
            "controllerManager": {"image": self.image("kube-controller-manager")},
            "proxy": {"image": self.image("kube-proxy")},
            "scheduler": {"image": self.image("kube-scheduler")},
            "etcd": {"ca": self.authority(secrets.etcd)},
            "extraManifests": [],
            "inlineManifests": [],
        }
        if secrets.aescbc_secret:
            part["aescbcEncryptionSecret"] = secrets.aescbc_secret
        if self.choices.allow_scheduling_on_control_planes:
            part["allowSchedulingOnControlPlanes"] = True
        return part

    def image(self, program: str) -> str:
        return versions.component_image(program, self.version)

    def authority(self, pair: Keypair) -> dict[str, str]:
        return {"crt": encode_pem(pair.crt), "key": encode_pem(pair.key) if self.leader else ""}

"""A cluster's first configuration: files for its control plane and its workers, and the client's.

Everything that differs between clusters comes in as an argument or out of the secrets; what is left out of the files
is a default of the model, so that they stay short enough to be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from dozen.machinery import pki, talosconfig, yaml
from dozen.machinery.config.problems import ConfigError, Problem
from dozen.machinery.config.scalars import check_url, host_of
from dozen.machinery.config.secrets import Secrets, encode_pem, new_secrets
from dozen.machinery.pki import Keypair

LOCAL_SANS = ("127.0.0.1",)


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
) -> Bundle:
    """``endpoint`` is the Kubernetes API's URL; ``sans`` are further names and addresses of the machines.

    ``endpoints`` and ``nodes`` go into the client's configuration; ``machine`` is merged over both machine parts;
    ``documents`` are appended to both files. Raises ConfigError for an endpoint that is not a URL.
    """
    if (complaint := check_url(endpoint)) is not None:
        raise ConfigError("arguments", [Problem("endpoint", 0, complaint)])
    secrets = secrets or new_secrets()
    host = host_of(endpoint)
    names = list(dict.fromkeys([*sans, *LOCAL_SANS]))

    def text(kind: str) -> str:
        main = _main_document(kind, cluster_name, endpoint, secrets, [*dict.fromkeys([*names, host])], install_disk)
        main["machine"].update(machine or {})
        return yaml.dump_documents([main, *documents])

    client = talosconfig.render(client_config(cluster_name, secrets.os, endpoints=endpoints or [host], nodes=nodes))
    return Bundle(text("controlplane"), text("worker"), client, secrets)


def client_config(
    name: str,
    ca: Keypair,
    *,
    endpoints: Sequence[str] = (),
    nodes: Sequence[str] = (),
    roles: Sequence[str] = ("os:admin",),
    lifetime: int = pki.ADMIN_LIFETIME,
) -> talosconfig.Talosconfig:
    """A client configuration with one context and a fresh certificate of the given roles."""
    identity = pki.client_certificate(ca, roles, lifetime)
    context = talosconfig.Context(
        endpoints=tuple(endpoints), nodes=tuple(nodes), ca=ca.crt, crt=identity.crt, key=identity.key
    )
    return talosconfig.Talosconfig(name, {name: context})


def _main_document(
    kind: str, cluster_name: str, endpoint: str, secrets: Secrets, names: Sequence[str], install_disk: str
) -> dict[str, Any]:
    """The v1alpha1 document. A worker's holds no authority's key."""
    leader = kind == "controlplane"
    machine: dict[str, Any] = {
        "type": kind,
        "token": secrets.machine_token,
        "ca": _authority(secrets.os, leader),
        "certSANs": list(names) if leader else list(names[:-1]),
    }
    if install_disk:
        machine["install"] = {"disk": install_disk}
    cluster: dict[str, Any] = {
        "id": secrets.cluster_id,
        "secret": secrets.cluster_secret,
        "controlPlane": {"endpoint": endpoint},
        "clusterName": cluster_name,
        "token": secrets.bootstrap_token,
        "ca": _authority(secrets.kubernetes, leader),
    }
    if leader:
        cluster |= {
            "secretboxEncryptionSecret": secrets.secretbox_secret,
            "aggregatorCA": _authority(secrets.aggregator, leader),
            "serviceAccount": {"key": encode_pem(secrets.service_account)},
            "etcd": {"ca": _authority(secrets.etcd, leader)},
        }
    return {"version": "v1alpha1", "machine": machine, "cluster": cluster}


def _authority(pair: Keypair, with_key: bool) -> dict[str, str]:
    return {"crt": encode_pem(pair.crt), "key": encode_pem(pair.key) if with_key else ""}

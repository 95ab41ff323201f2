"""Accounts of the machine API for workloads: who may have one, and the Secret that a pod finds it in.

Whoever may write an object ServiceAccount of ``talos.dev`` in one of the namespaces that the machine configuration
names gets a Secret of the same name with a client configuration of the roles that the object asks for, as far as the
configuration allows them. Its certificate lives for a day and is made anew at half of that, so an account that is taken
away ends by itself even where somebody has copied the Secret.

Every control plane keeps the Secrets of all accounts. None needs to know whether another one was faster: a Secret is
left alone while it says what it should, and is written only on top of what was read.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dozen.machinery.kubernetes.injection import API_VERSION, KIND
from dozen.machinery.kubernetes.objects import Object

if TYPE_CHECKING:
    from dozen.machinery.resources.cluster import KubernetesAccessConfigSpec

# What pods call the control planes: the Service's name, its namespace, and what may follow.
SERVICE, NAMESPACE, PORT = "talos", "default", 50000
ENDPOINT = f"{SERVICE}.{NAMESPACE}"
FILE = "config"  # where clients look for it, below `injection.MOUNT_PATH`
LIFETIME = 24 * 3600  # seconds
SLICE = "discovery.k8s.io/v1"


def service_names(domain: str) -> tuple[str, ...]:
    """The names under which pods find the control planes; a certificate has to have them."""
    return (SERVICE, ENDPOINT, f"{ENDPOINT}.svc", f"{ENDPOINT}.svc.{domain}")


def refusal(account: Object, access: KubernetesAccessConfigSpec) -> str:
    """Why an account gets no Secret, one sentence; empty when it gets one."""
    if not access.enabled:
        return "the machine configuration gives workloads no access to the machine API"
    namespace = account["metadata"]["namespace"]
    if namespace not in access.allowed_kubernetes_namespaces:
        return f"namespace {namespace} is not among the allowed ones: {_list(access.allowed_kubernetes_namespaces)}"
    roles = roles_of(account)
    if not roles:
        return "spec.roles asks for no role"
    for role in roles:
        if role not in access.allowed_api_roles:
            return f"role {role} is not among the allowed ones: {_list(access.allowed_api_roles)}"
    return ""


def roles_of(account: Object) -> tuple[str, ...]:
    """What an account asks for, each once."""
    return tuple(dict.fromkeys((account.get("spec") or {}).get("roles") or ()))


def _list(words: Iterable[str]) -> str:
    return ", ".join(words) or "there are none"


def make_secret(account: Object, client_config: str) -> Object:
    """The Secret of an account, which goes when the account does."""
    metadata = account["metadata"]
    owner = {"apiVersion": API_VERSION, "kind": KIND, "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "ownerReferences": [{**owner, "controller": True}],
        },
        "type": "Opaque",
        "data": {FILE: base64.b64encode(client_config.encode()).decode()},
    }


def is_of(secret: Object, account: Object) -> bool:
    """Whether a Secret was made for an account, and not by somebody for something else."""
    owners = secret["metadata"].get("ownerReferences") or ()
    return any(each.get("uid") == account["metadata"]["uid"] for each in owners)


def is_current(secret: Object, roles: Sequence[str], authority: str, now: float) -> bool:
    """Whether a Secret says what it should: these roles, this authority (PEM), and a certificate in its first half."""
    from dozen.machinery import pki, talosconfig

    try:
        text = base64.b64decode((secret.get("data") or {}).get(FILE, "")).decode()
        context = talosconfig.parse(text).select()
        certificate = pki.certificate(context.crt)
        signed = certificate.issuer_der == pki.certificate(authority).subject_der
    except ValueError:  # whatever it is, it is no client configuration of ours
        return False
    half = certificate.not_before + (certificate.not_after - certificate.not_before) / 2
    asked = set(certificate.subject.organizations) == set(roles)
    return signed and asked and context.ca == authority and context.endpoints == (ENDPOINT,) and now < half


def definition() -> Object:
    """The definition of these accounts."""
    text: Object = {"type": "string"}
    spec: Object = {"type": "object", "properties": {"roles": {"type": "array", "items": text}}}
    status: Object = {"type": "object", "properties": {"failureReason": {**text, "nullable": True}}}
    version: Object = {
        "name": API_VERSION.partition("/")[2],
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}},
    }
    names = {
        "kind": KIND,
        "listKind": f"{KIND}List",
        "plural": "serviceaccounts",
        "singular": "serviceaccount",
        "shortNames": ["tsa"],
    }
    group = API_VERSION.partition("/")[0]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names['plural']}.{group}"},
        "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [version]},
    }


def service() -> Object:
    """The Service by which pods reach the control planes; each of these says its own addresses (`endpoints`)."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": SERVICE, "namespace": NAMESPACE},
        "spec": {
            "ipFamilyPolicy": "PreferDualStack",
            "ports": [{"name": "apid", "port": PORT, "protocol": "TCP", "targetPort": PORT}],
        },
    }


def endpoints(node: Object, addresses: Iterable[str]) -> list[Object]:
    """Where a control plane serves, one slice for each family; they go with the Node."""
    metadata = node["metadata"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": metadata["name"], "uid": metadata["uid"]}
    families: dict[str, list[str]] = {}
    for address in addresses:
        families.setdefault("IPv6" if ":" in address else "IPv4", []).append(address)
    return [
        {
            "apiVersion": SLICE,
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{SERVICE}-{metadata['name']}-{family.lower()}",
                "namespace": NAMESPACE,
                "labels": {
                    "kubernetes.io/service-name": SERVICE,
                    "endpointslice.kubernetes.io/managed-by": "dozen",
                },
                "ownerReferences": [owner],
            },
            "addressType": family,
            "endpoints": [{"addresses": found, "conditions": {"ready": True}, "nodeName": metadata["name"]}],
            "ports": [{"name": "apid", "port": PORT, "protocol": "TCP"}],
        }
        for family, found in families.items()
    ]

"""The configuration files of the control plane's programs, as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dozen.machinery.kubernetes import paths
from dozen.machinery.kubernetes.objects import Object

if TYPE_CHECKING:
    from dozen.machinery.config.kubernetes import AdmissionPlugin, Authorizer
    from dozen.machinery.config.kubernetes_secrets import Encryption

_GROUP = "apiserver.config.k8s.io"
# What may be asked without an identity: whether the server is alive. Load balancers and probes do.
OPEN_PATHS = ("/healthz", "/livez", "/readyz")


def admission(plugins: Sequence[AdmissionPlugin]) -> Object:
    """AdmissionConfiguration."""
    found = [{"name": each.name, "configuration": each.configuration} for each in plugins]
    return {"apiVersion": f"{_GROUP}/v1", "kind": "AdmissionConfiguration", "plugins": found}


def authentication(said: Object) -> Object:
    """AuthenticationConfiguration: the given one; nobody without an identity, but for `OPEN_PATHS`."""
    base: Object = {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "AuthenticationConfiguration",
        "anonymous": {"enabled": True, "conditions": [{"path": path} for path in OPEN_PATHS]},
    }
    return base | said


def authorization(authorizers: Sequence[Authorizer]) -> Object:
    """AuthorizationConfiguration."""
    found = [
        {"type": each.type, "name": each.name} | ({"webhook": each.webhook} if each.webhook else {})
        for each in authorizers
    ]
    return {"apiVersion": f"{_GROUP}/v1", "kind": "AuthorizationConfiguration", "authorizers": found}


def encryption(said: Encryption) -> Object | None:
    """EncryptionConfiguration, or None when the cluster has no key: secrets are written with the first provider."""
    if said.document:
        return said.document
    providers: list[Object] = []
    for provider, secret in (("secretbox", said.secretbox), ("aescbc", said.aescbc)):
        if secret:
            providers.append({provider: {"keys": [{"name": "key1", "secret": secret.reveal()}]}})
    if not providers:
        return None
    # What was written before there was a key can still be read.
    providers.append({"identity": {}})
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": providers}],
    }


def scheduler(said: Object) -> Object:
    """KubeSchedulerConfiguration: the given one, and who the scheduler is."""
    base: Object = {"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration"}
    connection = {**(said.get("clientConnection") or {}), "kubeconfig": paths.secret(paths.SCHEDULER, "kubeconfig")}
    return {**base, **said, "clientConnection": connection}

"""What a configuration says about trust in Kubernetes and etcd: authorities, service accounts' key, encryption at rest.

Authorities have keys on control planes only. Certificates and keys are PEM texts here, however the configuration
encodes them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dozen.machinery.config.effective import cluster_endpoint, find_document
from dozen.machinery.config.kubernetes import data_of
from dozen.machinery.config.loading import Config
from dozen.machinery.config.model import CertificateAndKey
from dozen.machinery.config.scalars import Duration, Secret

YEAR = Duration(8760 * 3600)


class Authority(msgspec.Struct, frozen=True):
    """An authority: its certificate and, on control planes, key; ``accepted`` are certificates trusted beside it."""

    crt: str = ""
    key: Secret = Secret("")
    accepted: tuple[str, ...] = ()

    @property
    def trusted(self) -> str:
        """Every certificate that is trusted, as one PEM text."""
        found = (pem for pem in dict.fromkeys((self.crt, *self.accepted)) if pem)
        return "".join(pem if pem.endswith("\n") else pem + "\n" for pem in found)


class ServiceAccounts(msgspec.Struct, frozen=True):
    """What service accounts' tokens are signed with and in whose name; further keys (PEM), issuers and audiences that
    are accepted. ``issuer`` is the cluster's endpoint unless said otherwise."""

    key: Secret = Secret("")
    issuer: str = ""
    accepted_keys: tuple[str, ...] = ()
    accepted_issuers: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()


class Encryption(msgspec.Struct, frozen=True):
    """How secrets are encrypted in etcd: ``document`` is an EncryptionConfiguration as data when one is given, else the
    two secrets (base64, 32 bytes) are keys for secretbox, which writes, and aescbc, which only reads old ones."""

    document: dict[str, Any] = {}
    secretbox: Secret = Secret("")
    aescbc: Secret = Secret("")


def kubernetes_ca(config: Config) -> Authority:
    said = config.cluster.ca if config.cluster else CertificateAndKey()
    accepted = tuple(each.crt for each in config.cluster.accepted_cas) if config.cluster else ()
    return _authority(said, accepted, find_document(config, "KubeAPIServerCAConfig"))


def aggregator_ca(config: Config) -> Authority:
    said = config.cluster.aggregator_ca if config.cluster else CertificateAndKey()
    return _authority(said, (), find_document(config, "KubeAggregatorCAConfig"))


def etcd_ca(config: Config) -> Authority:
    said = config.cluster.etcd.ca if config.cluster else CertificateAndKey()
    return Authority(said.crt, said.key or Secret(""))


def _authority(said: CertificateAndKey, accepted: tuple[str, ...], document: Any) -> Authority:
    if document:
        said = document.issuing_ca if document.issuing_ca.crt else said
        accepted = (*accepted, *document.accepted_cas)
    return Authority(said.crt or next(iter(accepted), ""), said.key or Secret(""), accepted)


def service_accounts(config: Config) -> ServiceAccounts:
    key = config.cluster.service_account.key if config.cluster else None
    document = find_document(config, "KubeServiceAccountConfig")
    issuer = cluster_endpoint(config)
    if not document:
        return ServiceAccounts(key or Secret(""), issuer)
    accepted = document.accepted
    return ServiceAccounts(
        document.issuer.private_key or key or Secret(""),
        document.issuer.issuer_url or issuer,
        accepted.public_keys if accepted else (),
        accepted.issuers if accepted else (),
        accepted.audiences if accepted else (),
    )


def encryption(config: Config) -> Encryption:
    document = find_document(config, "KubeEtcdEncryptionConfig")
    cluster = config.cluster
    return Encryption(
        data_of(document.config) if document else {},
        cluster.secretbox_encryption_secret if cluster else Secret(""),
        cluster.aescbc_encryption_secret if cluster else Secret(""),
    )


def admin_kubeconfig_lifetime(config: Config) -> Duration:
    """Seconds that an administrator's certificate is good for."""
    return config.cluster.admin_kubeconfig.cert_lifetime if config.cluster else YEAR

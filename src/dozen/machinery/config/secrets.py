"""The secrets of a new cluster: everything that must be random or signed once, and is the same for all its machines.

The bundle's YAML form (`render`, `parse`) is the one that ``gen secrets`` of the clients people know writes and
reads, so that a bundle can move between tools. The OS authority is Ed25519; the authorities of Kubernetes, its
aggregation layer and etcd, and the service accounts' key are ECDSA P-256: signing with P-256 is many times cheaper
than with RSA, and everything that speaks to Kubernetes knows it.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from dozen.machinery import yaml
from dozen.machinery.pki import CA_LIFETIME, Keypair, new_ca

if TYPE_CHECKING:
    from dozen.machinery.config.loading import Config


class SecretsError(ValueError):
    """The bundle cannot be read; the message says where and why."""


class Secrets(msgspec.Struct, frozen=True):
    """Keys are PEM text; tokens and the rest as they stand in configuration."""

    cluster_id: str
    cluster_secret: str
    machine_token: str
    bootstrap_token: str
    secretbox_secret: str
    os: Keypair
    kubernetes: Keypair
    aggregator: Keypair
    etcd: Keypair
    service_account: str
    aescbc_secret: str = ""

    def __repr__(self) -> str:
        return f"<Secrets of cluster {self.cluster_id}>"


def new_secrets() -> Secrets:
    return Secrets(
        cluster_id=base64.urlsafe_b64encode(os.urandom(32)).decode(),
        cluster_secret=_random_base64(32),
        machine_token=new_token(),
        bootstrap_token=new_token(),
        secretbox_secret=_random_base64(32),
        os=new_ca(),
        kubernetes=_new_p256_ca("kubernetes"),
        aggregator=_new_p256_ca(""),
        etcd=_new_p256_ca("etcd"),
        service_account=_new_p256_key(),
    )


def new_token() -> str:
    """Six and sixteen characters of the 36 that tokens are made of, drawn evenly."""
    import secrets

    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
    drawn = "".join(secrets.choice(alphabet) for _ in range(22))
    return f"{drawn[:6]}.{drawn[6:]}"


def encode_pem(text: str) -> str:
    """PEM as configuration holds it."""
    return base64.b64encode(text.encode()).decode()


def render(secrets: Secrets) -> str:
    pairs = {"etcd": secrets.etcd, "k8s": secrets.kubernetes, "k8saggregator": secrets.aggregator, "os": secrets.os}
    certificates: dict[str, Any] = {
        name: {"crt": encode_pem(pair.crt), "key": encode_pem(pair.key)} for name, pair in pairs.items()
    }
    certificates["k8sserviceaccount"] = {"key": encode_pem(secrets.service_account)}
    return yaml.dump(
        {
            "cluster": {"id": secrets.cluster_id, "secret": secrets.cluster_secret},
            "secrets": {
                "bootstraptoken": secrets.bootstrap_token,
                "secretboxencryptionsecret": secrets.secretbox_secret,
                **({"aescbcencryptionsecret": secrets.aescbc_secret} if secrets.aescbc_secret else {}),
            },
            "trustdinfo": {"token": secrets.machine_token},
            "certs": certificates,
        }
    )


def parse(text: str, source: str = "secrets") -> Secrets:
    """Raises SecretsError that names the first thing that is missing or wrong."""
    try:
        data = yaml.load(text, source)
    except yaml.YamlError as error:
        raise SecretsError(str(error)) from None

    def find(*path: str) -> str:
        value = _look(data, *path)
        if not value:
            raise SecretsError(f"{source}: {'.'.join(path)} is missing")
        return value

    def pem(*path: str) -> str:
        text = find(*path)
        try:
            return base64.b64decode(text, validate=True).decode()
        except ValueError:
            raise SecretsError(f"{source}: {'.'.join(path)}: expected PEM text in base64") from None

    def pair(name: str) -> Keypair:
        return Keypair(pem("certs", name, "crt"), pem("certs", name, "key"))

    return Secrets(
        cluster_id=find("cluster", "id"),
        cluster_secret=find("cluster", "secret"),
        machine_token=find("trustdinfo", "token"),
        bootstrap_token=find("secrets", "bootstraptoken"),
        secretbox_secret=_look(data, "secrets", "secretboxencryptionsecret"),
        aescbc_secret=_look(data, "secrets", "aescbcencryptionsecret"),
        os=pair("os"),
        kubernetes=pair("k8s"),
        aggregator=pair("k8saggregator"),
        etcd=pair("etcd"),
        service_account=pem("certs", "k8sserviceaccount", "key"),
    )


def _look(value: Any, *path: str) -> str:
    """A text in nested mappings, "" when it is not there."""
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def from_config(config: Config) -> Secrets:
    """The secrets in a control plane's configuration. Raises SecretsError for one that has not all of them."""
    from dozen.machinery.config import effective, kubernetes, kubernetes_secrets

    def pair(name: str, authority: kubernetes_secrets.Authority) -> Keypair:
        if not authority.crt or not authority.key:
            raise SecretsError(
                f"{name} has no certificate and key: only a control plane's configuration has all secrets"
            )
        return Keypair(authority.crt, authority.key.reveal())

    own, machine = effective.issuing_ca(config), config.machine
    if own is None or machine is None:
        raise SecretsError("machine.ca has no key: only a control plane's configuration has all secrets")
    encryption = kubernetes_secrets.encryption(config)
    return Secrets(
        cluster_id=kubernetes.cluster_id(config),
        cluster_secret=kubernetes.cluster_secret(config).reveal(),
        machine_token=machine.token.reveal(),
        bootstrap_token=kubernetes.bootstrap_token(config).reveal(),
        secretbox_secret=encryption.secretbox.reveal(),
        os=own,
        kubernetes=pair("cluster.ca", kubernetes_secrets.kubernetes_ca(config)),
        aggregator=pair("cluster.aggregatorCA", kubernetes_secrets.aggregator_ca(config)),
        etcd=pair("cluster.etcd.ca", kubernetes_secrets.etcd_ca(config)),
        service_account=kubernetes_secrets.service_accounts(config).key.reveal(),
        aescbc_secret=encryption.aescbc.reveal(),
    )


def with_kubernetes_pki(secrets: Secrets, files: Mapping[str, str]) -> Secrets:
    """The same with the authorities of a cluster that kubeadm made: texts by path below /etc/kubernetes/pki."""

    def text(name: str) -> str:
        if name not in files:
            raise SecretsError(f"{name} is missing among the files of the Kubernetes PKI")
        return files[name]

    def pair(stem: str) -> Keypair:
        return Keypair(text(f"{stem}.crt"), text(f"{stem}.key"))

    return msgspec.structs.replace(
        secrets,
        kubernetes=pair("ca"),
        aggregator=pair("front-proxy-ca"),
        etcd=pair("etcd/ca"),
        service_account=text("sa.key"),
    )


def _random_base64(size: int) -> str:
    return base64.b64encode(os.urandom(size)).decode()


def _new_p256_key() -> str:
    from cryptography.hazmat.primitives.asymmetric import ec

    return _key_pem(ec.generate_private_key(ec.SECP256R1()))


def _key_pem(key: Any) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return pem.decode()


def _new_p256_ca(organization: str) -> Keypair:
    """A self-signed authority for Kubernetes' own PKI."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    name = x509.Name(attributes or [x509.NameAttribute(NameOID.COMMON_NAME, "front-proxy")])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    start = datetime.now(UTC) - timedelta(minutes=1)
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(seconds=CA_LIFETIME))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Keypair(certificate.public_bytes(Encoding.PEM).decode(), _key_pem(key))

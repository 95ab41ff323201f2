"""Certificates for Kubernetes and etcd: any subject, keys that are made here, authorities of any usual kind.

`dozen.machinery.pki` is for the machine API, where every key is Ed25519. Kubernetes' own PKI has ECDSA keys (P-256: a
signature costs a twentieth of RSA's under emulation), and people bring authorities of their own, which are mostly RSA.
So a key is DER as it stands in its PEM file, and what is done with it is up to `Keys`: libcrypto by way of the launcher
on a node (`use`), `cryptography` elsewhere.

Object identifiers: RFC 5480 (EC keys), RFC 5758 (ECDSA with SHA-256), RFC 8017 (RSA).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from typing import Protocol

from dozen.machinery import der, pki, x509
from dozen.machinery.addresses import pack_address
from dozen.machinery.pki import BACKDATE, CERTIFICATE_LABEL, Keypair, PkiError

EC_LABEL = "EC PRIVATE KEY"
PUBLIC_LABEL = "PUBLIC KEY"
KEY_LABELS = (EC_LABEL, "RSA PRIVATE KEY", "PRIVATE KEY", pki.KEY_LABEL)

SERVER, CLIENT = (x509.SERVER_AUTH,), (x509.CLIENT_AUTH,)
BOTH = SERVER + CLIENT

_EC_KEY, _ECDSA_SHA256 = "1.2.840.10045.2.1", "1.2.840.10045.4.3.2"
_RSA_KEY, _RSA_SHA256 = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.11"


class Keys(Protocol):
    """Private keys in DER. ``sign`` hashes with SHA-256 unless the key is Ed25519, which hashes by itself."""

    def generate(self) -> bytes:
        """A new P-256 key (SEC 1)."""
        ...

    def public_key(self, key: bytes) -> bytes:
        """SubjectPublicKeyInfo. Raises ValueError for what is no key."""
        ...

    def sign(self, key: bytes, message: bytes) -> bytes: ...


_keys: Keys | None = None


def use(keys: Keys | None) -> None:
    """Do everything with these from now on; None returns to the library."""
    global _keys
    _keys = keys


def new_key() -> str:
    """A P-256 key, PEM."""
    return pki.to_pem(EC_LABEL, _chosen().generate())


def key_bytes(pem: str) -> bytes:
    """The first private key of a PEM text, DER. Raises PkiError."""
    for label, data in pki.from_pem(pem):
        if label in KEY_LABELS:
            return data
    raise PkiError("expected a PEM private key, found none")


def public_pem(key: str) -> str:
    """The public half of a private key, PEM. Raises PkiError."""
    return pki.to_pem(PUBLIC_LABEL, _public(key))


def matches(pair: Keypair) -> bool:
    """Whether the key belongs to the certificate. Raises PkiError for what is neither."""
    return _public(pair.key) == pki.certificate(pair.crt).public_key


def check_authority(ca: Keypair, what: str) -> None:
    """Raise PkiError unless this can sign certificates; ``what`` names it for the message."""
    try:
        authority = pki.certificate(ca.crt)
        if not authority.is_ca:
            raise PkiError("the certificate is not an authority's")
        if not matches(ca):
            raise PkiError("the key is not the certificate's")
        _algorithm_of(authority.public_key)
    except PkiError as error:
        raise PkiError(f"{what}: {error}") from None


def issue(
    ca: Keypair,
    common_name: str = "",
    *,
    lifetime: float,
    organizations: Sequence[str] = (),
    usages: tuple[str, ...] = CLIENT,
    names: Iterable[str] = (),
    now: int | None = None,
) -> Keypair:
    """A certificate with a key of its own. ``names`` are addresses and DNS names as they come; ``lifetime`` is seconds.

    It never outlives its authority. Raises PkiError when the authority cannot be used.
    """
    authority = pki.certificate(ca.crt)
    ca_key, key = key_bytes(ca.key), _chosen().generate()
    start = int(time.time()) if now is None else now
    dns, addresses = _split(names)
    request = x509.Request(
        subject=x509.Name(tuple(organizations), common_name),
        public_key=_chosen().public_key(key),
        not_before=max(start - BACKDATE, authority.not_before),
        not_after=min(start + int(lifetime), authority.not_after),
        # 127 random bits: unguessable and positive (RFC 5280 allows 20 bytes).
        serial=int.from_bytes(os.urandom(16), "big") >> 1,
        usages=usages,
        dns=dns,
        addresses=addresses,
    )
    data = x509.assemble(
        request,
        authority.subject_der,
        # What the authority calls its key; libraries compare the two bit by bit, so it is not computed anew.
        authority.subject_key_id,
        _algorithm_of(authority.public_key),
        lambda body: _chosen().sign(ca_key, body),
    )
    return Keypair(pki.to_pem(CERTIFICATE_LABEL, data), pki.to_pem(EC_LABEL, key))


def _split(names: Iterable[str]) -> tuple[list[str], list[bytes]]:
    dns, addresses = [], []
    for name in dict.fromkeys(names):
        try:
            addresses.append(pack_address(name)[1])
        except ValueError:
            # A name of another kind than DNS allows would make the whole certificate invalid.
            if name and name.isascii():
                dns.append(name)
    return dns, list(dict.fromkeys(addresses))


def _algorithm_of(public_key: bytes) -> bytes:
    """How a key of this kind signs, as certificates name it."""
    algorithm, *_ = der.read_all(der.read_whole(public_key, der.SEQUENCE).content)
    kind = der.read_oid(next(der.read_all(algorithm.content)))
    if kind == x509.ED25519:
        return der.sequence(der.oid(x509.ED25519))
    if kind == _EC_KEY:
        return der.sequence(der.oid(_ECDSA_SHA256))
    if kind == _RSA_KEY:
        return der.sequence(der.oid(_RSA_SHA256), der.encode(der.NULL))
    raise PkiError(f"the authority's key is of an unknown kind ({kind}); known are EC, RSA and Ed25519")


def _public(key: str) -> bytes:
    data = key_bytes(key)
    try:
        return _chosen().public_key(data)
    except ValueError as error:
        raise PkiError(f"the private key cannot be read: {error}") from None


def _chosen() -> Keys:
    global _keys
    if _keys is None:
        try:
            from dozen.machinery.library_keys import LibraryKeys
        except ImportError:
            raise PkiError("nothing here knows keys: call use() first, or install cryptography") from None
        _keys = LibraryKeys()
    return _keys

"""Certificate requests (PKCS #10) for the machine API, made and answered offline by clients.

A node answers requests with code of its own; this is for people with files, so it may use the library.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from dozen.machinery.pki import BACKDATE, Keypair, PkiError, seed_of, to_pem

_Library = Any


def make_request(key_pem: str, organizations: Sequence[str], addresses: Sequence[str]) -> str:
    """A request (PEM) for an Ed25519 key. Raises PkiError for a key or an address that is none."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    builder = x509.CertificateSigningRequestBuilder(_name(organizations))
    if addresses:
        builder = builder.add_extension(_alternatives(addresses), critical=False)
    pem: bytes = builder.sign(_private_key(key_pem), None).public_bytes(Encoding.PEM)
    return pem.decode()


def sign_request(ca: Keypair, request_pem: str, lifetime: int) -> str:
    """The certificate (PEM) for a request: a client's when it names organizations (roles), else a server's."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    try:
        request = x509.load_pem_x509_csr(request_pem.encode())
        issuer = x509.load_pem_x509_certificate(ca.crt.encode())
    except ValueError as error:
        raise PkiError(f"cannot be read: {error}") from None
    if not request.is_signature_valid:
        raise PkiError("the request is not signed by the key that it is for")
    is_client = bool(request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    usage = ExtendedKeyUsageOID.CLIENT_AUTH if is_client else ExtendedKeyUsageOID.SERVER_AUTH
    builder = _builder(request.subject, issuer.subject, request.public_key(), lifetime)
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if not is_client:
        for extension in request.extensions:
            if isinstance(extension.value, x509.SubjectAlternativeName):
                builder = builder.add_extension(extension.value, critical=False)
    pem: bytes = builder.sign(_private_key(ca.key), None).public_bytes(Encoding.PEM)
    return pem.decode()


def self_signed(organization: str, addresses: Sequence[str], lifetime: int) -> Keypair:
    """A server's certificate that nobody vouches for."""
    import os

    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import ExtendedKeyUsageOID

    from dozen.machinery.pki import KEY_LABEL
    from dozen.machinery.x509 import private_key

    pem = to_pem(KEY_LABEL, private_key(os.urandom(32)))
    key, name = _private_key(pem), _name([organization])
    builder = _builder(name, name, key.public_key(), lifetime)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    if addresses:
        builder = builder.add_extension(_alternatives(addresses), critical=False)
    return Keypair(builder.sign(key, None).public_bytes(Encoding.PEM).decode(), pem)


def _builder(subject: _Library, issuer: _Library, public_key: _Library, lifetime: int) -> _Library:
    from cryptography import x509

    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    start = datetime.now(UTC) - timedelta(seconds=BACKDATE)
    return (
        x509.CertificateBuilder(issuer, subject, public_key, x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(seconds=lifetime))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
    )


def _name(organizations: Sequence[str]) -> _Library:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations])


def _alternatives(addresses: Sequence[str]) -> _Library:
    from cryptography import x509

    try:
        return x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(each)) for each in addresses])
    except ValueError as error:
        raise PkiError(str(error)) from None


def _private_key(pem: str) -> _Library:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed_of(pem))

"""The public-key infrastructure of the machine API: authorities, server and client certificates, PEM.

A cluster has an *OS CA* (Ed25519, subject ``O=talos``, ten years). Nodes present server certificates of it that are
good for serverAuth only; people and programs present client certificates that are good for clientAuth only and whose
organizations are their roles. One bit of history is part of the format: a private key's PEM label is ``ED25519
PRIVATE KEY`` although its content is PKCS#8, so that label is read and written as found in the field, and `tls_key`
relabels for libraries that know only ``PRIVATE KEY``.

Certificates are built by `dozen.machinery.x509`. The signing itself is a `Primitive`: `cryptography` where nothing
else is said, and on the node what its launcher brings along (`use`), because importing a library costs half a second
there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from dozen.machinery import der, x509

YEAR = 365 * 24 * 3600
CA_LIFETIME = 10 * YEAR
ADMIN_LIFETIME = YEAR
NODE_LIFETIME = 24 * 3600
# A certificate is valid from a little before it was made: the clocks of two machines are never quite the same.
BACKDATE = 60
KEY_LABEL = "ED25519 PRIVATE KEY"
CERTIFICATE_LABEL = "CERTIFICATE"


class PkiError(ValueError):
    """PEM, a key or a certificate that cannot be used; the message says why."""


class Primitive(Protocol):
    """Ed25519 (RFC 8032): a 32-byte seed is the private key."""

    def public_key(self, seed: bytes) -> bytes: ...

    def sign(self, seed: bytes, message: bytes) -> bytes: ...


class Keypair:
    """A certificate and its private key, both PEM text."""

    __slots__ = ("crt", "key")

    def __init__(self, crt: str, key: str) -> None:
        self.crt = crt
        self.key = key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Keypair) and (other.crt, other.key) == (self.crt, self.key)

    def __hash__(self) -> int:
        return hash((self.crt, self.key))

    def __repr__(self) -> str:
        return f"Keypair(crt={self.crt!r}, key=<hidden>)"


_primitive: Primitive | None = None


def use(primitive: Primitive | None) -> None:
    """Sign with this from now on; None returns to the library."""
    global _primitive
    _primitive = primitive


def new_ca(*, organization: str = "talos", lifetime: int = CA_LIFETIME, now: int | None = None) -> Keypair:
    """A self-signed Ed25519 authority."""
    seed = os.urandom(32)
    public = _chosen().public_key(seed)
    subject = x509.Name((organization,))
    start, end = _validity(lifetime, now)
    request = x509.Request(
        subject=subject,
        public_key=public,
        not_before=start,
        not_after=end,
        serial=_serial(),
        is_ca=True,
        usages=_BOTH_USAGES,
    )
    certificate = x509.build(request, x509.name_der(subject), public, lambda body: _chosen().sign(seed, body))
    return Keypair(to_pem(CERTIFICATE_LABEL, certificate), to_pem(KEY_LABEL, x509.private_key(seed)))


def server_certificate(
    ca: Keypair,
    sans_ips: Sequence[str] = (),
    sans_dns: Sequence[str] = (),
    lifetime: int = NODE_LIFETIME,
    *,
    common_name: str = "",
    now: int | None = None,
) -> Keypair:
    """A certificate for a server at these addresses and names; serverAuth only."""
    addresses = [address_bytes(text) for text in sans_ips]
    return _issue(ca, x509.Name((), common_name), (x509.SERVER_AUTH,), lifetime, now, sans_dns, addresses)


def client_certificate(
    ca: Keypair, roles: Sequence[str], lifetime: int = ADMIN_LIFETIME, *, now: int | None = None
) -> Keypair:
    """A certificate whose organizations are the roles of who presents it; clientAuth only."""
    if not roles:
        raise PkiError("a client certificate needs at least one role, os:reader for one")
    return _issue(ca, x509.Name(tuple(roles)), (x509.CLIENT_AUTH,), lifetime, now)


def certify_server(
    ca: Keypair, public_key: bytes, dns: Sequence[str], addresses: Sequence[bytes], lifetime: int = NODE_LIFETIME
) -> str:
    """A certificate (PEM) for a server that made its key itself; addresses are 4 or 16 raw bytes."""
    return _certify(ca, public_key, x509.Name(), (x509.SERVER_AUTH,), lifetime, None, dns, addresses)


def new_key() -> tuple[str, bytes, Callable[[bytes], bytes]]:
    """A new Ed25519 key: PEM, its public half (raw), and how to sign with it."""
    seed = os.urandom(32)
    pem = to_pem(KEY_LABEL, x509.private_key(seed))
    return pem, _chosen().public_key(seed), lambda message: _chosen().sign(seed, message)


def to_pem(label: str, data: bytes) -> str:
    import binascii

    text = binascii.b2a_base64(data, newline=False).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def from_pem(text: str) -> list[tuple[str, bytes]]:
    """All blocks of a PEM text: (label, content). Text around them is skipped, as it is everywhere."""
    import binascii

    blocks: list[tuple[str, bytes]] = []
    label = ""
    body: list[str] = []
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("-----BEGIN ") and line.endswith("-----"):
            label, body = line[11:-5], []
        elif label and line == f"-----END {label}-----":
            try:
                blocks.append((label, binascii.a2b_base64("".join(body), strict_mode=True)))
            except ValueError as error:  # binascii's own is one too; beyond ASCII it is a plain one
                raise PkiError(f"a PEM block {label} is not base64: {error}") from None
            label = ""
        elif label:
            body.append(line)
    if label:
        raise PkiError(f"a PEM block {label} has no end")
    return blocks


def certificates(pem: str) -> list[bytes]:
    """The certificates of a PEM text in DER; raises PkiError when there are none."""
    found = [data for label, data in from_pem(pem) if label == CERTIFICATE_LABEL]
    if not found:
        raise PkiError("expected a PEM certificate, found none")
    return found


def certificate(pem: str) -> x509.Certificate:
    """The first certificate of a PEM text, parsed."""
    try:
        return x509.read(certificates(pem)[0])
    except (der.DerError, ValueError) as error:
        raise PkiError(f"the certificate cannot be read: {error}") from None


def tls_key(pem: str) -> str:
    """A private key under the label that TLS libraries know; other keys are passed on as they are."""
    return pem.replace(f" {KEY_LABEL}-----", " PRIVATE KEY-----")


def fingerprint(pem: str) -> str:
    """SHA-256 of the first certificate, as people compare it: hexadecimal."""
    import hashlib

    return hashlib.sha256(certificates(pem)[0]).hexdigest()


def key_fingerprint(pem: str) -> str:
    """SHA-256 of the first certificate's public key info, base64: survives a renewal with the same key."""
    import binascii
    import hashlib

    digest = hashlib.sha256(certificate(pem).public_key).digest()
    return binascii.b2a_base64(digest, newline=False).decode()


def seed_of(pem: str) -> bytes:
    """The seed in an Ed25519 private key, under either label."""
    for label, data in from_pem(pem):
        if label in (KEY_LABEL, "PRIVATE KEY"):
            try:
                return x509.read_private_key(data)
            except ValueError as error:
                raise PkiError(f"the private key cannot be read: {error}") from None
    raise PkiError("expected a PEM private key, found none")


def matches(pair: Keypair) -> bool:
    """Whether the key belongs to the certificate."""
    try:
        return _chosen().public_key(seed_of(pair.key)) == certificate(pair.crt).raw_key
    except der.DerError:
        return False


_BOTH_USAGES = (x509.SERVER_AUTH, x509.CLIENT_AUTH)


def _issue(
    ca: Keypair,
    subject: x509.Name,
    usages: tuple[str, ...],
    lifetime: int,
    now: int | None,
    dns: Sequence[str] = (),
    addresses: Sequence[bytes] = (),
) -> Keypair:
    key, public, _ = new_key()
    return Keypair(_certify(ca, public, subject, usages, lifetime, now, dns, addresses), key)


def _certify(
    ca: Keypair,
    public_key: bytes,
    subject: x509.Name,
    usages: tuple[str, ...],
    lifetime: int,
    now: int | None,
    dns: Sequence[str],
    addresses: Sequence[bytes],
) -> str:
    authority = certificate(ca.crt)
    ca_seed = seed_of(ca.key)
    ca_public = _chosen().public_key(ca_seed)
    if not authority.is_ca or authority.raw_key != ca_public:
        raise PkiError("the authority's certificate is not a CA certificate for its key")
    start, end = _validity(lifetime, now)
    request = x509.Request(
        subject=subject,
        public_key=public_key,
        not_before=max(start, authority.not_before),
        not_after=min(end, authority.not_after),
        serial=_serial(),
        usages=usages,
        dns=dns,
        addresses=addresses,
    )
    body = x509.build(request, authority.subject_der, ca_public, lambda data: _chosen().sign(ca_seed, data))
    return to_pem(CERTIFICATE_LABEL, body)


def _validity(lifetime: int, now: int | None) -> tuple[int, int]:
    start = int(time.time()) if now is None else now
    return start - BACKDATE, start + lifetime


def _serial() -> int:
    """127 random bits: unguessable and positive (RFC 5280 allows 20 bytes)."""
    return int.from_bytes(os.urandom(16), "big") >> 1


def address_bytes(text: str) -> bytes:
    """The 4 or 16 bytes of an address. Raises PkiError."""
    import socket

    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        return socket.inet_pton(family, text)
    except OSError:
        raise PkiError(f'"{text}" is not an IP address') from None


def _chosen() -> Primitive:
    global _primitive
    if _primitive is None:
        _primitive = _Library()
    return _primitive


class _Library:
    """Ed25519 by `cryptography`, imported when first needed. A node has no such library and says `use`."""

    def public_key(self, seed: bytes) -> bytes:
        return bytes(_library_key(seed).public_key().public_bytes_raw())

    def sign(self, seed: bytes, message: bytes) -> bytes:
        return bytes(_library_key(seed).sign(message))


def _library_key(seed: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError:
        raise PkiError("nothing here signs with Ed25519: call use() first, or install cryptography") from None
    return Ed25519PrivateKey.from_private_bytes(seed)

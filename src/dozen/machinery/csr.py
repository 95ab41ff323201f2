"""Certificate signing requests (PKCS #10, RFC 2986): made, read and answered by nodes.

A worker holds no authority's key, so it makes a key of its own and asks a control plane. What it asks for is taken with
care: the names it serves under are, who it says it is, is not. Who signs, or approves, must know every name that would
be in the certificate, so a request with a kind of name that is not understood here is refused instead of read in part.

The request's own signature is not verified: it shows that the asker holds the key, and a certificate for a key that one
does not hold is of no use to anybody. (People with files have `pki_requests`, which uses a library.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dozen.machinery import der, pki, x509

LABEL = "CERTIFICATE REQUEST"
# extensionRequest (RFC 2985, 5.4.2): an attribute that holds extensions as a certificate would.
EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
_DNS, _ADDRESS = 0x82, 0x87
_MOST_NAMES = 256
_KEY_FIELD = 2


class CertificateRequest(NamedTuple):
    """The names of a request; addresses are 4 or 16 raw bytes."""

    common_name: str
    organizations: tuple[str, ...]
    dns: tuple[str, ...]
    addresses: tuple[bytes, ...]


def read_request(data: bytes) -> CertificateRequest:
    """Parse a request in DER. Raises DerError for what is not one, or not understood whole."""
    info = _inside(der.read_whole(data, der.SEQUENCE), 3)[0]
    fields = _inside(der.expect(info, der.SEQUENCE), 3)
    common, organizations = _read_subject(fields[1])
    dns: list[str] = []
    addresses: list[bytes] = []
    for attributes in fields[3:]:
        for name in _alternative_names(attributes):
            if name.tag == _DNS:
                dns.append(der.read_text(name))
            elif name.tag == _ADDRESS and len(name.content) in (4, 16):
                addresses.append(name.content)
            else:
                raise der.DerError("the request asks for names that are neither DNS names nor addresses")
    return CertificateRequest(common, organizations, tuple(dns), tuple(addresses))


def make_request(addresses: Sequence[str], dns: Sequence[str]) -> tuple[str, str]:
    """A new key and a request for it, both PEM."""
    key, public, sign = pki.new_key()
    names = [der.context(2, name.encode("ascii"), constructed=False) for name in dns]
    names += [der.context(7, pki.address_bytes(text), constructed=False) for text in addresses]
    extension = der.sequence(der.oid(x509.ALT_NAMES), der.octet_string(der.sequence(*names)))
    wish = der.sequence(der.oid(EXTENSION_REQUEST), der.set_of(der.sequence(extension)))
    body = der.sequence(der.integer(0), x509.name_der(x509.Name()), x509.key_info(public), der.context(0, wish))
    data = der.sequence(body, der.sequence(der.oid(x509.ED25519)), der.bit_string(sign(body)))
    return key, pki.to_pem(LABEL, data)


def sign_request(ca: pki.Keypair, pem: str, lifetime: int = pki.NODE_LIFETIME) -> str:
    """A certificate for serving with the request's key, under its names; PEM. Raises PkiError."""
    found = [data for label, data in pki.from_pem(pem) if label in (LABEL, f"NEW {LABEL}")]
    if len(found) != 1:
        raise pki.PkiError("expected one certificate request in PEM")
    try:
        wanted = read_request(found[0])
        body = next(der.read_all(der.read_whole(found[0], der.SEQUENCE).content))
        key = list(der.read_all(body.content))[_KEY_FIELD]
        public = der.expect(key, der.SEQUENCE).whole
    except ValueError as error:
        raise pki.PkiError(f"the certificate request cannot be read: {error}") from None
    if len(wanted.dns) + len(wanted.addresses) > _MOST_NAMES:
        raise pki.PkiError(f"the certificate request has more than {_MOST_NAMES} names")
    if not wanted.dns and not wanted.addresses:
        raise pki.PkiError("the certificate request names nothing to serve as")
    return pki.certify_server(ca, public, wanted.dns, wanted.addresses, lifetime)


def _read_subject(element: der.Element) -> tuple[str, tuple[str, ...]]:
    common: list[str] = []
    organizations: list[str] = []
    for group in _inside(der.expect(element, der.SEQUENCE)):
        for attribute in _inside(der.expect(group, der.SET)):
            kind, value = _pair(attribute)
            found = {x509.COMMON_NAME: common, x509.ORGANIZATION: organizations}.get(der.read_oid(kind))
            if found is None:
                raise der.DerError("the request's subject has more than common name and organizations")
            found.append(der.read_text(value))
    if len(common) > 1:
        raise der.DerError("the request's subject has more than one common name")
    return "".join(common), tuple(organizations)


def _alternative_names(attributes: der.Element) -> list[der.Element]:
    found = []
    for attribute in der.read_all(attributes.content):
        kind, values = _pair(attribute)
        if der.read_oid(kind) != EXTENSION_REQUEST:
            continue
        for extensions in _inside(der.expect(values, der.SET)):
            for extension in _inside(der.expect(extensions, der.SEQUENCE)):
                parts = _inside(der.expect(extension, der.SEQUENCE), 2)
                if der.read_oid(parts[0]) == x509.ALT_NAMES:
                    found += _inside(der.read_whole(parts[-1].content, der.SEQUENCE))
    return found


def _pair(element: der.Element) -> tuple[der.Element, der.Element]:
    found = _inside(der.expect(element, der.SEQUENCE), 2)
    if len(found) > 2:
        raise der.DerError("the request has more fields than are known")
    return found[0], found[1]


def _inside(element: der.Element, least: int = 0) -> list[der.Element]:
    """The values in one; DerError when there are fewer than ``least``."""
    found = list(der.read_all(element.content))
    if len(found) < least:
        raise der.DerError("the request lacks fields")
    return found

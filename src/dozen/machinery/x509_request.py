"""Certificate signing requests of nodes (PKCS #10, RFC 2986): made on a worker, answered on a control plane.

A worker holds no authority's key, so it makes a key of its own and asks. What it asks for is taken with care: the names
it serves under are, who it says it is, is not. The request's own signature is not verified: it shows that the asker
holds the key, and a certificate for a key that one does not hold is of no use to anybody.
"""

from __future__ import annotations

from collections.abc import Sequence

from dozen.machinery import csr, der, pki, x509

LABEL = "CERTIFICATE REQUEST"
# extensionRequest (RFC 2985, 5.4.2): an attribute that holds extensions as a certificate would.
EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
_MOST_NAMES = 256
_KEY_FIELD = 2


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
        wanted = csr.read_request(found[0])
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

"""A certificate and a key that are the same in each run, for inputs that need one."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dozen.machinery import der, pki, x509

SEED = bytes(range(32))
NAME = x509.Name(("os:admin",), "n1")
_KEY = Ed25519PrivateKey.from_private_bytes(SEED)
_PUBLIC = _KEY.public_key().public_bytes_raw()
CERTIFICATE = x509.build(
    x509.Request(
        subject=NAME,
        public_key=_PUBLIC,
        not_before=1_700_000_000,
        not_after=2_700_000_000,
        serial=7,
        is_ca=True,
        usages=(x509.CLIENT_AUTH,),
        dns=("n1",),
        addresses=(b"\n\0\0\1",),
    ),
    x509.name_der(NAME),
    _PUBLIC,
    _KEY.sign,
)
KEY = x509.private_key(SEED)
CERTIFICATE_PEM, KEY_PEM = pki.to_pem("CERTIFICATE", CERTIFICATE), pki.to_pem(pki.KEY_LABEL, KEY)
CERTIFICATE_BASE64 = base64.b64encode(CERTIFICATE_PEM.encode()).decode()


def request() -> bytes:
    """A signing request for the name n1; its signature is none."""
    names = der.sequence(der.context(2, b"n1", constructed=False))
    extensions = der.sequence(der.sequence(der.oid("2.5.29.17"), der.octet_string(names)))
    algorithm = der.sequence(der.oid(x509.ED25519))
    info = der.sequence(
        der.integer(0),
        x509.name_der(x509.Name(("system:nodes",), "n1")),
        der.sequence(algorithm, der.bit_string(bytes(32))),
        der.context(0, der.sequence(der.oid("1.2.840.113549.1.9.14"), der.set_of(extensions))),
    )
    return der.sequence(info, algorithm, der.bit_string(bytes(64)))

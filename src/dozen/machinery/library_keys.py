"""`dozen.machinery.certificates.Keys` by the library `cryptography`, for clients and tests: no node has it."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)


class LibraryKeys:
    """Keys are DER: P-256, RSA and Ed25519."""

    def generate(self) -> bytes:
        key = ec.generate_private_key(ec.SECP256R1())
        return key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())

    def public_key(self, key: bytes) -> bytes:
        public = load_der_private_key(key, None).public_key()
        return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, key: bytes, message: bytes) -> bytes:
        """Raises ValueError for a key of any other kind."""
        private = load_der_private_key(key, None)
        if isinstance(private, ec.EllipticCurvePrivateKey):
            return private.sign(message, ec.ECDSA(hashes.SHA256()))
        if isinstance(private, rsa.RSAPrivateKey):
            return private.sign(message, padding.PKCS1v15(), hashes.SHA256())
        if isinstance(private, Ed25519PrivateKey):
            return private.sign(message)
        raise ValueError("a key of a kind that does not sign")

"""Just enough OpenPGP (RFC 4880) to sign an archive's index with a throw-away key: version 4, RSA, SHA-256.

What verifies is the real gpgv or sqv. A key that signs cannot be made with those, and GnuPG's other half is not on all
computers that build, so packets are written here. Times are seconds since the epoch; 0 for a duration is no end.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

RSA, SHA256 = 1, 8
SIGNATURE, PUBLIC_KEY, USER_ID = 2, 6, 13
TEXT, POSITIVE_CERTIFICATION = 0x01, 0x13
# Subpackets of a signature (section 5.2.3.1), and what a key may be used for: to certify and to sign.
CREATED, EXPIRES, KEY_EXPIRES, ISSUER, KEY_FLAGS = 2, 3, 9, 16, 27
CERTIFY_AND_SIGN = b"\x03"


@dataclass(frozen=True)
class SigningKey:
    """A key of somebody called ``name``, made at ``created`` and good for ``lifetime`` seconds."""

    name: str
    created: int
    lifetime: int = 0

    @cached_property
    def _private(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(65537, 2048)

    @cached_property
    def _body(self) -> bytes:
        numbers = self._private.public_key().public_numbers()
        return b"\4" + self.created.to_bytes(4, "big") + bytes([RSA]) + _integer(numbers.n) + _integer(numbers.e)

    @property
    def _hashed_body(self) -> bytes:
        return b"\x99" + len(self._body).to_bytes(2, "big") + self._body

    def public(self) -> bytes:
        """The key as a keyring has it."""
        name = self.name.encode()
        about = self._hashed_body + b"\xb4" + len(name).to_bytes(4, "big") + name
        use = [_subpacket(KEY_FLAGS, CERTIFY_AND_SIGN)]
        if self.lifetime:
            use.append(_subpacket(KEY_EXPIRES, self.lifetime.to_bytes(4, "big")))
        certified = self._sign(POSITIVE_CERTIFICATION, about, self.created, use)
        return _packet(PUBLIC_KEY, self._body) + _packet(USER_ID, name) + certified

    def clear_sign(self, text: str, *others: SigningKey, when: int, lifetime: int = 0) -> bytes:
        """``text`` and its signature, as InRelease has them; ``others`` sign too."""
        lines = text.rstrip("\n").split("\n")
        meant = "\r\n".join(line.rstrip(" \t") for line in lines).encode()
        ends = [_subpacket(EXPIRES, lifetime.to_bytes(4, "big"))] if lifetime else []
        packets = b"".join(key._sign(TEXT, meant, when, ends) for key in (self, *others))
        shown = "\n".join("- " + line if line.startswith("-") else line for line in lines)
        armour = base64.encodebytes(packets).decode() + "=" + base64.b64encode(_crc24(packets)).decode()
        return (
            f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{shown}\n"
            f"-----BEGIN PGP SIGNATURE-----\n\n{armour}\n-----END PGP SIGNATURE-----\n"
        ).encode()

    def _sign(self, kind: int, data: bytes, when: int, more: list[bytes]) -> bytes:
        hashed = b"".join([_subpacket(CREATED, when.to_bytes(4, "big")), *more])
        head = bytes([4, kind, RSA, SHA256]) + len(hashed).to_bytes(2, "big") + hashed
        signed = data + head + b"\4\xff" + len(head).to_bytes(4, "big")
        issuer = _subpacket(ISSUER, hashlib.sha1(self._hashed_body).digest()[-8:])  # section 12.2, no choice of ours
        value = int.from_bytes(self._private.sign(signed, padding.PKCS1v15(), hashes.SHA256()), "big")
        start = hashlib.sha256(signed).digest()[:2]
        return _packet(SIGNATURE, head + len(issuer).to_bytes(2, "big") + issuer + start + _integer(value))


def write_keyring(path: Path, *keys: SigningKey) -> Path:
    """Write a keyring of these keys."""
    path.write_bytes(b"".join(key.public() for key in keys))
    return path


def _packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag]) + b"\xff" + len(body).to_bytes(4, "big") + body


def _subpacket(kind: int, data: bytes) -> bytes:
    return bytes([len(data) + 1, kind]) + data


def _integer(value: int) -> bytes:
    return value.bit_length().to_bytes(2, "big") + value.to_bytes((value.bit_length() + 7) // 8, "big")


def _crc24(data: bytes) -> bytes:
    """The checksum behind armour (section 6.1)."""
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc = (crc << 1) ^ (0x1864CFB if crc & 0x800000 else 0)
    return (crc & 0xFFFFFF).to_bytes(3, "big")

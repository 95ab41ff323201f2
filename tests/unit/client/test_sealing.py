"""Encrypted files: who can read them, and who cannot."""

from __future__ import annotations

import io

import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from dozen.client.sealing import read_recipient, seal

SECRET = b"what a cluster is made of\n" * 10_000


def sealed(*recipients: str) -> bytes:
    target = io.BytesIO()
    seal(io.BytesIO(SECRET), target, [read_recipient(text) for text in recipients])
    return target.getvalue()


def test_each_recipient_reads_it_and_nobody_else() -> None:
    one, two, other = (pyrage.x25519.Identity.generate() for _ in range(3))
    packed = sealed(str(one.to_public()), str(two.to_public()))
    assert SECRET[:20] not in packed
    assert pyrage.decrypt(packed, [one]) == pyrage.decrypt(packed, [two]) == SECRET
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(packed, [other])


def test_ssh_keys_do_as_well() -> None:
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    packed = sealed(f"{public} somebody@example.com\n")
    assert pyrage.decrypt(packed, [pyrage.ssh.Identity.from_buffer(private)]) == SECRET


@pytest.mark.parametrize("text", ["", "age1", "ssh-ed25519 AAAA", "/root/.ssh/id_ed25519.pub"])
def test_anything_else_is_told_what_a_key_looks_like(text: str) -> None:
    with pytest.raises(ValueError, match=r"no public key .*: give one of age1"):
        read_recipient(text)

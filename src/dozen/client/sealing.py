"""Files that only those can read whom they are for: the age format, which `age` and `rage` open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, TypeAlias

from pyrage import RecipientError, encrypt_io, ssh, x25519

Recipient: TypeAlias = x25519.Recipient | ssh.Recipient


def read_recipient(text: str) -> Recipient:
    """A public key: of age (``age1…``), or of SSH (``ssh-ed25519 …``, ``ssh-rsa …``). Raises ValueError."""
    kind = ssh.Recipient if text.startswith("ssh-") else x25519.Recipient
    try:
        recipient: Recipient = kind.from_str(text.strip())
    except RecipientError as error:
        raise ValueError(
            f"{text!r} is no public key to encrypt for ({error}): give one of age1…, ssh-ed25519 … or ssh-rsa …"
        ) from None
    return recipient


def seal(source: BinaryIO, target: BinaryIO, recipients: Sequence[Recipient]) -> None:
    """Encrypts all of ``source`` from where it stands: each of the recipients can read it."""
    encrypt_io(source, target, recipients)

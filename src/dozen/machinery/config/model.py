"""What all models of the machine configuration have in common."""

from __future__ import annotations

from typing import Any

import msgspec

from dozen.machinery.config.scalars import PemText, SecretPem

Json = Any
"""Data that is passed on to somebody else's program (a kubelet's configuration, a pod) and not looked into here."""

Arguments = dict[str, str | tuple[str, ...]]
"""Flags for a program: name → value, or values when the flag may be given several times."""


class Model(msgspec.Struct, frozen=True, rename="camel"):
    """A mapping. Python names are snake_case, YAML names camelCase unless a field says otherwise."""


class Document(Model, frozen=True):
    """A document beside the v1alpha1 one; its ``apiVersion`` and ``kind`` chose the model and are not part of it."""


class CertificateAndKey(Model, frozen=True):
    """An authority: PEM on the inside, base64 of it in the text."""

    crt: PemText = ""
    key: SecretPem | None = None


class CertificateOnly(Model, frozen=True):
    crt: PemText = ""


class SecretKey(Model, frozen=True):
    key: SecretPem | None = None

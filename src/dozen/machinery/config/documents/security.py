"""The document that adds certificate authorities to trust."""

from __future__ import annotations

from dozen.machinery.config.model import Document


class TrustedRootsConfig(Document, frozen=True):
    name: str
    certificates: str = ""

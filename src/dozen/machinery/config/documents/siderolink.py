"""The document that connects a machine to a management service."""

from __future__ import annotations

from dozen.machinery.config.model import Document
from dozen.machinery.config.scalars import Url


class SideroLinkConfig(Document, frozen=True):
    api_url: Url = ""
    unique_token: str = ""

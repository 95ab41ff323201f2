"""Documents about hardware: which driver serves which device."""

from __future__ import annotations

from dozen.machinery.config.model import Document


class PCIDriverRebindConfig(Document, frozen=True):
    name: str
    target_driver: str

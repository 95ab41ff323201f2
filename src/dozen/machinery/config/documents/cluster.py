"""Documents about how the machines of a cluster find each other."""

from __future__ import annotations

import msgspec

from dozen.machinery.config.model import Document
from dozen.machinery.config.scalars import Secret


class DiscoveryIdentityConfig(Document, frozen=True):
    cluster_id: str = msgspec.field(name="clusterID")
    cluster_secret: Secret


class DiscoveryServiceConfig(Document, frozen=True):
    name: str
    endpoint: str

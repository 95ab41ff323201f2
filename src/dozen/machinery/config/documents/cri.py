"""Documents about the container runtime: where images come from and how the runtime is tuned."""

from __future__ import annotations

from dozen.machinery.config.model import CertificateAndKey, Document, Json, Model
from dozen.machinery.config.scalars import Secret, Url


class CRIBaseRuntimeSpecConfig(Document, frozen=True):
    overrides: Json = None


class CRICustomizationConfig(Document, frozen=True):
    name: str
    content: str = ""


class LocalImageCacheConfig(Model, frozen=True):
    enabled: bool | None = None


class ImageCacheConfig(Document, frozen=True):
    local: LocalImageCacheConfig | None = None


class RegistryAuthConfig(Document, frozen=True):
    name: str
    username: str = ""
    password: Secret = Secret("")
    auth: Secret = Secret("")
    identity_token: Secret = Secret("")


class RegistryEndpoint(Model, frozen=True):
    url: Url = ""
    override_path: bool | None = None


class RegistryMirrorConfig(Document, frozen=True):
    name: str
    endpoints: tuple[RegistryEndpoint, ...] = ()
    skip_fallback: bool | None = None


class RegistryTLSConfig(Document, frozen=True):
    name: str
    client_identity: CertificateAndKey = CertificateAndKey()
    ca: str = ""
    insecure_skip_verify: bool | None = None

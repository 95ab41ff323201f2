"""What the runtime of pods is told: registries; and what became of the disk of prepared images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dozen.machinery.resource import NO_LABELS, Kind, Sensitivity
from dozen.machinery.resources.secrets import PemPair
from dozen.machinery.resources.spec import Spec

REGISTRIES = "registries"
IMAGE_CACHE = "image-cache"


class MirrorEndpoint(Spec):
    """A mirror's URL; ``override_path``: its path is complete, nothing like ``/v2`` is to be added."""

    endpoint: str = ""
    override_path: bool = False

    WIRE = "1 endpoint string, 2 overridePath bool"


class RegistryMirror(Spec):
    """Where images of a registry are looked for first; ``skip_fallback``: and nowhere else."""

    endpoints: tuple[MirrorEndpoint, ...] = ()
    skip_fallback: bool = False

    WIRE = "1 endpoints [MirrorEndpoint], 3 skipFallback bool omit"


class RegistryAuth(Spec):
    """Who we are to a registry: a name and a password, ``auth`` (both in base64), or an identity token."""

    username: str = ""
    password: str = ""
    auth: str = ""
    identity_token: str = ""

    WIRE = "1 username string omit, 2 password string omit, 3 auth string omit, 4 identityToken string omit"


class RegistryTLS(Spec):
    """How a registry proves itself, and we ourselves to it; PEM."""

    client_identity: PemPair | None = None
    ca: bytes = b""
    insecure_skip_verify: bool = False

    WIRE = "1 clientIdentity PemPair omit, 2 ca bytes omit, 3 insecureSkipVerify bool omit"


class RegistriesConfigSpec(Spec):
    """All that the configuration says of registries, by their names; id ``registries``."""

    mirrors: Mapping[str, RegistryMirror] = NO_LABELS  # type: ignore[assignment]
    auths: Mapping[str, RegistryAuth] = NO_LABELS  # type: ignore[assignment]
    tls: Mapping[str, RegistryTLS] = NO_LABELS  # type: ignore[assignment]

    WIRE = "1 mirrors {RegistryMirror} omit, 2 auths {RegistryAuth} omit, 3 tls {RegistryTLS} omit"


REGISTRIES_CONFIG = Kind(
    "RegistryConfigs.cri.talos.dev",
    "cri",
    RegistriesConfigSpec,
    "RegistryConfig",
    aliases=("registryconfig", "rc", "rcs"),
    sensitivity=Sensitivity.SENSITIVE,
)


class ImageCacheConfigSpec(Spec):
    """Whether images come from a prepared disk; id ``image-cache``.

    ``status`` is unknown, disabled, preparing or ready, ``copy_status`` unknown, skipped, pending or ready.
    """

    status: str = "unknown"
    copy_status: str = "unknown"
    roots: tuple[str, ...] = ()

    WIRE = "1 status enum:ImageCacheStatus, 3 copyStatus enum:ImageCacheCopyStatus, 2 roots [string]"


IMAGE_CACHE_CONFIG = Kind(
    "ImageCacheConfigs.cri.talos.dev",
    "cri",
    ImageCacheConfigSpec,
    "ImageCacheConfig",
    aliases=("imagecacheconfig", "icc", "iccs"),
    columns=(("Status", "{.status}"), ("CopyStatus", "{.copyStatus}"), ("Roots", "{.roots}")),
)


class WrittenFilesSpec(Spec):
    """Files that were written about registries, so that those no longer wanted can be removed; id ``registries``.

    ``credentials`` is the hash of what containerd was told of those, "" for nothing.
    """

    paths: tuple[str, ...] = ()
    credentials: str = ""

    WIRE = "1 paths [string], 2 credentials string"


WRITTEN_FILES = Kind("RegistryFiles.cri.dozen", "cri", WrittenFilesSpec, "RegistryFiles")


class CustomizationConfigSpec(Spec):
    """A part that is laid over containerd's configuration; ids are the documents' names."""

    content: str = ""

    WIRE = "1 content string"


CUSTOMIZATION_CONFIG = Kind(
    "CustomizationConfigs.cri.talos.dev",
    "cri",
    CustomizationConfigSpec,
    "CustomizationConfig",
    aliases=("customizationconfig", "cc", "ccs"),
    sensitivity=Sensitivity.SENSITIVE,
)


class BaseRuntimeSpecConfigSpec(Spec):
    """What containers of pods are given otherwise than containerd would; id ``base-runtime-spec``."""

    object: Mapping[str, Any] = NO_LABELS

    WIRE = "1 object json"


BASE_RUNTIME_SPEC = "base-runtime-spec"
BASE_RUNTIME_SPEC_CONFIG = Kind(
    "BaseRuntimeSpecConfigs.cri.talos.dev",
    "cri",
    BaseRuntimeSpecConfigSpec,
    "BaseRuntimeSpecConfig",
    aliases=("baseruntimespecconfig", "brsc", "brscs"),
)


class SeccompProfileSpec(Spec):
    """A profile that pods may name as ``localhostProfile: profiles/NAME``; ids are the names."""

    name: str = ""
    value: Mapping[str, Any] = NO_LABELS

    WIRE = "1 name string, 2 value json"


SECCOMP_PROFILE = Kind(
    "SeccompProfiles.cri.talos.dev",
    "cri",
    SeccompProfileSpec,
    "SeccompProfile",
    aliases=("seccompprofile", "sp", "sps"),
)

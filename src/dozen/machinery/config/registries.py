"""What a configuration says about container registries: mirrors, credentials, trust."""

from __future__ import annotations

import msgspec

from dozen.machinery.config.effective import find_documents
from dozen.machinery.config.loading import Config
from dozen.machinery.config.scalars import Secret


class Endpoint(msgspec.Struct, frozen=True):
    """A mirror's URL. ``override_path``: its path is complete, nothing like ``/v2`` is to be added."""

    url: str
    override_path: bool = False


class Mirror(msgspec.Struct, frozen=True):
    """Where images of a registry are looked for first; ``skip_fallback``: and nowhere else."""

    endpoints: tuple[Endpoint, ...] = ()
    skip_fallback: bool = False


class Credentials(msgspec.Struct, frozen=True):
    """Any of: name and password, ``auth`` (base64 of both with a colon), an identity token."""

    username: str = ""
    password: Secret = Secret("")
    auth: Secret = Secret("")
    identity_token: Secret = Secret("")


class Trust(msgspec.Struct, frozen=True):
    """How a registry proves itself and who we are to it; PEM texts."""

    ca: str = ""
    client_crt: str = ""
    client_key: Secret = Secret("")
    insecure_skip_verify: bool = False


class Registries(msgspec.Struct, frozen=True):
    """By name of a registry: a mirror's is the one in image names (``docker.io``, ``*`` for all), the others' are the
    host (and port) that is connected to."""

    mirrors: dict[str, Mirror] = {}
    credentials: dict[str, Credentials] = {}
    trust: dict[str, Trust] = {}


def registries(config: Config) -> Registries:
    mirrors: dict[str, Mirror] = {}
    credentials: dict[str, Credentials] = {}
    trust: dict[str, Trust] = {}
    if config.machine:
        for name, said in config.machine.registries.mirrors.items():
            ends = tuple(Endpoint(url, bool(said.override_path)) for url in said.endpoints)
            mirrors[name] = Mirror(ends, bool(said.skip_fallback))
        for name, access in config.machine.registries.config.items():
            if access.auth:
                auth = access.auth
                credentials[name] = Credentials(auth.username, auth.password, auth.auth, auth.identity_token)
            if access.tls:
                identity = access.tls.client_identity
                trust[name] = Trust(
                    access.tls.ca,
                    identity.crt if identity else "",
                    (identity.key if identity else None) or Secret(""),
                    bool(access.tls.insecure_skip_verify),
                )
    for each in find_documents(config, "RegistryMirrorConfig"):
        ends = tuple(Endpoint(end.url, bool(end.override_path)) for end in each.endpoints)
        mirrors[each.name] = Mirror(ends, bool(each.skip_fallback))
    for each in find_documents(config, "RegistryAuthConfig"):
        credentials[each.name] = Credentials(each.username, each.password, each.auth, each.identity_token)
    for each in find_documents(config, "RegistryTLSConfig"):
        identity = each.client_identity
        trust[each.name] = Trust(each.ca, identity.crt, identity.key or Secret(""), bool(each.insecure_skip_verify))
    return Registries(mirrors, credentials, trust)

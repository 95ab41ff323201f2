"""How containerd is told about registries: files, rendered from what the machine configuration says.

For each registry there is a folder with a ``hosts.toml`` (containerd, docs/hosts.md): mirrors in the order in which
they are asked, and the registry itself behind them. It is read at each pull, so a change needs no restart. Credentials
are not among what it can say; they go into containerd's own configuration, which is read when it starts.

The name of a registry is the one in names of images. ``docker.io`` alone has its images elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from dozen.machinery.resources.cri import (
    MirrorEndpoint,
    RegistriesConfigSpec,
    RegistryAuth,
    RegistryMirror,
    RegistryTLS,
)

FOLDER = "/system/etc/containerd"
HOSTS = f"{FOLDER}/registries"
TLS = f"{FOLDER}/registry-tls"
# What containerd looks at for a registry that has no folder of its own, and the configuration's word for that.
DEFAULT_FOLDER, EVERY = "_default", "*"
HOSTS_OF = {"docker.io": "registry-1.docker.io"}
SECRET = 0o600


class File(NamedTuple):
    """A file to be written."""

    path: str
    content: str
    mode: int = 0o644


def render_registries(said: RegistriesConfigSpec) -> list[File]:
    """Every file but the credentials'."""
    files = [file for host, trust in sorted(said.tls.items()) for file in _render_identity(host, trust)]
    names = {*said.mirrors, *(name for name in said.tls if not _is_endpoint_only(name, said))}
    for name in sorted(names):
        folder = DEFAULT_FOLDER if name == EVERY else name
        files.append(File(f"{HOSTS}/{folder}/hosts.toml", render_hosts(name, said)))
    return files


def render_hosts(name: str, said: RegistriesConfigSpec) -> str:
    """The ``hosts.toml`` of one registry.

    What has its own folder is not looked for in the one for all; so the mirrors for all are in each.
    """
    mirror = said.mirrors.get(name) or said.mirrors.get(EVERY) or RegistryMirror()
    endpoints = mirror.endpoints
    lines: list[str] = []
    if mirror.skip_fallback and endpoints:
        # containerd always ends with a server: the last mirror has to be it, for nobody else to be asked.
        last = endpoints[-1]
        lines += [f"server = {quote(last.endpoint)}", *_render_endpoint(last, said)]
    elif name != EVERY:
        own = f"https://{HOSTS_OF.get(name, name)}"
        lines += [f"server = {quote(own)}", *_render_trust(authority_of(own), said)]
        # A file without any [host] is refused (containerd 1.7), so the registry itself stands for one.
        endpoints = endpoints or (MirrorEndpoint(endpoint=own),)
    for endpoint in endpoints:
        lines += ["", f"[host.{quote(endpoint.endpoint)}]", *_render_endpoint(endpoint, said)]
    return "".join(f"{line}\n" for line in lines)


def render_credentials(said: RegistriesConfigSpec) -> str:
    """Tables to be added to containerd's configuration; empty when there are no credentials."""
    lines: list[str] = []
    for name, auth in sorted(said.auths.items()):
        fields = _credential_fields(auth)
        if fields:
            host = HOSTS_OF.get(name, name)
            lines += ["", f'[plugins."io.containerd.grpc.v1.cri".registry.configs.{quote(host)}.auth]']
            lines += [f"{key} = {quote(value)}" for key, value in fields]
    return "".join(f"{line}\n" for line in lines)


def _credential_fields(auth: RegistryAuth) -> list[tuple[str, str]]:
    """A name wins over ``auth``, which wins over a token: containerd takes the first that it finds in this order."""
    if auth.username:
        return [("username", auth.username), ("password", auth.password)]
    if auth.auth:
        return [("auth", auth.auth)]
    return [("identitytoken", auth.identity_token)] if auth.identity_token else []


def _is_endpoint_only(host: str, said: RegistriesConfigSpec) -> bool:
    """Whether a host whose trust is stated is only ever asked as somebody's mirror."""
    return any(authority_of(each.endpoint) == host for mirror in said.mirrors.values() for each in mirror.endpoints)


def _render_endpoint(endpoint: MirrorEndpoint, said: RegistriesConfigSpec) -> Iterator[str]:
    yield 'capabilities = ["pull", "resolve"]'
    if endpoint.override_path:
        yield "override_path = true"
    yield from _render_trust(authority_of(endpoint.endpoint), said)


def _render_trust(host: str, said: RegistriesConfigSpec) -> Iterator[str]:
    key, trust = find_trust(host, said)
    if trust is None:
        return
    if trust.insecure_skip_verify:
        yield "skip_verify = true"
    if trust.ca:
        yield f"ca = {quote(f'{TLS}/{key}/ca.crt')}"
    if trust.client_identity is not None:
        yield f"client = [[{quote(f'{TLS}/{key}/client.crt')}, {quote(f'{TLS}/{key}/client.key')}]]"


def _render_identity(host: str, trust: RegistryTLS) -> Iterator[File]:
    if trust.ca:
        yield File(f"{TLS}/{host}/ca.crt", trust.ca.decode())
    if trust.client_identity is not None:
        yield File(f"{TLS}/{host}/client.crt", trust.client_identity.crt.decode())
        yield File(f"{TLS}/{host}/client.key", trust.client_identity.key.decode(), SECRET)


def find_trust(host: str, said: RegistriesConfigSpec) -> tuple[str, RegistryTLS | None]:
    """What is said of a host: by its own name, or by that of the registry whose images it has."""
    for name in (host, *(name for name, real in HOSTS_OF.items() if real == host)):
        if name in said.tls:
            return name, said.tls[name]
    return host, None


def authority_of(url: str) -> str:
    """Host and port of a URL."""
    return url.partition("://")[2].partition("/")[0]


def quote(text: str) -> str:
    """A TOML basic string; JSON's escapes are among TOML's, which wants DEL escaped too."""
    return msgspec.json.encode(text).decode().replace("\x7f", "\\u007f")

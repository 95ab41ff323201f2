"""Reading a kubeconfig: where a Kubernetes API is, whom to trust there and who we are.

Only what machines use is understood: certificates and tokens, in the text or in files. Programs that are to be run for
a token are refused; a node runs nothing that a file names.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec


class KubeconfigError(ValueError):
    """The text is no kubeconfig that can be used; the message says why."""


class Access(msgspec.Struct, frozen=True):
    """How to reach an API server. Certificates and the key are PEM; ``token`` is a bearer token. Either may be empty.

    ``server_name`` is the name that the server's certificate is checked for, empty for the host's own.
    """

    host: str
    port: int
    ca: bytes = b""
    certificate: bytes = b""
    key: bytes = b""
    token: str = ""
    server_name: str = ""

    def __repr__(self) -> str:
        return f"<Access {self.host}:{self.port}>"  # the fields are secrets


def read_kubeconfig(text: str, read_file: Callable[[str], bytes] | None = None) -> Access:
    """The current context of a kubeconfig. ``read_file`` gets the files that it names; it may raise OSError."""
    from dozen.machinery.yaml import YamlError, load

    try:
        data = load(text, "kubeconfig")
    except YamlError as error:
        raise KubeconfigError(str(error)) from None
    if not isinstance(data, dict):
        raise KubeconfigError("a kubeconfig is a mapping")
    context = _named(data, "contexts", str(data.get("current-context", "")), "context")
    cluster = _named(data, "clusters", str(context.get("cluster", "")), "cluster")
    user = _named(data, "users", str(context.get("user", "")), "user")
    if "exec" in user or "auth-provider" in user:
        raise KubeconfigError("the user of this kubeconfig is a program; give it a certificate or a token")
    host, port = split_server(str(cluster.get("server", "")))
    token = str(user.get("token", "")) or _content(user, "tokenFile", read_file).decode().strip()
    return Access(
        host=host,
        port=port,
        ca=_content(cluster, "certificate-authority", read_file),
        certificate=_content(user, "client-certificate", read_file),
        key=_content(user, "client-key", read_file),
        token=token,
        server_name=str(cluster.get("tls-server-name", "")),
    )


def split_server(url: str) -> tuple[str, int]:
    """Host and port of an API server's URL. Raises KubeconfigError."""
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        raise KubeconfigError(f'"{url}" is not the URL of an API server') from None
    if parts.scheme != "https" or not parts.hostname:
        raise KubeconfigError(f'"{url}" is not the URL of an API server; it begins with https://')
    return parts.hostname, port


def _named(data: dict[str, Any], part: str, name: str, inside: str) -> dict[str, Any]:
    for each in data.get(part) or ():
        if isinstance(each, dict) and each.get("name") == name and isinstance(each.get(inside), dict):
            found: dict[str, Any] = each[inside]
            return found
    raise KubeconfigError(f'{part} has no entry "{name}"')


def _content(data: dict[str, Any], name: str, read_file: Callable[[str], bytes] | None) -> bytes:
    """What ``<name>-data`` holds, else the content of the file that ``<name>`` names, else nothing."""
    if encoded := data.get(f"{name}-data"):
        try:
            return base64.b64decode(str(encoded), validate=True)
        except binascii.Error:
            raise KubeconfigError(f"{name}-data is not base64") from None
    if (path := data.get(name)) and read_file is not None:
        return read_file(str(path))
    return b""

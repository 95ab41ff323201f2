"""Kubernetes' client configuration: reading one, writing one, pointing it elsewhere, merging it into a person's.

The file names clusters, users and contexts in three lists and ties a user to a cluster by a context. Only what is
needed to talk to a cluster is understood (`Access`): certificates and tokens, in the text or in files. Programs that
are to be run for a token are refused; nothing here runs what a file names. Everything else of a person's file is kept.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

LISTS = {"clusters": "cluster", "users": "user", "contexts": "context"}
CA = "certificate-authority-data"

ReadFile = Callable[[str], bytes]
"""Gives the content of a file that a kubeconfig names; may raise OSError."""


class KubeconfigError(ValueError):
    """The configuration cannot be used; the message says where and why."""


class Access(msgspec.Struct, frozen=True):
    """How to reach an API server and as whom. Certificates and the key are PEM; ``token`` is a bearer token.

    What is not known is empty. ``server_name`` is the name that the server's certificate is checked for, if not the
    host's own.
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


def parse(text: str, source: str = "kubeconfig") -> dict[str, Any]:
    """The file as plain data with its three lists; an empty file has empty ones."""
    from dozen.machinery import yaml

    try:
        data = yaml.load(text, source)
    except yaml.YamlError as error:
        raise KubeconfigError(str(error)) from None
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise KubeconfigError(f"{source}: expected a mapping")
    for plural in LISTS:
        entries = data.get(plural) or []
        if not isinstance(entries, list) or not all(map(_has_name, entries)):
            raise KubeconfigError(f"{source}: {plural}: expected a list of entries with names")
        data[plural] = entries
    return {"apiVersion": "v1", "kind": "Config", **data}


def render(config: Mapping[str, Any]) -> str:
    from dozen.machinery import yaml

    return yaml.dump(dict(config))


def read_kubeconfig(text: str, read_file: ReadFile | None = None) -> Access:
    """What the current context of a kubeconfig says. Raises KubeconfigError."""
    return selected(parse(text), read_file)


def render_kubeconfig(
    cluster: str,
    server: str,
    ca: str,
    user: str,
    *,
    crt: str = "",
    key: str = "",
    token: str = "",
    files: tuple[str, str] | None = None,
) -> str:
    """YAML with one cluster, one user and a context ``user@cluster``.

    ``ca``, ``crt`` and ``key`` are PEM texts and end up inside; ``files`` names the certificate and the key instead,
    relative to the kubeconfig, for programs that are to read them again when they change.
    """
    identity: dict[str, Any] = {}
    if files:
        identity |= {"client-certificate": files[0], "client-key": files[1]}
    if crt:
        identity |= {"client-certificate-data": _encoded(crt.encode()), "client-key-data": _encoded(key.encode())}
    if token:
        identity["token"] = token
    context = f"{user}@{cluster}"
    return render(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": cluster, "cluster": {"server": server, CA: _encoded(ca.encode())}}],
            "users": [{"name": user, "user": identity}],
            "contexts": [
                {"name": context, "context": {"cluster": cluster, "namespace": "default", "user": user}},
            ],
            "current-context": context,
        }
    )


def unpack_kubeconfig(archive: bytes) -> str:
    """The one file of the archive that the machine API gives. Raises KubeconfigError."""
    import io
    import tarfile
    import zlib

    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:*") as tar:
            for entry in tar:
                if (content := tar.extractfile(entry)) is not None:
                    return content.read().decode()
    except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error) as error:
        raise KubeconfigError(f"the node gave no archive: {error}") from None
    raise KubeconfigError("the node gave an archive without a kubeconfig")


def selected(config: Mapping[str, Any], read_file: ReadFile | None = None) -> Access:
    """What the current context says. Files that are named are empty without ``read_file``. Raises KubeconfigError."""
    context = _entry(config, "contexts", config.get("current-context"))
    cluster = _entry(config, "clusters", context.get("cluster"))
    user = _entry(config, "users", context.get("user"))
    if "exec" in user or "auth-provider" in user:
        raise KubeconfigError("the user of this kubeconfig is a program; give it a certificate or a token")
    try:
        token = str(user.get("token") or "") or _content(user, "tokenFile", read_file).decode().strip()
    except UnicodeDecodeError:
        raise KubeconfigError("the user's token is not text") from None
    host, port = split_server(str(cluster.get("server") or ""))
    return Access(
        host=host,
        port=port,
        ca=_content(cluster, "certificate-authority", read_file),
        certificate=_content(user, "client-certificate", read_file),
        key=_content(user, "client-key", read_file),
        token=token,
        server_name=str(cluster.get("tls-server-name") or ""),
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


def with_server(config: Mapping[str, Any], server: str, server_name: str = "") -> dict[str, Any]:
    """The same configuration with all its clusters at ``server``, which shows a certificate for ``server_name``."""
    place = {"server": server, **({"tls-server-name": server_name} if server_name else {})}
    clusters = []
    for entry in config["clusters"]:
        rest = {key: value for key, value in _inner(entry, "clusters").items() if key != "tls-server-name"}
        clusters.append({**entry, "cluster": rest | place})
    return {**config, "clusters": clusters}


def merge(base: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """``theirs`` laid over ``base``: entries of the same name are replaced, their context becomes the current one."""
    merged = {**base}
    for plural in LISTS:
        names = {entry["name"] for entry in theirs[plural]}
        merged[plural] = [entry for entry in base[plural] if entry["name"] not in names] + list(theirs[plural])
    merged["current-context"] = theirs.get("current-context") or base.get("current-context") or ""
    return merged


def forget(base: Mapping[str, Any], ca: bytes) -> dict[str, Any]:
    """``base`` without the clusters whose authority is ``ca`` (PEM), and without what leads to them only."""
    gone = {each["name"] for each in base["clusters"] if _inner(each, "clusters").get(CA) == _encoded(ca)}
    contexts = [entry for entry in base["contexts"] if str(_inner(entry, "contexts").get("cluster")) not in gone]
    dropped = [entry for entry in base["contexts"] if entry not in contexts]
    used = {_user_of(entry) for entry in contexts}
    orphans = {_user_of(entry) for entry in dropped} - used
    current = base.get("current-context") or ""
    return {
        **base,
        "clusters": [entry for entry in base["clusters"] if entry["name"] not in gone],
        "contexts": contexts,
        "users": [entry for entry in base["users"] if entry["name"] not in orphans],
        "current-context": current if any(entry["name"] == current for entry in contexts) else "",
    }


def _has_name(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("name"), str)


def _inner(entry: Mapping[str, Any], plural: str) -> Mapping[str, Any]:
    inner = entry.get(LISTS[plural])
    return inner if isinstance(inner, dict) else {}


def _user_of(context: Mapping[str, Any]) -> str:
    return str(_inner(context, "contexts").get("user"))


def _entry(config: Mapping[str, Any], plural: str, name: object) -> Mapping[str, Any]:
    for entry in config[plural]:
        if entry["name"] == name:
            return _inner(entry, plural)
    raise KubeconfigError(f'{plural} has no entry "{name or ""}"')


def _content(data: Mapping[str, Any], name: str, read_file: ReadFile | None) -> bytes:
    """What ``<name>-data`` holds, else the content of the file that ``<name>`` names, else nothing."""
    if encoded := data.get(f"{name}-data"):
        try:
            return base64.b64decode(str(encoded), validate=True)
        except ValueError:
            raise KubeconfigError(f"{name}-data is not base64") from None
    if (path := data.get(name)) and read_file is not None:
        return read_file(str(path))
    return b""


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()

"""Writing a kubeconfig: where the API is, whom to trust there, and who one is. (Reading one: `kubeconfig`.)"""

from __future__ import annotations

from base64 import b64encode
from typing import Any


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
    from dozen.machinery.yaml import dump

    identity: dict[str, Any] = {}
    if files:
        identity |= {"client-certificate": files[0], "client-key": files[1]}
    if crt:
        identity |= {"client-certificate-data": _encoded(crt), "client-key-data": _encoded(key)}
    if token:
        identity["token"] = token
    context = f"{user}@{cluster}"
    return dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": cluster, "cluster": {"server": server, "certificate-authority-data": _encoded(ca)}}],
            "users": [{"name": user, "user": identity}],
            "contexts": [
                {"name": context, "context": {"cluster": cluster, "namespace": "default", "user": user}},
            ],
            "current-context": context,
        }
    )


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode()

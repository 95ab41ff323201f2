"""The Kubernetes API as far as bringing up, showing and testing a cluster needs it: JSON over HTTPS, nothing cached.

A call is one connection made in the caller's thread, so that it can be used from a test as well as, by way of
`asyncio.to_thread`, from a command. Paths are the API's own.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
from collections.abc import Mapping
from typing import Any

from dozen.machinery import kubeconfig
from dozen.machinery.kubeconfig import Access

APPLY = "application/apply-patch+yaml"
FIELD_MANAGER = "dozenctl"


class KubernetesError(Exception):
    """The API refused. ``status`` is the HTTP status, ``reason`` Kubernetes' word for it."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


class UnreachableError(KubernetesError):
    """Nothing answered."""

    def __init__(self, message: str) -> None:
        super().__init__(0, "Unreachable", message)


class Kubernetes:
    """A cluster's API, with one identity."""

    def __init__(self, access: Access, *, seconds: float = 30.0) -> None:
        self.host, self.port = access.host, access.port
        self.seconds = seconds
        self._tls = _client_tls(access)

    def request(
        self, method: str, path: str, body: Any = None, *, kind: str = "application/json", seconds: float | None = None
    ) -> bytes:
        """The answer's content. Raises KubernetesError."""
        connection = http.client.HTTPSConnection(
            self.host, self.port, timeout=seconds or self.seconds, context=self._tls
        )
        try:
            content = None if body is None else json.dumps(body).encode()
            connection.request(method, path, content, {"Content-Type": kind, "Accept": "application/json, */*"})
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"{self.host}:{self.port}: {error or type(error).__name__}") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise _refusal(answer.status, data)
        return data

    def get(self, path: str) -> Any:
        return json.loads(self.request("GET", path))

    def items(self, path: str) -> list[Any]:
        """The entries of a list."""
        return list(self.get(path).get("items") or [])

    def create(self, path: str, body: Mapping[str, Any]) -> Any:
        return json.loads(self.request("POST", path, body))

    def apply(self, path: str, body: Mapping[str, Any]) -> Any:
        """Server-side apply of one object, whose own path ``path`` is."""
        answer = self.request("PATCH", f"{path}?fieldManager={FIELD_MANAGER}&force=true", body, kind=APPLY)
        return json.loads(answer)

    def delete(self, path: str) -> None:
        """Deletes the object; one that is gone already is fine."""
        try:
            self.request("DELETE", path)
        except KubernetesError as error:
            if error.status != 404:
                raise

    def is_ready(self) -> bool:
        """Whether the API server says that it is. Raises UnreachableError, or KubernetesError when it says who it is
        not ready for."""
        return self.request("GET", "/readyz", seconds=10.0) == b"ok"


def open_kubernetes(text: str, endpoint: str = "") -> Kubernetes:
    """The API that a kubeconfig's current context names, reached at ``endpoint`` if that is given (a URL, or host and
    port). Raises KubeconfigError."""
    config = kubeconfig.parse(text)
    if endpoint:
        config = kubeconfig.with_server(config, endpoint if "://" in endpoint else f"https://{endpoint}")
    return Kubernetes(kubeconfig.selected(config))


def _refusal(status: int, data: bytes) -> KubernetesError:
    try:
        told = json.loads(data)
        return KubernetesError(status, str(told.get("reason", "")), str(told.get("message", "")))
    except (ValueError, AttributeError):
        return KubernetesError(status, "", data.decode(errors="replace").strip()[:500] or f"HTTP status {status}")


def _client_tls(access: Access) -> ssl.SSLContext:
    """The library reads keys from files only, so the key goes through an anonymous one in memory."""
    tls = ssl.create_default_context(cadata=access.ca.decode())
    descriptor = os.memfd_create("identity", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, access.certificate.rstrip() + b"\n" + access.key)
        tls.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    return tls

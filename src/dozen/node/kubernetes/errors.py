"""What a call to the Kubernetes API may raise, and how a refusal is read."""

from __future__ import annotations

import json

from dozen.machinery.kubernetes.objects import Object


class KubernetesError(Exception):
    """Base of what a call to the Kubernetes API may raise; the message is one sentence for an operator."""


class Unreachable(KubernetesError):
    """There was no answer: no connection, an untrusted certificate, silence, or something that is not Kubernetes."""


class ApiError(KubernetesError):
    """The server refused. ``status`` is HTTP's, ``reason`` Kubernetes' own word (``NotFound``, ``Invalid``)."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class NotFound(ApiError):
    """There is no such object (or no such kind)."""


class Conflict(ApiError):
    """Somebody else changed the object meanwhile, or it is there already."""


class Expired(ApiError):
    """The version to go on from is too old; list anew."""


_BY_STATUS = {404: NotFound, 409: Conflict, 410: Expired}


def read_status(body: bytes) -> Object:
    """A refusal as Kubernetes' Status; other servers and proxies answer with text."""
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"message": body.decode("utf-8", "replace").strip()}


def refusal(status: int, said: Object) -> ApiError:
    """The error that a Status, with HTTP's status, amounts to."""
    message = said.get("message") or f"the Kubernetes API answered with HTTP status {status}"
    return _BY_STATUS.get(status, ApiError)(status, str(said.get("reason", "")), str(message))

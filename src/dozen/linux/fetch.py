"""Getting a small file from a URL, by HTTP or HTTPS."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

REDIRECTS = 5
TIMEOUT = 15.0


class FetchError(OSError):
    """It could not be had; the message says why."""


def fetch(url: str, limit: int, timeout: float = TIMEOUT) -> bytes:
    """The body of the answer. Blocks; raises FetchError."""
    for _ in range(REDIRECTS + 1):
        answer, moved = _ask(url, limit, timeout)
        if not moved:
            return answer
        url = urljoin(url, moved)
    raise FetchError(f"{url}: redirected more than {REDIRECTS} times")


def _ask(url: str, limit: int, timeout: float) -> tuple[bytes, str]:
    """The body, or where the answer sends us."""
    import http.client

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FetchError(f'"{url}" is no URL that begins with http:// or https://')
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    try:
        connection = kind(parts.hostname, parts.port, timeout=timeout)
        try:
            connection.request("GET", path, headers={"User-Agent": "dozen", "Accept": "*/*"})
            answer = connection.getresponse()
            if answer.status in (301, 302, 303, 307, 308):
                return b"", answer.headers.get("Location", "") or _refuse(url, "redirected to nowhere")
            if answer.status != 200:
                raise FetchError(f"{url}: answered with {answer.status} {answer.reason}")
            data = answer.read(limit + 1)
        finally:
            connection.close()
    except FetchError:
        raise
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise FetchError(f"{url}: {error}") from error
    if len(data) > limit:
        raise FetchError(f"{url}: is larger than {limit} bytes")
    return data, ""


def _refuse(url: str, words: str) -> str:
    raise FetchError(f"{url}: {words}")

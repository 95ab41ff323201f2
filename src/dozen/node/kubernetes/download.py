"""Fetches the manifests that the configuration names by URL."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from dozen.engine.backoff import delay_after
from dozen.machinery.kubernetes.objects import parse_manifest
from dozen.machinery.plan import Shared
from dozen.machinery.proxies import choose_proxy
from dozen.machinery.resource import NO_LABELS
from dozen.machinery.resources.manifests import EXTRA_MANIFESTS_CONFIG, MANIFEST
from dozen.machinery.resources.runtime import ENVIRONMENT
from dozen.node.controllers.host.environment import MACHINED
from dozen.node.kubernetes.http import Connection, HttpError
from dozen.node.kubernetes.specs import manifest_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store
    from dozen.machinery.resources.manifests import ExtraManifest, ManifestSpec
    from dozen.node.problems import Problems

REDIRECTS = 5
TIMEOUT = 60.0
SIZE_LIMIT = 16 << 20
_MOVED = (301, 302, 303, 307, 308)


class ManifestDownloader:
    """ExtraManifestsConfig → Manifest, for those with a URL."""

    name = "manifest-downloader"
    outputs = (Shared(MANIFEST),)

    def __init__(self, store: Store, problems: Problems) -> None:
        self._store = store
        self._problems = problems
        self._failing: set[str] = set()

    async def run(self, publish: Publisher) -> None:
        fetched: dict[ExtraManifest, ManifestSpec] = {}
        failures = 0
        with self._store.watch(EXTRA_MANIFESTS_CONFIG) as changes:
            while True:
                changes.take()
                wanted = self._wanted()
                missing = [each for each in wanted if each not in fetched]
                fetched = {each: spec for each, spec in fetched.items() if each in wanted}
                for each in missing:
                    if (spec := await self._fetch(each)) is not None:
                        fetched[each] = spec
                publish.replace(MANIFEST, {each.id: spec for each, spec in fetched.items()})
                self._clear({f"manifest-{each.name}" for each in wanted if each not in fetched})
                failures = failures + 1 if len(fetched) < len(wanted) else 0
                try:
                    await asyncio.wait_for(changes.wait(), delay_after(failures) if failures else None)
                except TimeoutError:
                    continue

    def _wanted(self) -> list[ExtraManifest]:
        return [
            each
            for resource in self._store.list(EXTRA_MANIFESTS_CONFIG)
            for each in resource.spec.extra_manifests
            if each.url
        ]

    def _variables(self) -> dict[str, str]:
        """Those of the configuration, a proxy's among them."""
        found = self._store.find(ENVIRONMENT, MACHINED)
        return dict(each.partition("=")[::2] for each in found.spec.variables) if found is not None else {}

    async def _fetch(self, each: ExtraManifest) -> ManifestSpec | None:
        """The manifest, or None with the reason reported."""
        try:
            text = await asyncio.wait_for(download(each.url, each.extra_headers, self._variables()), TIMEOUT)
            return manifest_of(parse_manifest(text, each.url))
        except TimeoutError:
            reason = f"{each.url} did not answer within {TIMEOUT:g} s"
        except (OSError, ValueError) as error:
            reason = f"{each.url}: {error}"
        problem = f"manifest-{each.name}"
        self._failing.add(problem)
        self._problems.report_problem(problem, f"a manifest of the configuration cannot be had: {reason}")
        return None

    def _clear(self, still: set[str]) -> None:
        for problem in self._failing - still:
            self._problems.clear_problem(problem)
        self._failing &= still


async def download(url: str, headers: Mapping[str, str], variables: Mapping[str, str] = NO_LABELS) -> str:
    """The text behind a URL, redirects followed. The headers go to the host that was named and to no other.

    ``variables`` may name a proxy (`dozen.machinery.proxies`).

    Raises OSError, TimeoutError and ValueError.
    """
    first = urlsplit(url).netloc
    for _ in range(REDIRECTS + 1):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url} is not a URL that can be fetched; it begins with http:// or https://")
        tls = ssl.create_default_context() if parts.scheme == "https" else None
        proxy, port = choose_proxy(url, variables), parts.port or (443 if tls else 80)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        sent = {"Accept": "*/*", "User-Agent": "dozen", **(headers if parts.netloc == first else {})}
        if proxy is None:
            connection = await Connection.open(parts.hostname, port, tls)
        else:
            connection = await Connection.open_through(proxy, parts.hostname, port, tls)
            if tls is None:
                target = f"http://{parts.netloc}{target}"
                sent |= {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
        try:
            response = await connection.request("GET", target, sent)
            if response.status in _MOVED and response.header("location"):
                url = urljoin(url, response.header("location"))
                continue
            if response.status != 200:
                raise HttpError(f"the server answered with HTTP status {response.status}")
            return (await response.read(SIZE_LIMIT)).decode("utf-8")
        finally:
            connection.close()
    raise HttpError(f"more than {REDIRECTS} redirects")

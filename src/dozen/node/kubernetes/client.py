"""A thin client of the Kubernetes API: objects are plain data, calls are verbs on kinds.

    client = Client(read_kubeconfig(text))
    node = await client.get("v1", "Node", "cp-1")
    await client.apply(manifest)
    async for pods in client.follow("v1", "Pod", field_selector="spec.nodeName=cp-1"): ...

Where a kind lives in the API is asked of the server once and remembered. Calls share few connections; each watch has
its own. What goes wrong is a `KubernetesError`: `Unreachable` when there was no answer, `ApiError` when the answer was
a refusal.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from dozen.machinery.kubernetes.objects import Object, full_name, identity
from dozen.node.kubernetes.errors import Expired, NotFound, Unreachable, read_status, refusal
from dozen.node.kubernetes.http import Connection, Response

if TYPE_CHECKING:
    import ssl

    from dozen.machinery.kubeconfig import Access

FIELD_MANAGER = "dozen"
# Idle connections that are kept for the next call.
IDLE_KEPT = 2
# How long the server keeps a watch open before the client asks anew, and how long a watch may be silent, seconds. A
# server that knows of nothing new says so every minute (a bookmark), so longer silence is a dead connection.
WATCH_SECONDS = 300
WATCH_SILENCE = 150.0

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


class Place(NamedTuple):
    """Where a kind lives: its path segment and whether its objects are in namespaces."""

    plural: str
    namespaced: bool


class Event(NamedTuple):
    """A change in a watch: ADDED, MODIFIED, DELETED or BOOKMARK, and the object (of a bookmark only its version)."""

    type: str
    object: Object


class Client:
    """Calls to one API server under one identity. Close it when done. ``on_warning`` gets what the server warns of."""

    def __init__(
        self,
        access: Access,
        *,
        timeout: float = 15.0,
        manager: str = FIELD_MANAGER,
        on_warning: Callable[[str], None] | None = None,
    ) -> None:
        self.access = access
        self.manager = manager
        self._timeout = timeout
        self._on_warning = on_warning
        self._idle: list[Connection] = []
        self._places: dict[str, dict[str, Place]] = {}

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the idle connections."""
        while self._idle:
            self._idle.pop().close()

    # -- Verbs.

    async def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Object:
        return await self._json("GET", await self.path(api_version, kind, namespace, name))

    async def find(self, api_version: str, kind: str, name: str, namespace: str = "") -> Object | None:
        """Like `get`, but None when it is not there."""
        try:
            return await self.get(api_version, kind, name, namespace)
        except NotFound:
            return None

    async def list(
        self, api_version: str, kind: str, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> list[Object]:
        """All objects of a kind, in all namespaces when none is named."""
        found = await self._list(api_version, kind, namespace, _selectors(label_selector, field_selector))
        items: list[Object] = found.get("items") or []
        return items

    async def create(self, item: Object) -> Object:
        who = identity(item)
        path = await self.path(who.api_version, who.kind, who.namespace)
        return await self._json("POST", path, {"fieldManager": self.manager}, item)

    async def replace(self, item: Object, subresource: str = "") -> Object:
        """Write the whole object; its resourceVersion, when it has one, must still be right (`Conflict`)."""
        who = identity(item)
        path = await self.path(who.api_version, who.kind, who.namespace, who.name, subresource)
        return await self._json("PUT", path, {"fieldManager": self.manager}, item)

    async def apply(self, item: Object, *, force: bool = True, dry_run: bool = False) -> Object:
        """Server-side apply: these fields are ours and have these values; ``force`` takes them from whoever has them.

        What a former apply had and this one has not is removed by the server.
        """
        who = identity(item)
        query = {"fieldManager": self.manager, "force": "true" if force else "false"}
        if dry_run:
            query["dryRun"] = "All"
        path = await self.path(who.api_version, who.kind, who.namespace, who.name)
        return await self._json("PATCH", path, query, item, APPLY)

    async def patch(
        self,
        api_version: str,
        kind: str,
        name: str,
        change: Object,
        namespace: str = "",
        *,
        subresource: str = "",
        type: str = MERGE,
    ) -> Object:
        path = await self.path(api_version, kind, namespace, name, subresource)
        return await self._json("PATCH", path, {"fieldManager": self.manager}, change, type)

    async def delete(self, api_version: str, kind: str, name: str, namespace: str = "") -> None:
        """Delete an object; one that is gone already is fine."""
        try:
            await self._json("DELETE", await self.path(api_version, kind, namespace, name))
        except NotFound:
            return

    async def evict(self, pod: Object) -> None:
        """Ask for a pod's eviction. `ApiError` with status 429: a disruption budget says not yet."""
        metadata = {"name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]}
        path = await self.path("v1", "Pod", metadata["namespace"], metadata["name"], "eviction")
        await self._json("POST", path, {}, {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata})

    async def text(self, path: str) -> str:
        """What a path answers that is not an object, such as ``/readyz``. Raises ApiError unless the answer is fine."""
        return (await self._ask("GET", path)).decode("utf-8", "replace")

    async def follow(
        self, api_version: str, kind: str, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> AsyncIterator[dict[str, Object]]:
        """All objects of a kind as they are now, and again after each change, by ``namespace/name`` (or ``name``).

        Each time it is the same dictionary. Goes on for ever; raises `KubernetesError` when the server is lost.
        """
        selectors = _selectors(label_selector, field_selector)
        while True:
            listed = await self._list(api_version, kind, namespace, selectors)
            known = {full_name(item): item for item in listed.get("items") or ()}
            # Items of a list do not say what they are; those of a watch do.
            for item in known.values():
                item.setdefault("apiVersion", api_version)
                item.setdefault("kind", kind)
            yield known
            try:
                async for _ in self._changes(api_version, kind, namespace, selectors, listed, known):
                    yield known
            except Expired:
                continue

    async def _changes(
        self,
        api_version: str,
        kind: str,
        namespace: str,
        selectors: Mapping[str, str],
        listed: Object,
        known: dict[str, Object],
    ) -> AsyncIterator[None]:
        """Keeps ``known`` as the server tells of changes, watch after watch."""
        version = str(listed["metadata"]["resourceVersion"])
        while True:
            async for event in self.watch(api_version, kind, namespace, version, selectors):
                version = str(event.object["metadata"]["resourceVersion"])
                if event.type == "BOOKMARK":
                    continue
                if event.type == "DELETED":
                    known.pop(full_name(event.object), None)
                else:
                    known[full_name(event.object)] = event.object
                yield None

    async def watch(
        self, api_version: str, kind: str, namespace: str, version: str, selectors: Mapping[str, str] | None = None
    ) -> AsyncIterator[Event]:
        """Changes after ``version``, until the server ends the watch, as it does every few minutes."""
        path = await self.path(api_version, kind, namespace)
        query = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": version, **(selectors or {})}
        query["timeoutSeconds"] = str(WATCH_SECONDS)
        connection = await self._connect()
        try:
            response = await self._exchange(connection, "GET", path, query, b"", JSON)
            async for line in _lines(response):
                found = json.loads(line)
                if found["type"] == "ERROR":
                    raise refusal(found["object"].get("code", 500), found["object"])
                yield Event(found["type"], found["object"])
        except (OSError, TimeoutError, ValueError) as error:
            raise self._unreachable(error) from None
        finally:
            connection.close()

    # -- Where things are.

    async def path(
        self, api_version: str, kind: str, namespace: str = "", name: str = "", subresource: str = ""
    ) -> str:
        """The path of a kind, an object or its part. Raises NotFound for a kind that the server does not have."""
        place = self._places.get(api_version, {}).get(kind)
        if place is None:
            place = await self._discover(api_version, kind)
        parts = [_root(api_version)]
        if place.namespaced and (namespace or name):
            parts += ["namespaces", quote(namespace or "default", safe="")]
        parts.append(place.plural)
        parts += [quote(part, safe="") for part in (name, subresource) if part]
        return "/".join(parts)

    async def _discover(self, api_version: str, kind: str) -> Place:
        found = await self._json("GET", _root(api_version))
        self._places[api_version] = {
            each["kind"]: Place(each["name"], each["namespaced"])
            for each in found.get("resources") or ()
            if "/" not in each["name"]
        }
        place = self._places[api_version].get(kind)
        if place is None:
            raise NotFound(404, "NotFound", f"the API server knows no {kind} in {api_version}")
        return place

    async def _list(self, api_version: str, kind: str, namespace: str, selectors: Mapping[str, str]) -> Object:
        place = self._places.get(api_version, {}).get(kind) or await self._discover(api_version, kind)
        scope = f"/namespaces/{quote(namespace, safe='')}" if namespace and place.namespaced else ""
        return await self._json("GET", f"{_root(api_version)}{scope}/{place.plural}", selectors)

    # -- The wire.

    async def _json(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None, type: str = JSON
    ) -> Object:
        content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        answer = await self._ask(method, path, query, content, type)
        try:
            found: Object = json.loads(answer)
        except ValueError:
            raise Unreachable(f"{self._where} does not answer with JSON; it is not a Kubernetes API") from None
        return found

    async def _ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: bytes = b"", type: str = JSON
    ) -> bytes:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._ask_once(method, path, query or {}, body, type)
        except (OSError, TimeoutError) as error:
            raise self._unreachable(error) from None

    async def _ask_once(self, method: str, path: str, query: Mapping[str, str], body: bytes, type: str) -> bytes:
        kept = self._idle.pop() if self._idle else None
        if kept is not None:
            try:
                return await self._converse(kept, method, path, query, body, type)
            except OSError:
                # A server may close a connection that it keeps at any time. Asking again is harmless: reading and
                # applying may be repeated, and another write is refused by name or version when it was done already.
                pass
        return await self._converse(await self._connect(), method, path, query, body, type)

    async def _converse(
        self, connection: Connection, method: str, path: str, query: Mapping[str, str], body: bytes, type: str
    ) -> bytes:
        try:
            response = await self._exchange(connection, method, path, query, body, type)
            return await response.read()
        finally:
            if connection.reusable and len(self._idle) < IDLE_KEPT:
                self._idle.append(connection)
            else:
                connection.close()

    async def _exchange(
        self, connection: Connection, method: str, path: str, query: Mapping[str, str], body: bytes, type: str
    ) -> Response:
        """Send, and read the head of the answer; a refusal is read to its end and raised."""
        headers = {"Accept": JSON, "User-Agent": self.manager}
        if body:
            headers["Content-Type"] = type
        if self.access.token:
            headers["Authorization"] = f"Bearer {self.access.token}"
        target = f"{path}?{urlencode(query)}" if query else path
        response = await connection.request(method, target, headers, body)
        if self._on_warning is not None:
            for warning in response.values("warning"):
                self._on_warning(warning)
        if response.status >= 400:
            raise refusal(response.status, read_status(await response.read()))
        return response

    async def _connect(self) -> Connection:
        access = self.access
        try:
            return await Connection.open(
                access.host, access.port, _tls_of(access), server_name=access.server_name, timeout=self._timeout
            )
        except (OSError, TimeoutError) as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> Unreachable:
        what = str(error) or f"no answer within {self._timeout:g} s"
        return Unreachable(f"the Kubernetes API at {self._where}: {what}")

    @property
    def _where(self) -> str:
        return f"{self.access.host}:{self.access.port}"


@lru_cache(maxsize=4)
def _tls_of(access: Access) -> ssl.SSLContext:
    """Made once for an identity, not for each client: an API server that is long in coming is asked many times."""
    from dozen.rpc.tls import client_context

    return client_context(access.ca or None, access.certificate or None, access.key or None, protocol="http/1.1")


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _selectors(labels: str, fields: str) -> dict[str, str]:
    said = {"labelSelector": labels, "fieldSelector": fields}
    return {name: value for name, value in said.items() if value}


async def _lines(response: Response) -> AsyncIterator[bytes]:
    """The lines of a body; raises TimeoutError when nothing comes for `WATCH_SILENCE` seconds."""
    rest = b""
    pieces = response.body()
    while True:
        try:
            piece = await asyncio.wait_for(anext(pieces), WATCH_SILENCE)
        except StopAsyncIteration:
            return
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line:
                yield line

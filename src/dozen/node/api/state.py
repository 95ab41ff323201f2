"""cosi.resource.State: the store of resources, for clients to read and follow.

Everything that the node knows and does is in the store, so most of what a client shows comes from here. Clients learn
the types from the definitions in the namespace ``meta``; those are put there when the first client asks, because a node
that nobody asks has no use for them. A spec goes out twice, as YAML and as protobuf (`dozen.machinery.resources`).
Writing is refused to everyone: the resources of a node belong to its controllers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from dozen.engine.errors import BookmarkExpired
from dozen.engine.store import Store
from dozen.engine.watch import BOOTSTRAPPED, CREATED, DESTROYED, UPDATED, AnyEvent, EventType
from dozen.machinery.messages import message
from dozen.machinery.resource import Kind, Resource, Sensitivity
from dozen.machinery.resources import NAMESPACES, all_kinds, proto, yaml
from dozen.machinery.resources.meta import (
    NAMESPACE,
    RESOURCE_DEFINITION,
    NamespaceSpec,
    define_kind,
    definition_id,
)
from dozen.machinery.roles import Role
from dozen.node.api.access import read_roles
from dozen.node.api.query import BadPattern, Pattern, term_matches
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.rpc.router import Router
    from dozen.rpc.servercall import ServerCall

SERVICE = "/cosi.resource.State/"
WRITE_VERBS = ("Create", "Update", "Destroy", "Teardown", "TeardownAndDestroy")
BATCH = 256  # events in one answer at most, when the client lets us put several in one
NOOP = 5  # the wire's event type that only carries a bookmark
KEPT = 16  # resources whose encoding is kept for the next watcher

AnyKind = Kind[msgspec.Struct]
AnyResource = Resource[msgspec.Struct]
Selects = Callable[[AnyResource], bool]


class Machine(Protocol):
    """As much of the machine as this service needs."""

    @property
    def store(self) -> Store: ...


def register(router: Router, machine: Machine) -> None:
    """Serve the methods of the service."""
    state = State(machine.store)
    router.unary(f"{SERVICE}Get", "cosi.resource.GetRequest", state.get)
    router.stream(f"{SERVICE}List", "cosi.resource.ListRequest", state.list)
    router.stream(f"{SERVICE}Watch", "cosi.resource.WatchRequest", state.watch)
    for verb in WRITE_VERBS:
        router.unary(f"{SERVICE}{verb}", f"cosi.resource.{verb}Request", refuse)


async def refuse(call: ServerCall, request: Any) -> Any:
    """What every verb that writes answers."""
    raise RpcError(Code.PERMISSION_DENIED, "write access is not allowed")


class State:
    """The readers' half of the service, over one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._defined: set[AnyKind] = set()
        self._encoded = Encoded()

    async def get(self, call: ServerCall, request: Any) -> Any:
        """One resource."""
        kind, namespace = self._find_kind(call, request)
        found = self._store.find(kind, request.id, namespace)
        if found is None:
            raise RpcError(Code.NOT_FOUND, f"resource {kind.name}({namespace}/{request.id}) doesn't exist")
        return message("cosi.resource.GetResponse")(resource=encode_resource(found))

    async def list(self, call: ServerCall, request: Any) -> AsyncIterator[Any]:
        """All resources of a type that the queries select, by id."""
        kind, namespace = self._find_kind(call, request)
        selects = read_queries(request.options)
        response = message("cosi.resource.ListResponse")
        for resource in self._store.list(kind, namespace):
            if selects is None or selects(resource):
                yield response(resource=encode_resource(resource))

    async def watch(self, call: ServerCall, request: Any) -> AsyncIterator[Any]:
        """Follow a type, or one resource; the first answer is empty and says that the watch is in place."""
        kind, namespace = self._find_kind(call, request)
        options = request.options
        selects = read_queries(options)
        by_id = request.HasField("id")
        start_from = options.start_from_bookmark if options.HasField("start_from_bookmark") else None
        try:
            watch = self._store.watch(
                kind,
                request.id if by_id else None,
                namespace=namespace,
                bootstrap=options.bootstrap_contents,
                tail=options.tail_events,
                start_from=start_from,
            )
        except BookmarkExpired as error:
            raise RpcError(Code.FAILED_PRECONDITION, str(error)) from None
        encoder = EventEncoder(kind, namespace, selects, self._encoded, markers=request.api_version >= 1)
        response = message("cosi.resource.WatchResponse")
        with watch:
            yield response()
            if options.bootstrap_bookmark and not (by_id or options.bootstrap_contents or start_from):
                yield response(event=encoder.bookmark(self._store.bookmark(kind, namespace)))
            size = BATCH if options.aggregated else 1
            while True:
                await watch.wait()
                waiting = watch.take()
                if not waiting:
                    return
                events = [encoded for event in waiting for encoded in encoder.encode(event)]
                for start in range(0, len(events), size):
                    yield response(event=events[start : start + size])

    def _find_kind(self, call: ServerCall, request: Any) -> tuple[AnyKind, str]:
        """The kind and namespace that a request names, if this caller may read them."""
        self._define_kinds()
        kind = self._store.kind_named(request.type)
        if kind is None:
            raise RpcError(Code.PERMISSION_DENIED, f'resource type "{request.type}" is not supported')
        namespace = request.namespace or kind.namespace
        if namespace not in self._store.namespaces(kind) and namespace not in NAMESPACES:
            raise RpcError(Code.PERMISSION_DENIED, f'namespace "{namespace}" is not supported')
        if kind.sensitivity is Sensitivity.SENSITIVE and Role.ADMIN not in read_roles(call):
            raise RpcError(Code.PERMISSION_DENIED, f'resource type "{request.type}" is for administrators only')
        return kind, namespace

    def _define_kinds(self) -> None:
        """Put the definitions of kinds that have become known since the last time."""
        if not self._defined:
            for kind in all_kinds():
                self._store.register(kind)
            for name, description in NAMESPACES.items():
                self._store.put(NAMESPACE, name, NamespaceSpec(description=description))
        if len(self._defined) == len(self._store.kinds()):
            return
        for kind in self._store.kinds():
            if kind not in self._defined:
                self._store.put(RESOURCE_DEFINITION, definition_id(kind), define_kind(kind))
                self._defined.add(kind)


class EventEncoder:
    """Events of the store as those of the wire, as one client asked for them.

    A client that selects by labels sees a resource appear when it gets the labels, and go when it loses them.
    ``markers``: the client knows events that are about the watch itself.
    """

    def __init__(
        self, kind: AnyKind, namespace: str, selects: Selects | None, encoded: Encoded, *, markers: bool
    ) -> None:
        self._encoded = encoded
        self._kind = kind
        self._namespace = namespace
        self._selects = selects
        self._markers = markers
        self._class = message("cosi.resource.Event")

    def encode(self, event: AnyEvent) -> list[Any]:
        """One event, or none if it does not concern this client."""
        if event.type is BOOTSTRAPPED:
            return self.bookmark(event.bookmark, int(BOOTSTRAPPED))
        resource, old, type_ = event.resource, event.old, event.type
        if resource is None:
            gone = message("cosi.resource.Resource")()
            gone.metadata.namespace, gone.metadata.type = self._namespace, self._kind.name
            gone.metadata.id, gone.metadata.version, gone.metadata.phase = event.id, "undefined", "running"
            return [self._class(resource=gone, event_type=int(DESTROYED), bookmark=event.bookmark)]
        if self._selects is not None:
            selected = self._select(type_, resource, old)
            if selected is None:
                return []
            type_ = selected
        encoded = self._class(resource=self._encoded(resource), event_type=int(type_), bookmark=event.bookmark)
        if type_ is UPDATED and old is not None:
            encoded.old.CopyFrom(self._encoded(old))
        return [encoded]

    def bookmark(self, bookmark: bytes | None, type_: int = NOOP) -> list[Any]:
        """An event that is only about the place in the history; none for clients that do not know such events."""
        return [self._class(event_type=type_, bookmark=bookmark)] if self._markers else []

    def _select(self, type_: EventType, resource: AnyResource, old: AnyResource | None) -> EventType | None:
        assert self._selects is not None
        if type_ is DESTROYED:
            return type_ if self._selects(old or resource) else None
        now = self._selects(resource)
        if type_ is not UPDATED or old is None:
            return type_ if now else None
        before = self._selects(old)
        if now:
            return UPDATED if before else CREATED
        return DESTROYED if before else None


class Encoded:
    """Resources as they travel, the last few of them kept: many watchers are told of one change, one after the other.

    What is given must not be changed.
    """

    def __init__(self) -> None:
        self._kept: dict[int, tuple[AnyResource, Any]] = {}

    def __call__(self, resource: AnyResource) -> Any:
        # A kept resource lives, so that its address is nobody else's.
        known = self._kept.get(id(resource))
        if known is not None:
            return known[1]
        if len(self._kept) >= KEPT:
            self._kept.clear()
        encoded = encode_resource(resource)
        self._kept[id(resource)] = (resource, encoded)
        return encoded


def encode_resource(resource: AnyResource) -> Any:
    """A resource as it travels."""
    metadata = resource.metadata
    encoded = message("cosi.resource.Resource")()
    target = encoded.metadata
    target.namespace, target.type, target.id = metadata.namespace, metadata.type, metadata.id
    target.version, target.owner, target.phase = str(metadata.version), metadata.owner, metadata.phase.value
    target.created.FromNanoseconds(int(metadata.created * 1e6) * 1000)
    target.updated.FromNanoseconds(int(metadata.updated * 1e6) * 1000)
    target.finalizers.extend(metadata.finalizers)
    target.labels.update(metadata.labels)
    target.annotations.update(metadata.annotations)
    encoded.spec.proto_spec = proto.encode(resource.spec)
    encoded.spec.yaml_spec = yaml.render(resource.spec)
    return encoded


def read_queries(options: Any) -> Selects | None:
    """What the queries of a request select, or None if they select everything."""
    queries = [
        [(term.key, term.op, tuple(term.value), term.invert) for term in query.terms]
        for query in options.label_query
        if query.terms
    ]
    expression = options.id_query.regexp
    if not queries and not expression:
        return None
    try:
        pattern = Pattern(expression) if expression else None
    except BadPattern as error:
        raise RpcError(Code.INVALID_ARGUMENT, f"the id query {expression!r} cannot be used: {error}") from None

    def selects(resource: AnyResource) -> bool:
        labels = resource.metadata.labels
        if queries and not any(all(term_matches(labels, *term) for term in query) for query in queries):
            return False
        return pattern is None or pattern.search(resource.metadata.id)

    return selects

"""The resource service, called as a server would call it, over a real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from dozen.engine.store import Store
from dozen.engine.watch import BACKLOG
from dozen.machinery.messages import enum, message
from dozen.machinery.resource import Kind
from dozen.machinery.resources.config import MACHINE_CONFIG, MachineConfigSpec
from dozen.machinery.resources.network import HOSTNAME_STATUS, HostnameStatusSpec
from dozen.machinery.resources.runtime import DIAGNOSTIC, DiagnosticSpec
from dozen.machinery.resources.spec import Spec
from dozen.node.api.state import BATCH, KEPT, SERVICE, Encoded, State, encode_resource, register
from dozen.rpc.router import Router
from dozen.rpc.status import Code, RpcError

CREATED, UPDATED, DESTROYED, BOOTSTRAPPED, NOOP = 0, 1, 2, 3, 5


def make_call(*roles: str) -> Any:
    return SimpleNamespace(
        path=SERVICE, metadata=SimpleNamespace(all=lambda name: list(roles)), peer=SimpleNamespace(uid=50)
    )


READER, ADMIN = make_call("os:reader"), make_call("os:admin")


@pytest.fixture
def store() -> Store:
    return Store(lambda: 1_700_000_000.25)


@pytest.fixture
def state(store: Store) -> State:
    return State(store)


def put(store: Store, id: str, text: str = "", **labels: str) -> None:
    store.put(DIAGNOSTIC, id, DiagnosticSpec(message=text), labels=labels, owner="doctor")


def request(
    sort: str, kind: Kind[Any] | str = DIAGNOSTIC, id: str | None = None, namespace: str = "", **options: Any
) -> Any:
    name = kind if isinstance(kind, str) else kind.name
    made = message(f"cosi.resource.{sort}Request")(namespace=namespace, type=name)
    if id is not None:
        made.id = id
    version = options.pop("api_version", 1)
    if sort == "Watch":
        made.api_version = version
    if options:
        made.options.CopyFrom(message(f"cosi.resource.{sort}Options")(**options))
    return made


def labelled(*terms: dict[str, Any]) -> Any:
    return message("cosi.resource.LabelQuery")(terms=[message("cosi.resource.LabelTerm")(**term) for term in terms])


class Following:
    """A watch as a client has it: `events` gives what has come so far."""

    def __init__(self, replies: AsyncIterator[Any]) -> None:
        self.replies = replies

    async def first(self) -> Any:
        return await asyncio.wait_for(anext(self.replies), 2)

    async def events(self, count: int) -> list[Any]:
        found: list[Any] = []
        while len(found) < count:
            found.extend((await self.first()).event)
        return found


def shown(events: list[Any]) -> list[tuple[int, str]]:
    return [(event.event_type, event.resource.metadata.id) for event in events]


def test_get_gives_both_forms(store: Store, state: State) -> None:
    put(store, "disk", "it is: full", zone="a")
    store.add_finalizer(DIAGNOSTIC, "disk", "nurse")
    found = asyncio.run(state.get(READER, request("Get", id="disk"))).resource
    metadata = found.metadata
    assert (metadata.namespace, metadata.type, metadata.id) == ("runtime", DIAGNOSTIC.name, "disk")
    assert (metadata.version, metadata.owner, metadata.phase) == ("2", "doctor", "running")
    assert metadata.created.ToMilliseconds() == metadata.updated.ToMilliseconds() == 1_700_000_000_250
    assert list(metadata.finalizers) == ["nurse"]
    assert dict(metadata.labels) == {"zone": "a"}
    assert yaml.safe_load(found.spec.yaml_spec) == {"message": "it is: full", "details": []}
    assert found.spec.proto_spec == b"\x0a\x0bit is: full"


@pytest.mark.parametrize(
    ("asked", "call", "code", "text"),
    [
        (request("Get", id="none"), READER, Code.NOT_FOUND, "doesn't exist"),
        (request("Get", "Nonsense.talos.dev", "x"), ADMIN, Code.PERMISSION_DENIED, 'type "Nonsense.talos.dev" is not'),
        (request("Get", id="x", namespace="nowhere"), ADMIN, Code.PERMISSION_DENIED, 'namespace "nowhere" is not'),
        (request("Get", MACHINE_CONFIG, "v1alpha1"), READER, Code.PERMISSION_DENIED, "administrators only"),
        (request("Get", MACHINE_CONFIG, "v1alpha1"), ADMIN, Code.NOT_FOUND, "doesn't exist"),
    ],
)
def test_get_refuses(state: State, asked: Any, call: Any, code: Code, text: str) -> None:
    with pytest.raises(RpcError, match=text) as caught:
        asyncio.run(state.get(call, asked))
    assert caught.value.code is code


def test_machine_config_is_its_text(store: Store, state: State) -> None:
    text = "version: v1alpha1\nmachine:\n  type: worker\n"
    store.put(MACHINE_CONFIG, "v1alpha1", MachineConfigSpec(text=text))
    spec = asyncio.run(state.get(ADMIN, request("Get", MACHINE_CONFIG, "v1alpha1"))).resource.spec
    assert yaml.safe_load(spec.yaml_spec) == text
    assert spec.proto_spec == b"\x0a" + bytes([len(text)]) + text.encode()


def listed(state: State, asked: Any, call: Any = READER) -> list[Any]:
    async def collect() -> list[Any]:
        return [reply.resource async for reply in state.list(call, asked)]

    return asyncio.run(collect())


def test_definitions_are_how_clients_find_types(store: Store, state: State) -> None:
    class OwnSpec(Spec):
        name: str = ""

        WIRE = "1 name string"

    found = {
        each.metadata.id: each
        for each in listed(state, request("List", "ResourceDefinitions.meta.cosi.dev", namespace="meta"))
    }
    assert len(found) >= 60
    link = yaml.safe_load(found["linkstatuses.net.talos.dev"].spec.yaml_spec)
    assert (link["type"], link["displayType"], link["defaultNamespace"]) == (
        "LinkStatuses.net.talos.dev",
        "LinkStatus",
        "network",
    )
    assert {"links", "linkstatuses", "linkstatuses.net.talos"} <= set(link["allAliases"])
    assert {"name": "Hw Addr", "jsonPath": "{.hardwareAddr}"} in link["printColumns"]
    secret = message("cosi.resource.meta.ResourceDefinitionSpec").FromString(
        found["machineconfigs.config.talos.dev"].spec.proto_spec
    )
    assert secret.sensitivity == enum("cosi.resource.meta.ResourceDefinitionSpec.Sensitivity").Value("SENSITIVE")

    own = Kind("Owns.test.dev", "runtime", OwnSpec, "Own")
    store.put(own, "x", OwnSpec())
    asyncio.run(state.get(READER, request("Get", own, "x")))
    assert listed(state, request("List", "ResourceDefinitions.meta.cosi.dev"))[-1] is not None
    assert "owns.test.dev" in {
        each.metadata.id for each in listed(state, request("List", "ResourceDefinitions.meta.cosi.dev"))
    }
    assert {"network", "meta"} <= {
        each.metadata.id for each in listed(state, request("List", "Namespaces.meta.cosi.dev"))
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["a", "b", "c"]),
        ({"label_query": [labelled({"key": "zone", "op": 0})]}, ["a", "b"]),
        ({"label_query": [labelled({"key": "zone", "op": 1, "value": ["x"]})]}, ["a"]),
        ({"label_query": [labelled({"key": "zone", "op": 1, "value": ["x"], "invert": True})]}, ["b", "c"]),
        (
            {
                "label_query": [
                    labelled({"key": "zone", "op": 1, "value": ["x"]}),
                    labelled({"key": "zone", "op": 1, "value": ["y"]}, {"key": "big", "op": 0}),
                ]
            },
            ["a", "b"],
        ),
        ({"id_query": message("cosi.resource.IDQuery")(regexp="^[ac]$")}, ["a", "c"]),
        (
            {
                "id_query": message("cosi.resource.IDQuery")(regexp="b|c"),
                "label_query": [labelled({"key": "zone", "op": 0})],
            },
            ["b"],
        ),
    ],
)
def test_list_selects(store: Store, state: State, options: dict[str, Any], expected: list[str]) -> None:
    put(store, "c")
    put(store, "a", zone="x")
    put(store, "b", zone="y", big="1")
    assert [each.metadata.id for each in listed(state, request("List", **options))] == expected


def test_bad_pattern_is_the_callers_fault(state: State) -> None:
    with pytest.raises(RpcError, match="cannot be used") as caught:
        listed(state, request("List", id_query=message("cosi.resource.IDQuery")(regexp="(")))
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_watch_starts_with_an_empty_answer_then_contents(store: Store, state: State) -> None:
    async def follow() -> None:
        put(store, "a")
        put(store, "b")
        watch = Following(state.watch(READER, request("Watch", bootstrap_contents=True)))
        assert len((await watch.first()).event) == 0
        events = await watch.events(3)
        assert shown(events) == [(CREATED, "a"), (CREATED, "b"), (BOOTSTRAPPED, "")]
        assert events[-1].bookmark
        put(store, "a", "worse")
        store.teardown(DIAGNOSTIC, "b", owner="doctor")
        store.destroy(DIAGNOSTIC, "b", owner="doctor")
        events = await watch.events(3)
        assert shown(events) == [(UPDATED, "a"), (UPDATED, "b"), (DESTROYED, "b")]
        assert (events[0].old.metadata.version, events[0].resource.metadata.version) == ("1", "2")
        assert events[1].resource.metadata.phase == "tearingDown"
        # A client that lost the connection after the first of these goes on from there.
        again = Following(state.watch(READER, request("Watch", start_from_bookmark=events[0].bookmark)))
        await again.first()
        assert shown(await again.events(2)) == [(UPDATED, "b"), (DESTROYED, "b")]

    asyncio.run(follow())


def test_watch_waits_for_what_comes(store: Store, state: State) -> None:
    async def follow() -> None:
        watch = Following(state.watch(READER, request("Watch")))
        await watch.first()
        later = asyncio.create_task(watch.events(1))
        for _ in range(3):
            await asyncio.sleep(0)
        assert not later.done()
        put(store, "a")
        assert shown(await later) == [(CREATED, "a")]

    asyncio.run(follow())


def test_watch_of_an_old_client_has_no_markers(store: Store, state: State) -> None:
    async def follow() -> None:
        put(store, "a")
        watch = Following(state.watch(READER, request("Watch", bootstrap_contents=True, api_version=0)))
        await watch.first()
        assert shown(await watch.events(1)) == [(CREATED, "a")]
        put(store, "b")
        assert shown(await watch.events(1)) == [(CREATED, "b")]

    asyncio.run(follow())


def test_watch_by_id_starts_with_the_state_or_its_absence(store: Store, state: State) -> None:
    async def follow() -> None:
        watch = Following(state.watch(READER, request("Watch", id="a")))
        await watch.first()
        (gone,) = await watch.events(1)
        assert (gone.event_type, gone.resource.metadata.version, gone.resource.spec.yaml_spec) == (
            DESTROYED,
            "undefined",
            "",
        )
        put(store, "b")
        put(store, "a")
        assert shown(await watch.events(1)) == [(CREATED, "a")]
        second = Following(state.watch(READER, request("Watch", id="a")))
        await second.first()
        assert shown(await second.events(1)) == [(CREATED, "a")]

    asyncio.run(follow())


def test_aggregated_watch_puts_several_in_one_answer(store: Store, state: State) -> None:
    async def follow() -> None:
        for number in range(BATCH + 10):
            put(store, f"{number:04}")
        watch = Following(state.watch(READER, request("Watch", bootstrap_contents=True, aggregated=True)))
        await watch.first()
        assert [len((await watch.first()).event) for _ in range(2)] == [BATCH, 11]

    asyncio.run(follow())


def test_watch_tail_and_bookmark_only(store: Store, state: State) -> None:
    async def follow() -> None:
        for text in ("1", "2", "3"):
            put(store, "a", text)
        watch = Following(state.watch(READER, request("Watch", tail_events=2)))
        await watch.first()
        assert shown(await watch.events(2)) == [(UPDATED, "a"), (UPDATED, "a")]
        marked = Following(state.watch(READER, request("Watch", bootstrap_bookmark=True)))
        await marked.first()
        (marker,) = await marked.events(1)
        assert marker.event_type == NOOP
        put(store, "a", "4")
        resumed = Following(state.watch(READER, request("Watch", start_from_bookmark=marker.bookmark)))
        await resumed.first()
        assert [event.resource.metadata.version for event in await resumed.events(1)] == ["4"]

    asyncio.run(follow())


def test_watch_with_a_query_sees_labels_come_and_go(store: Store, state: State) -> None:
    async def follow() -> None:
        query = labelled({"key": "zone", "op": 1, "value": ["x"]})
        watch = Following(state.watch(READER, request("Watch", bootstrap_contents=True, label_query=[query])))
        await watch.first()
        await watch.events(1)
        put(store, "a")
        put(store, "a", zone="x")
        put(store, "a", "changed", zone="x")
        put(store, "a", zone="y")
        put(store, "a", "unseen", zone="y")
        assert shown(await watch.events(3)) == [(CREATED, "a"), (UPDATED, "a"), (DESTROYED, "a")]

    asyncio.run(follow())


def test_slow_watch_with_a_query_learns_of_the_end(store: Store, state: State) -> None:
    """It saw the resource; the change of labels and the end are merged while it does not read."""

    async def follow() -> None:
        query = labelled({"key": "zone", "op": 1, "value": ["x"]})
        put(store, "a", zone="x")
        watch = Following(state.watch(READER, request("Watch", bootstrap_contents=True, label_query=[query])))
        await watch.first()
        assert shown(await watch.events(2)) == [(CREATED, "a"), (BOOTSTRAPPED, "")]
        put(store, "a", zone="y")
        store.destroy(DIAGNOSTIC, "a", owner="doctor")
        for number in range(BACKLOG + 10):
            put(store, "noise", str(number), zone="x" if number == 0 else "y")
        assert shown(await watch.events(1)) == [(DESTROYED, "a")]

    asyncio.run(follow())


def test_old_bookmark_is_refused() -> None:
    store = Store(history=2)
    state = State(store)

    async def follow() -> None:
        bookmark = store.bookmark(DIAGNOSTIC)
        for text in ("1", "2", "3"):
            put(store, "a", text)
        for old in (bookmark, b"nonsense", b""):
            with pytest.raises(RpcError, match="start a new watch") as caught:
                await anext(state.watch(READER, request("Watch", start_from_bookmark=old)))
            assert caught.value.code is Code.FAILED_PRECONDITION

    asyncio.run(follow())


def test_watch_lets_go_when_the_client_does(store: Store, state: State) -> None:
    async def follow() -> None:
        replies = state.watch(READER, request("Watch"))
        await anext(replies)
        assert store.watchers(DIAGNOSTIC) == 1
        await replies.aclose()  # type: ignore[attr-defined]
        assert store.watchers(DIAGNOSTIC) == 0

    asyncio.run(follow())


def test_writing_is_refused(store: Store) -> None:
    router = Router()
    register(router, SimpleNamespace(store=store))
    verbs = {path.rpartition("/")[2] for path in router.paths}
    assert verbs == {"Get", "List", "Watch", "Create", "Update", "Destroy", "Teardown", "TeardownAndDestroy"}

    async def write(verb: str) -> None:
        data = message(f"cosi.resource.{verb}Request")().SerializeToString()

        async def recv() -> bytes:
            return data

        await router(SimpleNamespace(path=f"{SERVICE}{verb}", recv=recv))  # type: ignore[arg-type]

    for verb in verbs - {"Get", "List", "Watch"}:
        with pytest.raises(RpcError, match="write access is not allowed") as caught:
            asyncio.run(write(verb))
        assert caught.value.code is Code.PERMISSION_DENIED


def test_hostname_example(store: Store, state: State) -> None:
    store.put(HOSTNAME_STATUS, "hostname", HostnameStatusSpec(hostname="node-1"))
    spec = asyncio.run(state.get(READER, request("Get", HOSTNAME_STATUS, "hostname", "network"))).resource.spec
    assert spec.yaml_spec == 'hostname: node-1\ndomainname: ""\n'


def test_many_watchers_are_told_of_one_change_from_one_encoding(store: Store) -> None:
    encoded = Encoded()
    for number in range(3 * KEPT):
        put(store, "one", f"text {number}")
        resource = store.find(DIAGNOSTIC, "one")
        assert resource is not None
        first = encoded(resource)
        assert first == encode_resource(resource)
        assert encoded(resource) is first

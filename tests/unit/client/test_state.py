"""Resources: how a type is found by what people call it, and how records and changes are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dozen.client import state
from dozen.client.errors import ClientError
from dozen.client.machine import Node
from dozen.client.state import Definition
from dozen.machinery.messages import message
from dozen.testing.fakenode import FakeNode

LINK = Definition("LinkStatuses.net.talos.dev", "LinkStatus", "network", ("link", "links", "ls"), (), False)
SPEC = Definition("LinkSpecs.net.talos.dev", "LinkSpec", "network", ("linkspec", "ls"), (), False)
KNOWN = (LINK, SPEC)


@pytest.mark.parametrize("name", ["links", "LINK", "linkstatus", "LinkStatuses.net.talos.dev"])
def test_a_type_is_found_by_any_of_its_names(name: str) -> None:
    assert state.resolve(name, KNOWN) is LINK


def test_a_name_of_two_types_is_refused() -> None:
    with pytest.raises(ClientError, match=r"may mean LinkStatuses\.net\.talos\.dev, LinkSpecs") as caught:
        state.resolve("ls", KNOWN)
    assert caught.value.step == "write the whole name"


@pytest.mark.parametrize(("name", "step"), [("lnks", 'did you mean "links"?'), ("zebra", "`dozenctl get rd`")])
def test_a_type_that_nobody_knows(name: str, step: str) -> None:
    with pytest.raises(ClientError, match="no type of resource") as caught:
        state.resolve(name, KNOWN)
    assert step in caught.value.step


def resource(id: str, yaml: str = "") -> Any:
    made = message("cosi.resource.Resource")()
    made.metadata.namespace, made.metadata.type, made.metadata.id = "network", "T", id
    made.metadata.version, made.metadata.created.seconds = "3", 12
    made.metadata.labels["a"] = "b"
    made.spec.yaml_spec = yaml
    return made


def test_definitions(fake: FakeNode, ask: Callable[..., Any]) -> None:
    text = (
        "type: T.x\ndisplayType: T\ndefaultNamespace: n\naliases: [t]\nallAliases: [t, ts]\n"
        "printColumns: [{name: A, jsonPath: '{.a}'}]\nsensitivity: sensitive\n"
    )
    fake.replies["List"] = [message("cosi.resource.ListResponse")(resource=resource("t.x", text))]
    assert ask(state.definitions) == [Definition("T.x", "T", "n", ("t", "ts"), (("A", "{.a}"),), True)]
    assert (fake.asked[0].request.namespace, fake.asked[0].request.type) == ("meta", state.DEFINITIONS)


def test_a_record(fake: FakeNode, ask: Callable[..., Any]) -> None:
    fake.replies["Get"] = message("cosi.resource.GetResponse")(resource=resource("one", "a: [1]\n"))
    record = ask(lambda node: state.get_record(node, "T", "network", "one"))
    assert (record.id, record.version, record.created, record.labels) == ("one", "3", 12.0, {"a": "b"})
    assert record.spec == {"a": [1]}


def test_watching_a_kind_asks_for_what_is_there(fake: FakeNode, ask: Callable[..., Any]) -> None:
    response, event = message("cosi.resource.WatchResponse"), message("cosi.resource.Event")
    fake.replies["Watch"] = [
        response(),
        response(event=[event(event_type=0, resource=resource("one")), event(event_type=3)]),
        response(event=[event(event_type=1, resource=resource("one"), old=resource("one"))]),
        response(event=[event(event_type=4, error="too slow")]),
    ]

    async def work(node: Node) -> list[state.Change]:
        return [change async for change in state.watch(node, "T", "network")]

    changes = ask(work)
    assert [change.kind for change in changes] == ["CREATED", "BOOTSTRAPPED", "UPDATED", "ERRORED"]
    assert changes[2].old.id == "one"
    assert changes[3].error == "too slow"
    request = fake.asked[0].request
    assert (request.options.bootstrap_contents, request.api_version, request.HasField("id")) == (True, 1, False)


def test_watching_one_id(fake: FakeNode, ask: Callable[..., Any]) -> None:
    fake.replies["Watch"] = [message("cosi.resource.WatchResponse")()]

    async def work(node: Node) -> list[state.Change]:
        return [change async for change in state.watch(node, "T", "network", "one")]

    assert ask(work) == []
    assert (fake.asked[0].request.id, fake.asked[0].request.options.bootstrap_contents) == ("one", False)

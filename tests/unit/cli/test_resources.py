"""``get``: tables with a type's own columns, data for programs, changes as they happen."""

from __future__ import annotations

from typing import Any

import pytest

from dozen.machinery.messages import message
from dozen.rpc.status import Code, RpcError
from dozen.testing.fakenode import FakeNode

DEFINITION = (
    "type: Links.net\ndisplayType: Link\ndefaultNamespace: network\naliases: [link, links]\n"
    "printColumns: [{name: State, jsonPath: '{.state}'}, {name: Mtu, jsonPath: '{.mtu}'}]\n"
)


def resource(type: str, id: str, yaml: str) -> Any:
    made = message("cosi.resource.Resource")()
    made.metadata.namespace, made.metadata.type, made.metadata.id = "network", type, id
    made.metadata.version, made.metadata.phase = "2", "running"
    made.metadata.labels["a"] = "b"
    made.spec.yaml_spec = yaml
    return made


LO, ETH = (resource("Links.net", id, f"state: {state}\nmtu: 1500\n") for id, state in (("lo", "up"), ("eth0", "down")))


@pytest.fixture
def node(fake: FakeNode) -> FakeNode:
    listed = message("cosi.resource.ListResponse")

    def answer(request: Any) -> Any:
        if request.type == "ResourceDefinitions.meta.cosi.dev":
            return [listed(resource=resource(request.type, "links.net", DEFINITION))]
        return [listed(resource=LO), listed(resource=ETH)]

    fake.replies["/cosi.resource.State/List"] = answer
    fake.replies["/cosi.resource.State/Get"] = message("cosi.resource.GetResponse")(resource=LO)
    return fake


def test_table(node: FakeNode, ask: Any) -> None:
    assert ask("get", "links").stdout == (
        "NODE       NAMESPACE   TYPE   ID     VERSION   STATE   MTU\n"
        "10.0.0.1   network     Link   lo     2         up      1500\n"
        "10.0.0.1   network     Link   eth0   2         down    1500\n"
    )
    assert node.methods() == ["Version", "List", "List"]


def test_one_as_yaml(node: FakeNode, ask: Any) -> None:
    assert ask("get", "link", "lo", "-o", "yaml").stdout == (
        'node: "10.0.0.1"\nmetadata:\n    namespace: network\n    type: Links.net\n    id: lo\n    version: 2\n'
        '    owner: ""\n    phase: running\n    created: "1970-01-01T00:00:00Z"\n    updated: "1970-01-01T00:00:00Z"\n'
        "    labels:\n        a: b\nspec:\n    state: up\n    mtu: 1500\n"
    )
    assert node.methods() == ["Version", "List", "Get"]


def test_several_as_yaml_are_documents(node: FakeNode, ask: Any) -> None:
    assert ask("get", "links", "-o", "yaml").stdout.count("---\n") == 1


def test_jsonpath(node: FakeNode, ask: Any) -> None:
    result = ask("get", "links", "-o", "jsonpath={.metadata.id}={.spec.state}")
    assert result.stdout == "lo=up\neth0=down\n"


@pytest.mark.parametrize("form", ["xml", "jsonpath", "jsonpath={", "json=x"])
def test_forms_that_do_not_exist(node: FakeNode, ask: Any, form: str) -> None:
    result = ask("get", "links", "-o", form)
    assert result.exit_code == 2
    assert "--output" in result.stderr
    assert node.methods() == []


def test_another_namespace(node: FakeNode, ask: Any) -> None:
    ask("get", "links", "--namespace", "other")
    assert node.asked[-1].request.namespace == "other"


def test_a_type_that_is_not_there(node: FakeNode, ask: Any) -> None:
    result = ask("get", "lnks")
    assert result.stderr == ('dozenctl: there is no type of resource called "lnks"\n  → did you mean "links"?\n')
    assert result.exit_code == 1


def test_an_id_that_is_not_there(node: FakeNode, ask: Any) -> None:
    node.replies["/cosi.resource.State/Get"] = RpcError(Code.NOT_FOUND, "resource is not there")
    result = ask("get", "links", "eth9")
    assert (result.stdout, result.exit_code) == ("", 1)
    assert result.stderr.startswith("dozenctl: resource is not there\n  → check the name; `dozenctl get TYPE`")


def test_watch_is_a_table_and_then_lines(node: FakeNode, ask: Any) -> None:
    response, event = message("cosi.resource.WatchResponse"), message("cosi.resource.Event")
    node.replies["/cosi.resource.State/Watch"] = [
        response(),
        response(event=[event(event_type=0, resource=LO), event(event_type=3)]),
        response(event=[event(event_type=0, resource=ETH)]),
        response(event=[event(event_type=1, resource=LO, old=LO)]),
        response(event=[event(event_type=2, resource=ETH)]),
    ]
    assert ask("get", "links", "-w").stdout == (
        "*   NODE       NAMESPACE   TYPE   ID   VERSION   STATE   MTU\n"
        "+   10.0.0.1   network     Link   lo   2         up      1500\n"
        "+   10.0.0.1   network     Link   eth0   2         down    1500\n"
        "    10.0.0.1   network     Link   lo   2         up      1500\n"
        "-   10.0.0.1   network     Link   eth0   2         down    1500\n"
    )


def test_a_watch_that_fails(node: FakeNode, ask: Any) -> None:
    response, event = message("cosi.resource.WatchResponse"), message("cosi.resource.Event")
    node.replies["/cosi.resource.State/Watch"] = [response(event=[event(event_type=4, error="too slow")])]
    result = ask("get", "links", "-w", "-o", "json")
    assert (result.stderr, result.exit_code) == ("dozenctl: 10.0.0.1: too slow\n", 1)


def test_events(fake: FakeNode, ask: Any) -> None:
    event = message("machine.Event")(id="dc2btsn5khudj2o0veb0", actor_id="a1")
    event.data.type_url = "talos/runtime/machine.PhaseEvent"
    event.data.value = message("machine.PhaseEvent")(phase="env", action=1).SerializeToString()
    fake.replies["Events"] = [event]
    lines = ask("events", "--tail", "-1", "--duration", "5m").stdout.splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "NODE ID EVENT ACTOR MESSAGE",
        "10.0.0.1 dc2btsn5khudj2o0veb0 Phase a1 phase env: stop",
    ]
    assert (fake.asked[0].request.tail_events, fake.asked[0].request.tail_seconds) == (-1, 300)
    assert '"phase": "env"' in ask("events", "-o", "json", "--since", "dc2btsn5khudj2o0veb0").stdout
    assert fake.asked[1].request.tail_id == "dc2btsn5khudj2o0veb0"

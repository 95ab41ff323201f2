"""The graph of controllers in the words of the API."""

from collections.abc import Callable, Iterable
from typing import Any

from dozen.machinery.plan import Input, Shared, Step, View
from dozen.machinery.resources import network, time
from dozen.testing.machine import FakeMachine

Ask = Callable[..., list[Any]]


class Example:
    """One tie of each sort."""

    name = "example"
    inputs = (Input(network.HOSTNAME_STATUS, "hostname"), Input(network.RESOLVER_STATUS, finalize=True))
    outputs = (Shared(network.NODE_ADDRESS), time.TIME_STATUS)

    def plan(self, view: View) -> Iterable[Step]:
        return ()


def test_each_tie_is_told(ask: Ask, machine: FakeMachine) -> None:
    machine.runtime.add(Example())
    (reply,) = ask("inspect.InspectService/ControllerRuntimeDependencies")
    (answer,) = reply.messages
    found = {(edge.resource_type, edge.resource_id, edge.edge_type) for edge in answer.edges}
    assert found == {
        ("HostnameStatuses.net.talos.dev", "hostname", 2),
        ("ResolverStatuses.net.talos.dev", "", 1),
        ("NodeAddresses.net.talos.dev", "", 3),
        ("TimeStatuses.v1alpha1.talos.dev", "", 0),
    }
    assert {(edge.controller_name, edge.resource_namespace) for edge in answer.edges} == {
        ("example", "network"),
        ("example", "runtime"),
    }

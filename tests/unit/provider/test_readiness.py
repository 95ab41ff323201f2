"""What counts as ready, and what a person is told who waits in vain."""

from types import SimpleNamespace
from typing import Any

import pytest

from dozen.client.kubernetes import KubernetesError, UnreachableError
from dozen.provider.readiness import ask_dns, ask_nodes, ask_ready, describe_service
from dozen.provider.waiting import NotYetError


class Api:
    """A Kubernetes API that gives what it was told to, or raises it."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def get(self, path: str) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def items(self, path: str) -> Any:
        return self.get(path)

    is_ready = __call__ = lambda self: self.get("")


def node(name: str, ready: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


def test_all_nodes_are_ready_only_when_each_of_them_is() -> None:
    assert ask_nodes(Api([node("a", "True")]), ["a"]) == "a is Ready"
    assert ask_nodes(Api([node("a", "True"), node("b", "True"), node("x", "False")]), ["a", "b"]) == "2 Ready"
    with pytest.raises(NotYetError, match="not Ready yet: b, c"):
        ask_nodes(Api([node("a", "True"), node("b", "Unknown")]), ["a", "b", "c"])


def test_names_are_resolved_when_a_replica_is_available() -> None:
    assert ask_dns(Api({"status": {"replicas": 2, "availableReplicas": 1}})) == "1 of 2 available"
    with pytest.raises(NotYetError, match="no replica"):
        ask_dns(Api({"status": {"replicas": 2}}))


@pytest.mark.parametrize("answer", [UnreachableError("127.0.0.1:1: refused"), KubernetesError(401, "", "who?"), False])
def test_an_api_that_is_not_there_yet_is_asked_again(answer: Any) -> None:
    with pytest.raises(NotYetError):
        ask_ready(Api(answer))
    if answer:
        for ask in (lambda api: ask_nodes(api, ["a"]), ask_dns):
            with pytest.raises(NotYetError, match=r"refused|who"):
                ask(Api(answer))


def test_a_service_is_described_by_what_it_said_last() -> None:
    health = SimpleNamespace(unknown=True, last_message="")
    events = SimpleNamespace(events=[SimpleNamespace(msg="Waiting for an image")])
    service = SimpleNamespace(id="etcd", state="Waiting", events=events, health=health)
    assert describe_service(service) == "etcd is Waiting: Waiting for an image"
    service.health = SimpleNamespace(unknown=False, last_message="connection refused")
    assert describe_service(service) == "etcd is Waiting: connection refused"

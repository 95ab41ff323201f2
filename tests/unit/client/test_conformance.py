"""Conformance tests of a cluster: what is made there, waited for and taken away again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dozen.client import conformance
from dozen.client.errors import ClientError
from dozen.client.kubernetes import UnreachableError

LOG = b"some output\nRan 421 of 7137 Specs in 6029 seconds\nPASS\nmore\n"


class FakeCluster:
    """Answers as a cluster whose tests take a while; ``phases`` are what the pod goes through."""

    def __init__(self, *phases: str | Exception) -> None:
        self.phases = list(phases)
        self.objects: dict[str, Any] = {}
        self.deleted: list[str] = []

    def get(self, path: str) -> Any:
        if path == "/version":
            return {"gitVersion": "v1.36.3"}
        phase = self.phases.pop(0) if len(self.phases) > 1 else self.phases[0]
        if isinstance(phase, Exception):
            raise phase
        return {"status": {"phase": phase}}

    def apply(self, path: str, body: Any) -> None:
        self.objects[path] = body

    def request(self, method: str, path: str) -> bytes:
        assert (method, path.endswith("/log?tailLines=200")) == ("GET", True)
        return LOG

    def delete(self, path: str) -> None:
        self.deleted.append(path)


def run(cluster: FakeCluster, mode: str = "fast", timeout: float = 5.0) -> tuple[str, list[str]]:
    said: list[str] = []
    return asyncio.run(conformance.run(cluster, mode, said.append, timeout=timeout)), said  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance, "PERIOD", 0.01)


def test_tests_that_pass_leave_nothing_behind() -> None:
    cluster = FakeCluster("Pending", UnreachableError("away"), "Running", "Succeeded")
    summary, said = run(cluster)
    assert summary == "Ran 421 of 7137 Specs in 6029 seconds\nPASS"
    assert said == [
        "Kubernetes v1.36.3, mode fast",
        *(f"the tests: {each}" for each in ("Pending", "Running", "Succeeded")),
    ]
    assert cluster.deleted == list(reversed(cluster.objects))
    pod = next(body for body in cluster.objects.values() if body["kind"] == "Pod")
    (container,) = pod["spec"]["containers"]
    assert container["image"] == "registry.k8s.io/conformance:v1.36.3"
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert (environment["E2E_PARALLEL"], environment["E2E_FOCUS"]) == ("true", r"\[Conformance\]")
    assert "Serial" in environment["E2E_SKIP"]


def test_certified_leaves_nothing_out() -> None:
    cluster = FakeCluster("Succeeded")
    run(cluster, "certified")
    pod = next(body for body in cluster.objects.values() if body["kind"] == "Pod")
    environment = {each["name"]: each["value"] for each in pod["spec"]["containers"][0]["env"]}
    assert (environment["E2E_PARALLEL"], environment["E2E_SKIP"]) == ("false", "")


def test_tests_that_fail_say_so_and_leave_nothing_behind() -> None:
    cluster = FakeCluster("Failed")
    with pytest.raises(ClientError, match="failed") as caught:
        run(cluster)
    assert "Ran 421" in caught.value.step
    assert cluster.deleted


def test_tests_that_never_end() -> None:
    cluster = FakeCluster("Running")
    with pytest.raises(ClientError, match="did not end within"):
        run(cluster, timeout=0.05)
    assert cluster.deleted

"""The node's way to the API: which identity it takes, what it says while there is none, and when it tries again."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from dozen.engine.store import Store
from dozen.machinery.config.generating import generate
from dozen.machinery.plan import Temporary
from dozen.machinery.resources import config
from dozen.node.kubernetes import api as module
from dozen.node.kubernetes.api import KubernetesApi, retrying, what_is_missing
from dozen.node.kubernetes.errors import Unreachable

BUNDLE = generate("c", "https://10.0.0.1:6443")
KUBECONFIG = """
current-context: x
contexts: [{name: x, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://10.0.0.1:6443"}}]
users: [{name: u, user: {token: t}}]
"""


def api_of(text: str) -> KubernetesApi:
    store = Store()
    spec = config.MachineConfigSpec(text=text)
    store.put(config.MACHINE_CONFIG, config.ACTIVE, spec, owner="test")
    return KubernetesApi(store, logging.getLogger("test"))


def test_a_worker_is_what_its_kubelet_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    monkeypatch.setattr(module, "KUBELET_KUBECONFIG", str(path))
    api = api_of(BUNDLE.worker)
    assert api.access() is None
    path.write_text(KUBECONFIG)
    access = api.access()
    assert access is not None
    assert (access.host, access.token) == ("10.0.0.1", "t")


def test_a_control_plane_waits_for_its_own_identity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG)
    monkeypatch.setattr(module, "KUBELET_KUBECONFIG", str(path))
    api = api_of(BUNDLE.controlplane)
    assert api.is_control_plane
    assert api.access() is None
    assert asyncio.run(api.try_connect()) is None
    assert api.last_error == "there are no credentials for the Kubernetes API yet"


def test_an_unreadable_identity_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text("{}")
    monkeypatch.setattr(module, "KUBELET_KUBECONFIG", str(path))
    api = api_of(BUNDLE.worker)
    assert asyncio.run(api.try_connect()) is None
    assert "contexts has no entry" in api.last_error


def test_what_an_api_server_waits_for_is_one_line() -> None:
    answer = (
        "[+]ping ok\n[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\n[-]etcd failed\nreadyz check failed"
    )
    assert what_is_missing(answer) == (
        "the API server is not ready: it waits for poststarthook/rbac/bootstrap-roles, etcd"
    )
    assert what_is_missing("no answer") == "no answer"


def test_a_lost_api_is_a_reason_to_try_again_and_other_errors_are_not() -> None:
    with pytest.raises(Temporary, match="gone"), retrying():
        raise Unreachable("gone")
    with pytest.raises(Temporary, match="gone"), retrying():
        raise ExceptionGroup("tasks", [ExceptionGroup("more", [Unreachable("gone")])])
    with pytest.raises(ExceptionGroup), retrying():
        raise ExceptionGroup("tasks", [Unreachable("gone"), ValueError("a bug")])


def test_all_who_wait_for_an_api_ask_it_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    api, asked = api_of(BUNDLE.worker), 0

    async def answers_at_the_fourth(self: KubernetesApi) -> object:
        nonlocal asked
        asked += 1
        return None if asked < 4 else object()

    monkeypatch.setattr(KubernetesApi, "try_connect", answers_at_the_fourth)
    monkeypatch.setattr(module, "PERIOD", 0.01)

    async def wait() -> list[object]:
        return await asyncio.gather(*(api.connect() for _ in range(6)))

    assert len(asyncio.run(wait())) == 6
    assert asked == 3 + 6

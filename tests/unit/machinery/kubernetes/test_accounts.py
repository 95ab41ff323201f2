"""Who may have an account of the machine API, and when its Secret is made anew."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from dozen.machinery import pki, talosconfig
from dozen.machinery.config import client_config
from dozen.machinery.kubernetes import accounts
from dozen.machinery.kubernetes.injection import make_account
from dozen.machinery.kubernetes.objects import Object
from dozen.machinery.resources.cluster import KubernetesAccessConfigSpec

ACCESS = KubernetesAccessConfigSpec(
    enabled=True, allowed_api_roles=("os:reader", "os:operator"), allowed_kubernetes_namespaces=("tools",)
)
AUTHORITY, OTHER = pki.new_ca(), pki.new_ca()
NOW = 1_800_000_000


def account(*roles: str, namespace: str = "tools") -> Object:
    made = make_account("a", namespace, roles)
    return {**made, "metadata": {**made["metadata"], "uid": "u-1"}}


@pytest.mark.parametrize(
    ("asked", "access", "words"),
    [
        (account("os:reader"), ACCESS, ""),
        (account("os:reader", "os:operator"), ACCESS, ""),
        (account("os:admin"), ACCESS, "role os:admin is not among the allowed ones: os:reader, os:operator"),
        (account(), ACCESS, "spec.roles asks for no role"),
        ({**account(), "spec": None}, ACCESS, "spec.roles asks for no role"),
        (account("os:reader", namespace="x"), ACCESS, "namespace x is not among the allowed ones: tools"),
        (account("os:reader"), KubernetesAccessConfigSpec(enabled=True), "not among the allowed ones: there are none"),
        (account("os:reader"), KubernetesAccessConfigSpec(), "gives workloads no access"),
    ],
)
def test_who_gets_a_secret(asked: Object, access: KubernetesAccessConfigSpec, words: str) -> None:
    found = accounts.refusal(asked, access)
    assert words in found
    assert bool(words) == bool(found)


def secret(roles: tuple[str, ...] = ("os:reader",), endpoints: tuple[str, ...] = (accounts.ENDPOINT,)) -> Object:
    config = client_config("a", AUTHORITY, endpoints=endpoints, roles=roles, lifetime=accounts.LIFETIME)
    return accounts.make_secret(account(*roles), talosconfig.render(config))


def half_life(made: Object) -> float:
    context = talosconfig.parse(base64.b64decode(made["data"]["config"]).decode()).select()
    certificate = pki.certificate(context.crt)
    return (certificate.not_before + certificate.not_after) / 2


def test_a_secret_is_made_anew_at_half_of_its_certificate_s_life() -> None:
    made = secret()
    assert accounts.is_current(made, ("os:reader",), AUTHORITY.crt, half_life(made) - 1)
    assert not accounts.is_current(made, ("os:reader",), AUTHORITY.crt, half_life(made) + 1)


@pytest.mark.parametrize(
    ("made", "roles", "authority"),
    [
        (secret(), ("os:operator",), AUTHORITY),
        (secret(), ("os:reader", "os:operator"), AUTHORITY),
        (secret(), ("os:reader",), OTHER),
        (secret(endpoints=("10.0.0.1",)), ("os:reader",), AUTHORITY),
        ({**secret(), "data": {}}, ("os:reader",), AUTHORITY),
        ({**secret(), "data": None}, ("os:reader",), AUTHORITY),
        ({**secret(), "data": {"config": "!"}}, ("os:reader",), AUTHORITY),
        ({**secret(), "data": {"config": base64.b64encode(b"\xff").decode()}}, ("os:reader",), AUTHORITY),
        ({**secret(), "data": {"config": base64.b64encode(b"context: a\n").decode()}}, ("os:reader",), AUTHORITY),
    ],
)
def test_a_secret_that_says_something_else_is_made_anew(made: Object, roles: Any, authority: Any) -> None:
    assert not accounts.is_current(made, roles, authority.crt, half_life(secret()) - 60)


def test_a_secret_belongs_to_its_account_alone() -> None:
    assert accounts.is_of(secret(), account())
    assert not accounts.is_of(secret(), {"metadata": {"uid": "u-2"}})
    assert not accounts.is_of({"metadata": {}}, account())


def test_names_by_which_pods_call() -> None:
    assert accounts.service_names("cluster.local")[-1] == "talos.default.svc.cluster.local"
    assert accounts.ENDPOINT in accounts.service_names("x")

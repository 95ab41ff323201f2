"""A person's Kubernetes configuration: what is theirs stays, what belongs to a cluster comes and goes whole."""

import base64
from typing import Any

import pytest

from dozen.machinery.kubeconfig import KubeconfigError, forget, merge, parse, render, selected, with_server


def config(name: str, ca: str, user: str = "") -> dict[str, Any]:
    def encoded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    return parse(
        render(
            {
                "current-context": f"admin@{name}",
                "clusters": [
                    {"name": name, "cluster": {"server": "https://x:1", "certificate-authority-data": encoded(ca)}}
                ],
                "users": [
                    {
                        "name": user or f"admin@{name}",
                        "user": {"client-certificate-data": encoded("C"), "client-key-data": encoded("K")},
                    }
                ],
                "contexts": [{"name": f"admin@{name}", "context": {"cluster": name, "user": user or f"admin@{name}"}}],
            }
        )
    )


def test_an_empty_file_is_one_without_clusters() -> None:
    assert parse("") == {"apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts": []}


def test_the_selected_context_says_how_to_reach_the_cluster() -> None:
    access = selected(with_server(config("one", "CA"), "https://127.0.0.1:5"))
    assert (access.server, access.ca, access.crt, access.key) == ("https://127.0.0.1:5", "CA", "C", "K")
    assert "'K'" not in repr(access)


def test_merging_replaces_what_has_the_same_name_and_keeps_the_rest() -> None:
    base = {**config("one", "old"), "preferences": {"colors": True}}
    merged = merge(merge(base, config("two", "other")), config("one", "new"))
    assert [entry["name"] for entry in merged["clusters"]] == ["two", "one"]
    assert merged["current-context"] == "admin@one"
    assert merged["preferences"] == {"colors": True}
    assert selected(merged).ca == "new"


def test_forgetting_takes_out_what_leads_to_that_cluster_only() -> None:
    merged = merge(config("one", "A", user="me"), config("two", "B", user="me"))
    left = forget(merged, "B")
    assert [entry["name"] for entry in left["clusters"]] == ["one"]
    assert [entry["name"] for entry in left["contexts"]] == ["admin@one"]
    assert [entry["name"] for entry in left["users"]] == ["me"]
    assert left["current-context"] == ""
    assert forget(left, "A")["users"] == []
    assert forget(merged, "unknown") == merged


@pytest.mark.parametrize("text", ["- a\n", "clusters: x\n", "users: [{user: {}}]\n", "a: [\n"])
def test_what_is_no_kubeconfig_is_refused(text: str) -> None:
    with pytest.raises(KubeconfigError):
        parse(text)


def test_a_context_that_leads_nowhere_is_named() -> None:
    with pytest.raises(KubeconfigError, match='no entry "gone" in contexts'):
        selected({**config("one", "A"), "current-context": "gone"})

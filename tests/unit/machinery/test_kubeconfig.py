"""Kubeconfigs: read and written; and in a person's file, what is theirs stays while clusters come and go."""

import base64
import io
import tarfile
from typing import Any

import pytest

from dozen.machinery.kubeconfig import (
    Access,
    KubeconfigError,
    forget,
    merge,
    parse,
    read_kubeconfig,
    render,
    render_kubeconfig,
    selected,
    unpack_kubeconfig,
    with_server,
)


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
    assert access == Access("127.0.0.1", 5, b"CA", b"C", b"K")


def test_merging_replaces_what_has_the_same_name_and_keeps_the_rest() -> None:
    base = {**config("one", "old"), "preferences": {"colors": True}}
    merged = merge(merge(base, config("two", "other")), config("one", "new"))
    assert [entry["name"] for entry in merged["clusters"]] == ["two", "one"]
    assert merged["current-context"] == "admin@one"
    assert merged["preferences"] == {"colors": True}
    assert selected(merged).ca == b"new"


def test_forgetting_takes_out_what_leads_to_that_cluster_only() -> None:
    merged = merge(config("one", "A", user="me"), config("two", "B", user="me"))
    left = forget(merged, b"B")
    assert [entry["name"] for entry in left["clusters"]] == ["one"]
    assert [entry["name"] for entry in left["contexts"]] == ["admin@one"]
    assert [entry["name"] for entry in left["users"]] == ["me"]
    assert left["current-context"] == ""
    assert forget(left, b"A")["users"] == []
    assert forget(merged, b"unknown") == merged


@pytest.mark.parametrize("text", ["- a\n", "clusters: x\n", "users: [{user: {}}]\n", "a: [\n"])
def test_what_is_no_kubeconfig_is_refused(text: str) -> None:
    with pytest.raises(KubeconfigError):
        parse(text)


def test_a_context_that_leads_nowhere_is_named() -> None:
    with pytest.raises(KubeconfigError, match='contexts has no entry "gone"'):
        selected({**config("one", "A"), "current-context": "gone"})


TEXT = """
apiVersion: v1
kind: Config
current-context: two
contexts:
  - {name: one, context: {cluster: none, user: none}}
  - {name: two, context: {cluster: c, user: u}}
clusters:
  - name: c
    cluster: {server: SERVER, certificate-authority-data: Q0E=, tls-server-name: inside}
users:
  - name: u
    user: USER
"""


def text(server: str = "https://host:6443", user: str = "{token: t}") -> str:
    return TEXT.replace("SERVER", server).replace("USER", user)


@pytest.mark.parametrize(
    ("server", "host", "port"),
    [
        ("https://host:6443", "host", 6443),
        ("https://host", "host", 443),
        ('"https://[fd00::1]:6443"', "fd00::1", 6443),
    ],
)
def test_the_current_context_says_where_and_who(server: str, host: str, port: int) -> None:
    assert read_kubeconfig(text(server)) == Access(host, port, b"CA", token="t", server_name="inside")


def test_certificates_come_from_the_text_or_from_files() -> None:
    key = base64.b64encode(b"KEY").decode()
    user = f"{{client-certificate: /pki/now.pem, client-key-data: {key}}}"
    access = read_kubeconfig(text(user=user), lambda path: path.encode())
    assert (access.certificate, access.key) == (b"/pki/now.pem", b"KEY")


def test_an_access_does_not_show_its_secrets() -> None:
    assert repr(read_kubeconfig(text())) == "<Access host:6443>"


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("[]", "kubeconfig: expected a mapping"),
        ("a: [", "kubeconfig, line 1"),
        ("{}", 'contexts has no entry ""'),
        (text("http://host"), "it begins with https://"),
        (text("https://host:port"), "is not the URL"),
        (text(user="{exec: {command: x}}"), "is a program"),
        (text(user="{client-key-data: '!'}"), "client-key-data is not base64"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(given: str, complaint: str) -> None:
    with pytest.raises(KubeconfigError, match=complaint):
        read_kubeconfig(given)


def test_what_is_written_can_be_read() -> None:
    written = render_kubeconfig("c", "https://host:1", "CA", "u", crt="C", key="K", token="t")
    assert read_kubeconfig(written) == Access("host", 1, b"CA", b"C", b"K", "t")


def test_a_kubeconfig_may_name_the_files_of_its_identity() -> None:
    access = read_kubeconfig(render_kubeconfig("c", "https://h", "CA", "u", files=("c.pem", "k.pem")), str.encode)
    assert (access.certificate, access.key) == (b"c.pem", b"k.pem")


def archive(*names: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 4
            tar.addfile(info, io.BytesIO(b"a: 1"))
    return stream.getvalue()


def test_a_node_s_kubeconfig_is_the_one_file_of_its_archive() -> None:
    assert unpack_kubeconfig(archive("kubeconfig")) == "a: 1"


@pytest.mark.parametrize(("data", "complaint"), [(archive(), "without a kubeconfig"), (b"text", "no archive")])
def test_an_archive_without_one_is_said_to_be_that(data: bytes, complaint: str) -> None:
    with pytest.raises(KubeconfigError, match=complaint):
        unpack_kubeconfig(data)

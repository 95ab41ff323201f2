"""Reading kubeconfigs."""

from __future__ import annotations

import base64

import pytest

from dozen.machinery.kubernetes.kubeconfig import Access, KubeconfigError, read_kubeconfig

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
        ("[]", "a kubeconfig is a mapping"),
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

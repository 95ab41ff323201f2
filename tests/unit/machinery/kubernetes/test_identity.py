"""Telling a kubelet's own identity from one that another cluster has left."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from dozen.engine.store import Store
from dozen.machinery import certificates
from dozen.machinery.config.secrets import new_secrets
from dozen.machinery.kubeconfig import parse, read_kubeconfig, render, render_kubeconfig, with_server
from dozen.machinery.kubernetes import paths
from dozen.machinery.kubernetes.identity import is_identity_of
from dozen.machinery.resources import kubernetes, secrets
from dozen.node.services.kubelet import follow_endpoint, forget_foreign_identity

OURS, THEIRS = new_secrets().kubernetes, new_secrets().kubernetes


def identity(name: str, *, foreign: bool = False) -> str:
    made = certificates.issue(
        THEIRS if foreign else OURS, f"system:node:{name}", organizations=("system:nodes",), lifetime=60
    )
    return made.crt + made.key


@pytest.mark.parametrize(
    ("pem", "expected"),
    [
        (identity("n1"), True),
        (identity("n2"), False),
        (identity("n1", foreign=True), False),
        ("half a fi", False),
        ("", False),
    ],
    ids=["own", "another name", "another cluster", "damaged", "empty"],
)
def test_whose_an_identity_is(pem: str, expected: bool) -> None:
    assert is_identity_of(pem, "n1", [OURS.crt]) == expected


@pytest.mark.parametrize("foreign", [False, True])
def test_only_a_foreign_identity_is_taken_away(foreign: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "KUBELET_PKI", str(tmp_path))
    monkeypatch.setattr(paths, "KUBELET_KUBECONFIG", str(tmp_path / "kubeconfig"))
    current = tmp_path / "kubelet-client-current.pem"
    current.write_text(identity("n1", foreign=foreign))
    (tmp_path / "kubeconfig").write_text("names the file above")
    store = Store()
    store.put(kubernetes.NODENAME, "nodename", kubernetes.NodenameSpec(nodename="n1"), owner="test")
    trust = secrets.KubeletSecretsSpec(accepted_cas=(secrets.PemCertificate(crt=OURS.crt.encode()),))
    store.put(secrets.KUBELET_SECRETS, secrets.KUBELET, trust, owner="test")
    forget_foreign_identity(SimpleNamespace(store=store))  # type: ignore[arg-type]
    assert current.exists() == (not foreign)
    assert (tmp_path / "kubeconfig").exists() == (not foreign)


def test_a_kubelet_s_own_configuration_follows_the_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, file in (("BOOTSTRAP_KUBECONFIG", "bootstrap"), ("KUBELET_KUBECONFIG", "own")):
        monkeypatch.setattr(paths, name, str(tmp_path / file))
    machine = SimpleNamespace()
    follow_endpoint(machine)  # type: ignore[arg-type]
    own = render_kubeconfig("local", "https://10.0.0.1:6443", OURS.crt, "kubelet", files=("a.crt", "a.key"))
    (tmp_path / "own").write_text(own)
    follow_endpoint(machine)  # type: ignore[arg-type]
    assert (tmp_path / "own").read_text() == own
    asked = render_kubeconfig("local", "https://127.0.0.1:7445", OURS.crt, "kubelet", token="t")
    asked = render(with_server(parse(asked), "https://127.0.0.1:7445", "api.test"))
    (tmp_path / "bootstrap").write_text(asked)
    follow_endpoint(machine)  # type: ignore[arg-type]
    access = read_kubeconfig((tmp_path / "own").read_text())
    assert (access.host, access.port, access.server_name) == ("127.0.0.1", 7445, "api.test")
    assert "a.crt" in (tmp_path / "own").read_text()
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o600

"""Snapshots and kubeconfigs as files of the person who asks."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from dozen.machinery import yaml
from dozen.machinery.messages import message
from dozen.node.api.kubeconfig import pack
from dozen.testing.fakenode import FakeNode


def kubeconfig(authority: str = "QUJD") -> str:
    return yaml.dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "prod", "cluster": {"server": "https://c:6443", "certificate-authority-data": authority}}
            ],
            "users": [{"name": "admin@prod", "user": {"client-key-data": "QUJD"}}],
            "contexts": [{"name": "admin@prod", "context": {"cluster": "prod", "user": "admin@prod"}}],
            "current-context": "admin@prod",
        }
    )


def serve(fake: FakeNode, method: str, *parts: bytes) -> None:
    fake.replies[method] = [message("common.Data")(bytes=part) for part in parts]


def test_a_snapshot_is_kept_when_its_checksum_is_right(fake: FakeNode, ask: Any, tmp_path: Path) -> None:
    data = b"database" * 100
    whole = data + hashlib.sha256(data).digest()
    # The checksum may arrive in pieces of any size.
    serve(fake, "EtcdSnapshot", whole[:-20], whole[-20:-3], whole[-3:])
    result = ask("etcd", "snapshot", str(tmp_path / "etcd.db"))
    assert result.exit_code == 0, result.output
    assert (tmp_path / "etcd.db").read_bytes() == whole


def test_a_damaged_snapshot_is_not_kept(fake: FakeNode, ask: Any, tmp_path: Path) -> None:
    serve(fake, "EtcdSnapshot", b"database" * 100)
    result = ask("etcd", "snapshot", str(tmp_path / "etcd.db"))
    assert result.exit_code == 1
    assert "damaged" in result.stderr
    assert not [path for path in tmp_path.iterdir() if "etcd.db" in path.name]


def test_a_cluster_begins_with_a_snapshot(fake: FakeNode, ask: Any, tmp_path: Path) -> None:
    (tmp_path / "etcd.db").write_bytes(b"x" * 100_000)
    fake.replies["EtcdRecover"] = message("machine.EtcdRecoverResponse")(messages=[{}])
    fake.replies["Bootstrap"] = message("machine.BootstrapResponse")(messages=[{}])
    result = ask("bootstrap", "--recover-from", str(tmp_path / "etcd.db"))
    assert result.exit_code == 0, result.output
    recover, begin = fake.asked
    assert sum(len(part.bytes) for part in recover.requests) == 100_000
    assert begin.request.recover_etcd


def test_a_cluster_begins_on_one_node(ask: Any, fake: FakeNode) -> None:
    result = ask("bootstrap", "-n", "10.0.0.1,10.0.0.2")
    assert result.exit_code == 1
    assert "on one node" in result.stderr
    assert fake.asked == []


def test_a_member_s_id_is_hexadecimal(ask: Any, fake: FakeNode) -> None:
    result = ask("etcd", "remove-member", "cp-1")
    assert '"cp-1" is not the id of a member' in result.stderr
    assert fake.asked == []


def test_a_kubeconfig_is_merged_into_the_person_s_own(fake: FakeNode, ask: Any, home: Path, monkeypatch: Any) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    serve(fake, "Kubeconfig", pack(kubeconfig()))
    own = home / ".kube" / "config"
    own.parent.mkdir()
    own.write_text(kubeconfig("T1RI").replace("prod", "other"))
    result = ask("kubeconfig")
    assert result.exit_code == 0, result.output
    merged = yaml.load(own.read_text())
    assert {entry["name"] for entry in merged["clusters"]} == {"other", "prod"}
    assert merged["current-context"] == "admin@prod"
    assert own.stat().st_mode & 0o777 == 0o600
    # The same cluster again is a renewal.
    assert ask("kubeconfig").exit_code == 0


def test_another_cluster_of_the_same_name_is_kept(fake: FakeNode, ask: Any, tmp_path: Path) -> None:
    serve(fake, "Kubeconfig", pack(kubeconfig()))
    target = tmp_path / "config"
    target.write_text(kubeconfig("T1RI"))
    result = ask("kubeconfig", str(target))
    assert result.exit_code == 1
    assert "has another entry called prod" in result.stderr
    assert "--force-context-name" in result.stderr
    assert target.read_text() == kubeconfig("T1RI")
    assert ask("kubeconfig", str(target), "--force-context-name", "mine").exit_code == 0
    assert {entry["name"] for entry in yaml.load(target.read_text())["contexts"]} == {"admin@prod", "mine"}
    assert ask("kubeconfig", str(target), "--force").exit_code == 0


def test_a_file_is_replaced_when_that_is_asked_for(fake: FakeNode, ask: Any, tmp_path: Path) -> None:
    serve(fake, "Kubeconfig", pack(kubeconfig()))
    (tmp_path / "kubeconfig").write_text("clusters: []\n")
    assert "exists" in ask("kubeconfig", str(tmp_path), "--no-merge").stderr
    assert ask("kubeconfig", str(tmp_path), "--no-merge", "--force").exit_code == 0
    assert yaml.load((tmp_path / "kubeconfig").read_text())["current-context"] == "admin@prod"


def test_a_kubeconfig_is_printed(fake: FakeNode, ask: Any) -> None:
    serve(fake, "Kubeconfig", pack(kubeconfig()))
    assert yaml.load(ask("kubeconfig", "-").stdout)["current-context"] == "admin@prod"

"""What containerd is told when it starts."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dozen.linux import hostfiles
from dozen.machinery.config import load
from dozen.machinery.config.generating import generate
from dozen.machinery.config.host import TRUST_BUNDLE
from dozen.machinery.effects.hostfiles import PlacedFile, PlaceFiles
from dozen.machinery.pki import new_ca
from dozen.node.services import containerd

RECIPE = Path(__file__).parents[3] / "recipes/containerd/config.toml"
AUTH = """---
apiVersion: v1alpha1
kind: RegistryAuthConfig
name: registry.test:5000
username: ann
password: secret
"""


@pytest.fixture(autouse=True)
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(containerd, "SOURCE", str(RECIPE))
    monkeypatch.setattr(containerd, "CONFIG", str(tmp_path / "containerd/config.toml"))


def machine(text: str = "") -> Any:
    return SimpleNamespace(config=load(text) if text else None)


def test_credentials_are_behind_the_images_own_configuration() -> None:
    text = generate("c", "https://127.0.0.1:6443").worker
    assert containerd.compose_config(machine()) == RECIPE.read_text()
    assert containerd.compose_config(machine(text)) == RECIPE.read_text()
    told = tomllib.loads(containerd.compose_config(machine(text + AUTH)))
    registry = told["plugins"]["io.containerd.grpc.v1.cri"]["registry"]
    assert registry["configs"] == {"registry.test:5000": {"auth": {"username": "ann", "password": "secret"}}}
    assert registry["config_path"]


def test_it_is_known_whether_they_have_been_read() -> None:
    before, after = machine(), machine(generate("c", "https://127.0.0.1:6443").worker + AUTH)
    assert containerd.CONTAINERD.prepare
    assert containerd.CONTAINERD.is_current
    assert not containerd.CONTAINERD.is_current(before)
    containerd.CONTAINERD.prepare(before)
    assert containerd.CONTAINERD.is_current(before)
    assert not containerd.CONTAINERD.is_current(after)
    containerd.CONTAINERD.prepare(after)
    assert containerd.CONTAINERD.is_current(after)
    assert Path(containerd.CONFIG).stat().st_mode & 0o777 == 0o600


def test_other_authorities_make_it_start_again(monkeypatch: pytest.MonkeyPatch) -> None:
    placed: list[object] = []
    monkeypatch.setattr(hostfiles, "run", placed.append)
    root = new_ca().crt
    indented = "".join(f"  {line}\n" for line in root.splitlines())
    document = f"---\napiVersion: v1alpha1\nkind: TrustedRootsConfig\nname: n\ncertificates: |\n{indented}"
    before = machine(generate("c", "https://127.0.0.1:6443").worker)
    after = machine(generate("c", "https://127.0.0.1:6443").worker + document)
    assert containerd.CONTAINERD.prepare
    assert containerd.CONTAINERD.is_current
    containerd.CONTAINERD.prepare(before)
    assert placed == []
    assert not containerd.CONTAINERD.is_current(after)
    containerd.CONTAINERD.prepare(after)
    assert placed == [PlaceFiles((PlacedFile(TRUST_BUNDLE, root, 0o644, "append"),))]
    assert tomllib.loads(containerd.compose_config(after)) == tomllib.loads(RECIPE.read_text())


def test_parts_are_laid_over_and_credentials_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    base = tmp_path / "base-spec.json"
    monkeypatch.setattr(containerd, "BASE_SPECIFICATION", str(base))
    documents = (
        "---\napiVersion: v1alpha1\nkind: CRICustomizationConfig\nname: more\ncontent: 'oom_score = 1'\n"
        "---\napiVersion: v1alpha1\nkind: CRIBaseRuntimeSpecConfig\noverrides: {process: {cwd: /tmp}}\n"
    )
    given = machine(generate("c", "https://127.0.0.1:6443").worker + AUTH + documents)
    told = tomllib.loads(containerd.compose_config(given))
    cri = told["plugins"]["io.containerd.grpc.v1.cri"]
    assert told["oom_score"] == 1
    assert cri["registry"]["configs"]["registry.test:5000"]["auth"]["username"] == "ann"
    assert cri["containerd"]["runtimes"]["runc"]["base_runtime_spec"] == str(base)
    assert containerd.CONTAINERD.prepare
    assert containerd.CONTAINERD.is_current
    containerd.CONTAINERD.prepare(given)
    assert json.loads(base.read_text())["process"]["cwd"] == "/tmp"
    assert containerd.CONTAINERD.is_current(given)
    assert not containerd.CONTAINERD.is_current(
        machine(generate("c", "https://127.0.0.1:6443").worker + AUTH + documents.replace("/tmp", "/"))
    )

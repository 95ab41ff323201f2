"""Components: what is built is what versions.py says, from what is written down, whatever the caller's surroundings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dozen.compose import components
from dozen.compose.components import PROGRAMS, TEST_PROGRAMS
from dozen.compose.reproducible import COPIED
from dozen.machinery.kubernetes import versions

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("folder", "module", "version"),
    [
        ("kube", "k8s.io/kubernetes", versions.KUBERNETES),
        ("kube", "k8s.io/client-go", f"v0{versions.KUBERNETES[2:]}"),
        ("etcd", "go.etcd.io/etcd/server/v3", versions.ETCD),
        ("etcd", "go.etcd.io/etcd/etcdctl/v3", versions.ETCD),
        ("coredns", "github.com/coredns/coredns", versions.COREDNS),
        ("flannel", "github.com/flannel-io/flannel", versions.FLANNEL),
        ("cni", "github.com/containernetworking/plugins", versions.CNI_PLUGINS),
    ],
)
def test_modules_are_of_the_versions_that_images_are_named_after(folder: str, module: str, version: str) -> None:
    stated = re.findall(
        rf"(?m)^(?:require)?\s+{re.escape(module)} (v\S+)", (ROOT / f"components/{folder}/go.mod").read_text()
    )
    assert stated == [version]
    assert f"{module} {version} h1:" in (ROOT / f"components/{folder}/go.sum").read_text()


@pytest.mark.parametrize("program", [*PROGRAMS, *TEST_PROGRAMS], ids=lambda program: program.name)
def test_each_program_has_its_folder(program: components.Program) -> None:
    assert (ROOT / "components" / program.folder / "go.mod").is_file()


def test_the_callers_settings_of_go_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    monkeypatch.setenv("GOROOT", "/elsewhere")
    monkeypatch.setenv("CGO_ENABLED", "1")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    found = components._environment(Path("/toolchain/bin/go"))
    assert found["GOFLAGS"] == "-modcacherw"
    assert found["CGO_ENABLED"] == "0"
    assert found["GOTOOLCHAIN"] == "local"
    assert "GOROOT" not in found
    assert found["PATH"].startswith("/toolchain/bin:")
    assert found["HTTPS_PROXY"] == "http://proxy.example"


def test_what_is_linked_is_part_of_the_name() -> None:
    kube = PROGRAMS[0]
    assert components._key(kube) == components._key(kube)
    assert components._key(kube) != components._key(kube._replace(variables={}))
    assert components._key(kube) != components._key(kube._replace(test=True))


def test_a_check_of_reproducibility_has_all_that_components_are_built_from() -> None:
    assert {"components", "images", "requirements", "setup"} <= set(COPIED)
    assert all((ROOT / name).is_dir() for name in COPIED)

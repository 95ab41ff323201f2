"""What an upgrade of Kubernetes is judged by, and how a configuration asks for it."""

from __future__ import annotations

import pytest

from dozen.machinery.config import load
from dozen.machinery.config.generating import generate
from dozen.machinery.kubernetes import upgrades
from dozen.machinery.kubernetes.upgrades import UpgradeError, Version

V = Version(1, 36, 3)


@pytest.mark.parametrize("text", ["v1.36.3", "1.36.3", "v1.36.3-rc.1", "v1.36.3+x"])
def test_a_version_is_read(text: str) -> None:
    assert upgrades.read_version(text) == V


@pytest.mark.parametrize("text", ["1.36", "latest", "v1.36.3.4", ""])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(UpgradeError, match="write it like"):
        upgrades.read_version(text)


@pytest.mark.parametrize("new", [V, Version(1, 36, 9), Version(1, 37, 0)])
def test_the_next_minor_version_can_be_reached(new: Version) -> None:
    upgrades.check_path(V, new)


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (Version(1, 36, 2), "cannot go back"),
        (Version(1, 38, 0), r"goes to v1\.37\.x first"),
        (Version(2, 0, 0), "first"),
    ],
)
def test_other_versions_cannot(new: Version, said: str) -> None:
    with pytest.raises(UpgradeError, match=said):
        upgrades.check_path(V, new)


def test_flags_that_are_gone_are_found() -> None:
    assert upgrades.removed_flags("kubelet", ("v", "pod-infra-container-image"), Version(1, 35, 0)) == [
        "pod-infra-container-image"
    ]
    assert upgrades.removed_flags("kubelet", ("pod-infra-container-image",), Version(1, 34, 0)) == []


METRICS = """
# TYPE apiserver_requested_deprecated_apis gauge
apiserver_requested_deprecated_apis{group="example.org",removed_release="1.37",resource="things",version="v1beta1"} 1
apiserver_requested_deprecated_apis{group="",removed_release="1.36",resource="olds",version="v1"} 1
apiserver_requested_deprecated_apis{group="later",removed_release="1.40",resource="things",version="v1"} 1
apiserver_requested_deprecated_apis{group="never",removed_release="",resource="endpoints",version="v1"} 1
apiserver_requested_deprecated_apis{group="unused",removed_release="1.37",resource="things",version="v1"} 0
"""


def test_apis_that_clients_use_and_that_go_are_found() -> None:
    found = upgrades.removed_apis(METRICS, Version(1, 37, 0))
    assert found == ["olds of v1", "things of example.org/v1beta1"]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("registry.k8s.io/kube-proxy:v1.36.3", "registry.k8s.io/kube-proxy:v1.37.0"),
        ("host:5000/proxy", "host:5000/proxy:v1.37.0"),
        ("host:5000/proxy:v1@sha256:abc", "host:5000/proxy:v1.37.0"),
    ],
)
def test_an_image_keeps_its_place_and_gets_another_version(image: str, expected: str) -> None:
    assert upgrades.with_version(image, Version(1, 37, 0)) == expected


@pytest.mark.parametrize("program", [*upgrades.CONTROL_PLANE, upgrades.PROXY, upgrades.KUBELET])
def test_a_generated_configuration_takes_another_image_for_each_program(program: str) -> None:
    text = generate("c", "https://10.0.0.1:6443").controlplane
    config = load(text)
    wanted = upgrades.with_version(upgrades.image_of(config, program), Version(1, 37, 0))
    changed = load(upgrades.with_image(config, text, program, wanted))
    assert upgrades.image_of(changed, program) == wanted
    others = {*upgrades.CONTROL_PLANE, upgrades.PROXY, upgrades.KUBELET} - {program}
    assert all(upgrades.image_of(changed, each) == upgrades.image_of(config, each) for each in others)


def test_a_document_keeps_its_own_image() -> None:
    document = "---\napiVersion: v1alpha1\nkind: KubeSchedulerConfig\nimage: host/scheduler:v1.36.3\n"
    text = generate("c", "https://10.0.0.1:6443").controlplane + document
    changed = upgrades.with_image(load(text), text, "kube-scheduler", "host/scheduler:v1.37.0")
    assert upgrades.image_of(load(changed), "kube-scheduler") == "host/scheduler:v1.37.0"

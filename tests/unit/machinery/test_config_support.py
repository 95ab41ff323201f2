"""The table of what is done with each field: complete, and turned into warnings."""

from __future__ import annotations

import typing
from typing import Any

import msgspec
import pytest

from dozen.machinery import yaml
from dozen.machinery.config import generate, load
from dozen.machinery.config.cluster import V1Alpha1
from dozen.machinery.config.decode import fields_of
from dozen.machinery.config.documents import KINDS, model_of
from dozen.machinery.config.support import SUPPORT, State, support_of, warnings

BUNDLE = generate("c", "https://10.0.0.1:6443", install_disk="/dev/vda")


def paths_of(model: type[msgspec.Struct], prefix: str) -> typing.Iterator[str]:
    """Every field of a model and of the models in it."""
    for name, field in fields_of(model).items():
        path = f"{prefix}{name}" if not prefix or prefix.endswith(":") else f"{prefix}.{name}"
        yield path
        for inner in models_in(field.annotation):
            yield from paths_of(inner, path)


def models_in(annotation: Any) -> list[type[msgspec.Struct]]:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return [annotation]
    return [model for each in typing.get_args(annotation) for model in models_in(each)]


def all_paths() -> set[str]:
    paths = set(paths_of(V1Alpha1, ""))
    for kind in KINDS:
        paths |= {f"{kind}:", *paths_of(model_of(kind), f"{kind}:")}
    return paths


def test_every_field_has_an_entry() -> None:
    assert [path for path in sorted(all_paths()) if support_of(path) is None] == []


def test_every_entry_is_about_a_field() -> None:
    assert [path for path in SUPPORT if path not in all_paths()] == []


def test_what_is_ignored_says_why() -> None:
    assert [path for path, support in SUPPORT.items() if support.state is State.IGNORED and not support.note] == []


@pytest.mark.parametrize("text", [BUNDLE.controlplane, BUNDLE.worker])
def test_a_generated_configuration_has_no_warnings(text: str) -> None:
    assert warnings(load(text)) == []


def with_machine(**fields: Any) -> str:
    data = yaml.load(BUNDLE.worker)
    data["machine"] |= fields
    return yaml.dump(data)


def test_a_warning_names_field_line_and_reason() -> None:
    text = with_machine(network={"kubespan": {"enabled": True}})
    line = 1 + text.splitlines().index(next(each for each in text.splitlines() if "kubespan" in each))
    assert warnings(load(text)) == [
        f"machine.network.kubespan (line {line}) is ignored: there is no encrypted network between nodes"
    ]


@pytest.mark.parametrize(
    "fields", [{"disks": []}, {"env": {}}, {"features": {"hostDNS": {"enabled": False}}}, {"logging": {}}]
)
def test_what_asks_for_nothing_is_no_warning(fields: dict[str, Any]) -> None:
    assert warnings(load(with_machine(**fields))) == []


@pytest.mark.parametrize(
    ("fields", "warned"),
    [
        ({"features": {"rbac": False}}, "machine.features.rbac (line {line}) is ignored: it is always on"),
        ({"features": {"rbac": True}}, ""),
        ({"install": {"wipe": True}}, "machine.install.wipe (line {line}) is ignored: the system is not installed"),
        ({"install": {"disk": "/dev/vda", "wipe": False, "image": "installer"}}, ""),
    ],
)
def test_switches_warn_when_they_ask_for_what_is_not_done(fields: dict[str, Any], warned: str) -> None:
    text = with_machine(**fields)
    lines = [at for at, line in enumerate(text.splitlines(), 1) if line.strip() in ("rbac: false", "wipe: true")]
    found = warnings(load(text))
    assert len(found) == bool(warned)
    assert not warned or found[0].startswith(warned.format(line=lines[0]))


def test_documents_warn_too() -> None:
    text = (
        "apiVersion: v1alpha1\nkind: KubeSpanConfig\nenabled: true\n---\n"
        "apiVersion: v1alpha1\nkind: TimeSyncConfig\nptp: {devices: [a]}\n"
    )
    assert warnings(load(text)) == [
        "KubeSpanConfig (line 1) is ignored: there is no encrypted network between nodes",
        "TimeSyncConfig:ptp (line 7) is ignored: time comes from NTP servers",
    ]


@pytest.mark.parametrize(
    ("path", "taken", "decided"),
    [
        (("cluster", "etcd"), "quota-backend-bytes", "data-dir"),
        (("cluster", "apiServer"), "audit-log-maxage", "tls-cert-file"),
        (("cluster", "controllerManager"), "v", "kubeconfig"),
        (("cluster", "scheduler"), "secure-port", "config"),
        (("machine", "kubelet"), "v", "cert-dir"),
    ],
)
def test_arguments_that_the_node_decides_are_told(path: tuple[str, str], taken: str, decided: str) -> None:
    data = yaml.load(BUNDLE.controlplane)
    data[path[0]].setdefault(path[1], {})["extraArgs"] = {taken: "1", decided: "/x"}
    text = yaml.dump(data)
    line = 1 + next(at for at, each in enumerate(text.splitlines()) if each.strip() == f"{decided}: /x")
    assert warnings(load(text)) == [
        f'{".".join(path)}.extraArgs["{decided}"] (line {line}) is ignored: the node decides it'
    ]


def test_arguments_in_documents_are_told_too() -> None:
    text = "apiVersion: v1alpha1\nkind: KubeletConfig\nimage: i\nextraArgs: {v: '4', kubeconfig: /x}\n"
    assert warnings(load(text)) == ['KubeletConfig:extraArgs["kubeconfig"] (line 4) is ignored: the node decides it']


@pytest.mark.parametrize("name", ["shutdownGracePeriod", "shutdownGracePeriodCriticalPods"])
def test_grace_periods_that_no_kubelet_gives_are_told(name: str) -> None:
    text = with_machine(kubelet={"extraConfig": {"maxPods": 200, name: "60s"}})
    line = 1 + next(at for at, each in enumerate(text.splitlines()) if name in each)
    assert warnings(load(text)) == [
        f"machine.kubelet.extraConfig.{name} (line {line}) is ignored: when the machine ends pods have 20 s, critical "
        "ones 10 s more, the lower priority first"
    ]
    text = f"apiVersion: v1alpha1\nkind: KubeletConfig\nimage: i\nconfig: {{{name}: 60s, maxPods: 200}}\n"
    assert warnings(load(text))[0].startswith(f"KubeletConfig:config.{name} (line 4) is ignored: ")

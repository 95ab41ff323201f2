"""etcd's flags: the cases are in tests/cases/etcd.yaml, readable without this file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dozen.machinery import yaml
from dozen.machinery.resources.etcd import ArgumentValues, EtcdLaunchSpec, EtcdSpec
from dozen.node.etcd.arguments import NODE, render_arguments, render_restore
from dozen.node.etcd.joining import describe_cluster

CASES = yaml.load((Path(__file__).parents[3] / "cases" / "etcd.yaml").read_text())


def spec_of(data: dict[str, Any]) -> EtcdSpec:
    extra = {name: ArgumentValues(values=tuple(values)) for name, values in data.get("extra_args", {}).items()}
    lists = {name: tuple(value) for name, value in data.items() if isinstance(value, list)}
    return EtcdSpec(**{**data, **lists, "extra_args": extra})


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_flags(case: dict[str, Any]) -> None:
    found: dict[str, list[str]] = {}
    for argument in render_arguments(spec_of(case["spec"]), EtcdLaunchSpec(**case["launch"])):
        name, _, value = argument.removeprefix("--").partition("=")
        found.setdefault(name, []).append(value)
    assert found == {**CASES[0]["flags"], **case["flags"]}


def test_a_restored_cluster_has_one_member_and_a_later_revision() -> None:
    words = render_restore(spec_of(CASES[0]["spec"]), NODE, skip_hash_check=False)
    assert words[:3] == ("snapshot", "restore", "/var/lib/etcd.snapshot")
    assert {"--name=cp-1", "--initial-cluster=cp-1=https://10.0.0.1:2380", "--bump-revision=1000000000"} <= set(words)
    assert render_restore(spec_of(CASES[0]["spec"]), NODE, skip_hash_check=True)[-1] == "--skip-hash-check=true"


class Member:
    def __init__(self, number: int, name: str) -> None:
        self.ID, self.name, self.peerURLs = number, name, [f"https://10.0.0.{number}:2380"]


def test_members_that_never_started_are_left_out_of_the_cluster() -> None:
    members = [Member(1, "cp-1"), Member(2, ""), Member(3, "")]
    spec = EtcdSpec(name="cp-3")
    assert describe_cluster(spec, 3, members) == "cp-1=https://10.0.0.1:2380,cp-3=https://10.0.0.3:2380"

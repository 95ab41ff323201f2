"""containerd's configuration: parts are laid over it, and what is written is read again as it was."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.machinery.runtimeconfig import BadPart, _tables, base_specification, compose, read_part

RECIPE = (Path(__file__).parents[3] / "recipes/containerd/config.toml").read_text()
RUNC = 'plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc'


def at(data: dict[str, Any], *names: str) -> Any:
    for name in names:
        data = data[name]
    return data


def test_parts_in_order_and_what_they_leave_alone() -> None:
    one = '[plugins."io.containerd.grpc.v1.cri"]\nenable_unprivileged_ports = false\ndisable_apparmor = true\n'
    two = f"[{RUNC}.options]\nSystemdCgroup = true\n"
    told = tomllib.loads(compose(RECIPE, (one, two), "/base.json"))
    cri = at(told, "plugins", "io.containerd.grpc.v1.cri")
    assert (cri["enable_unprivileged_ports"], cri["disable_apparmor"]) == (False, True)
    runc = at(cri, "containerd", "runtimes", "runc")
    assert runc["options"] == {"BinaryName": "/bin/runc", "SystemdCgroup": True}
    assert runc["base_runtime_spec"] == "/base.json"
    assert runc["runtime_type"] == "io.containerd.runc.v2"
    assert tomllib.loads(compose(RECIPE, ())) == tomllib.loads(RECIPE)


@pytest.mark.parametrize(("text", "words"), [("a = ", "is not TOML"), ("version = 3", "of version 3")])
def test_what_is_no_part(text: str, words: str) -> None:
    with pytest.raises(BadPart, match=words):
        read_part(text)


def test_what_containers_begin_from() -> None:
    limits = [{"type": "RLIMIT_NOFILE", "hard": 4096, "soft": 4096}]
    found = base_specification({"process": {"rlimits": limits}})
    assert found["process"]["rlimits"] == limits
    assert found["process"]["noNewPrivileges"] is True
    assert {each["destination"] for each in found["mounts"]} >= {"/proc", "/dev", "/sys"}


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
scalars = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=8), st.floats(allow_nan=False))
values = st.recursive(
    st.one_of(scalars, st.lists(scalars, max_size=3)),
    lambda inner: st.one_of(st.dictionaries(names, inner, max_size=3), st.lists(inner, max_size=2)),
    max_leaves=12,
)


@given(st.dictionaries(names, values, max_size=4))
def test_what_is_written_is_read_again(data: dict[str, Any]) -> None:
    assert tomllib.loads("\n".join(_tables(data, ()))) == data

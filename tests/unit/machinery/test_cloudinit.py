"""Cloud-init seeds: what is understood of them, and that nothing in them can do harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.machinery import cloudinit, yaml
from dozen.machinery.resources.settings import NetworkSettings

CASES = yaml.load((Path(__file__).parents[2] / "cases" / "config" / "seeds.yaml").read_text())


def text_of(said: Any) -> str:
    return yaml.dump(said) if said else ""


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_seed(case: dict[str, Any]) -> None:
    meta_data, network = text_of(case["meta_data"]), text_of(case["network"])
    if "refused" in case:
        with pytest.raises(cloudinit.SeedError, match=case["refused"]):
            cloudinit.read(meta_data, network)
        return
    found = cloudinit.read(meta_data, network)
    assert found.settings == msgspec.convert(case["settings"], NetworkSettings)
    assert list(found.complaints) == case.get("complaints", [])


def test_what_is_no_yaml() -> None:
    with pytest.raises(cloudinit.SeedError, match="meta-data, line 1"):
        cloudinit.read("{", "")


DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["config", "ethernets", "type", "name", "match", "routes", "subnets", "addresses", "address"]
            ),
            inner,
            max_size=4,
        )
    ),
)


@given(st.sampled_from([1, 2]), DATA)
def test_any_seed_is_understood_or_refused(version: int, data: Any) -> None:
    said = {**data, "version": version} if isinstance(data, dict) else {"version": version, "config": data}
    try:
        found = cloudinit.read(yaml.dump(data), yaml.dump(said))
    except cloudinit.SeedError:
        return
    assert isinstance(found.settings, NetworkSettings)

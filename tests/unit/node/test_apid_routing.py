"""Where calls go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dozen.node.apid import is_own_name
from dozen.node.apid_routing import LOCAL, Route, check_target, choose_route, is_streamed
from dozen.rpc.metadata import Metadata, encode_metadata
from dozen.rpc.status import Code, RpcError

CASES = json.loads((Path(__file__).parents[2] / "cases/rpc/routes.json").read_text())
OWN = ("10.0.0.1", "self", "fd00::1")


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_routes(case: dict[str, Any]) -> None:
    metadata = Metadata(encode_metadata([(name, value) for name, value in case["metadata"]]))

    def decide() -> Route:
        path = case.get("path", "/machine.MachineService/Version")
        return choose_route(path, metadata, can_forward=case["can_forward"], is_local=OWN.__contains__)

    if "error" in case:
        with pytest.raises(RpcError) as caught:
            decide()
        assert caught.value.code is Code[case["error"]]
        assert case["text"] in caught.value.message
        return
    route = decide()
    if case["to"] == "here":
        assert route == LOCAL
    else:
        assert route == Route(tuple(case["to"]), many=case.get("many", False))


@pytest.mark.parametrize(
    ("target", "host"),
    [("10.0.0.2", "10.0.0.2"), ("[fd00::2]", "fd00::2"), ("fd00::2", "fd00::2"), ("node-1.example", "node-1.example")],
)
def test_targets(target: str, host: str) -> None:
    assert check_target(target) == host


@pytest.mark.parametrize("target", ["", "[]", "10.0.0.2:50000", "[fd00::2]:50000", "a b", "a/b", "fd00:::1"])
def test_other_targets_are_invalid(target: str) -> None:
    with pytest.raises(RpcError, match="invalid target") as caught:
        check_target(target)
    assert caught.value.code is Code.INTERNAL


def test_own_names() -> None:
    assert is_own_name("127.0.0.1")
    assert is_own_name("localhost")
    assert not is_own_name("192.0.2.1")
    assert not is_own_name("another-node.example")
    assert not is_own_name("")


def test_methods_with_streams_of_replies() -> None:
    from dozen.machinery.messages import method_paths, method_types

    services = ("machine.MachineService", "cluster.ClusterService", "inspect.InspectService", "storage.StorageService")
    for service in (*services, "time.TimeService"):
        for path in method_paths(service):
            types = method_types(path)
            assert is_streamed(path) == types.server_streaming, path

"""The wire's messages: known bytes, method types, and how names are found."""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from dozen.machinery import messages
from dozen.machinery.messages import MalformedMessage, UnknownName, decode, enum, message, method_paths, method_types
from dozen.machinery.roles import RULES

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases" / "encoded_messages.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["message"])
def test_message_has_known_bytes(case: dict[str, Any]) -> None:
    made = message(case["message"])(**case["fields"])
    assert made.SerializeToString(deterministic=True) == bytes.fromhex(case["bytes"])
    assert message(case["message"]).FromString(bytes.fromhex(case["bytes"])) == made


def test_class_is_made_once() -> None:
    assert message("machine.Version") is message("machine.Version")
    assert type(message("machine.VersionResponse")().messages.add()) is message("machine.Version")


@pytest.mark.parametrize(
    ("path", "request_name", "response_name", "streams"),
    [
        ("/machine.MachineService/Version", "google.protobuf.Empty", "machine.VersionResponse", (False, False)),
        ("/machine.MachineService/EtcdRecover", "common.Data", "machine.EtcdRecoverResponse", (True, False)),
        ("/machine.MachineService/Copy", "machine.CopyRequest", "common.Data", (False, True)),
        (
            "/machine.DebugService/ContainerRun",
            "machine.DebugContainerRunRequest",
            "machine.DebugContainerRunResponse",
            (True, True),
        ),
        ("/cosi.resource.State/Watch", "cosi.resource.WatchRequest", "cosi.resource.WatchResponse", (False, True)),
    ],
)
def test_method_types(path: str, request_name: str, response_name: str, streams: tuple[bool, bool]) -> None:
    types = method_types(path)
    assert (types.request, types.response) == (message(request_name), message(response_name))
    assert (types.client_streaming, types.server_streaming) == streams


def test_every_ruled_method_exists_and_every_method_is_ruled() -> None:
    services = {path.split("/")[1] for path in RULES}
    assert {path for service in services for path in method_paths(service)} == set(RULES)


@pytest.mark.parametrize("name", ["machine.Nothing", "nothing.At.All", "", "machine."])
def test_unknown_message(name: str) -> None:
    with pytest.raises(UnknownName):
        message(name)


@pytest.mark.parametrize("path", ["/machine.MachineService/Nothing", "/machine.Nothing/Version", "", "/"])
def test_unknown_method(path: str) -> None:
    with pytest.raises(UnknownName):
        method_types(path)


def test_malformed_bytes_are_refused() -> None:
    with pytest.raises(MalformedMessage, match=r"not a machine\.ListRequest"):
        decode("machine.ListRequest", b"\xff")
    assert decode("machine.ListRequest", b"\x10\x01").recurse


def test_enum_translates() -> None:
    driver = enum("common.ContainerDriver")
    assert (driver.CRI, driver.Name(0), driver.Value("CRI")) == (1, "CONTAINERD", 1)
    assert enum("machine.MachineStatusEvent.MachineStage").RUNNING == 4
    with pytest.raises(UnknownName):
        enum("common.Nothing")


def test_missing_descriptors_say_what_to_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(messages, "DESCRIPTORS", tmp_path / "api.binpb")
    monkeypatch.setattr(messages, "_registry", None)
    with pytest.raises(messages.DescriptorsMissing, match=r"dozen\.compose\.protos"):
        message("machine.Version")


def test_public_factory_serves_when_the_extension_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google._upb", None)
    monkeypatch.setattr(messages, "_registry", None)
    for case in CASES:
        made = message(case["message"])(**case["fields"])
        assert made.SerializeToString(deterministic=True) == bytes.fromhex(case["bytes"])

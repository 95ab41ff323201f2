"""Commands against a fake node: the cases are in tests/cases/cli, readable without this file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict

from dozen import __version__
from dozen.machinery import yaml
from dozen.machinery.messages import method_types
from dozen.rpc.status import Code, RpcError
from dozen.testing.fakenode import FakeNode

CASES = yaml.load((Path(__file__).parents[2] / "cases" / "cli" / "commands.yaml").read_text())
SERVICES = {
    "TimeCheck": "/time.TimeService/",
    "Time": "/time.TimeService/",
    "ControllerRuntimeDependencies": "/inspect.InspectService/",
}


def path_of(method: str, arguments: list[str]) -> str:
    service = "/machine.ImageService/" if arguments[0] == "image" else "/machine.MachineService/"
    return SERVICES.get(method, service) + method


def reply_of(path: str, data: Any) -> Any:
    response = method_types(path).response
    if isinstance(data, list):
        return [ParseDict(each, response()) for each in data]
    if "refuse" in data:
        code, words = data["refuse"]
        return RpcError(Code[code], words)
    return ParseDict(data, response())


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_command(case: dict[str, Any], fake: FakeNode, ask: Any) -> None:
    for method, data in case.get("replies", {}).items():
        path = path_of(method, case["args"])
        fake.replies[path] = reply_of(path, data)
    result = ask(*case["args"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    stdout = re.sub(r"\(\d+[dhms\d]* ago\)", "(@AGO@ ago)", result.stdout)
    assert stdout == case["output"].replace("@VERSION@", __version__)
    assert result.stderr == case.get("errors", "")
    assert result.exit_code == case.get("exit", 0)
    assert fake.methods() == case.get("asked", list(case.get("replies", {})))
    for method, wanted in case.get("requests", {}).items():
        (asked,) = (call.request for call in fake.asked if call.method == method)
        found = MessageToDict(asked, always_print_fields_with_no_presence=True)
        assert wanted.items() <= found.items()

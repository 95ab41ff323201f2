"""How failures read: one sentence, a next step, an exit code; and the units of tables."""

from __future__ import annotations

import pytest

from dozen.cli.failures import DENIED, FAILED, UNREACHABLE, explain
from dozen.cli.tables import moment, printable, since, size, table
from dozen.client.errors import ClientError
from dozen.compose.errors import ComposeError
from dozen.machinery.config.problems import ConfigError, Problem
from dozen.machinery.jsonpath import JsonPathError
from dozen.provider.machines import ProviderError
from dozen.rpc.status import Code, RpcError


@pytest.mark.parametrize(
    ("error", "sentence", "step", "code"),
    [
        (ClientError("is wrong", "do this"), "is wrong", "do this", FAILED),
        (
            RpcError(Code.UNAVAILABLE, "cannot connect to 10.0.0.1:50000: Connect call failed ('10.0.0.1', 50000)"),
            "cannot connect to 10.0.0.1:50000: nothing accepts connections there",
            "check that the machine runs",
            UNREACHABLE,
        ),
        (
            RpcError(Code.UNAVAILABLE, "cannot connect to x: [SSL] certificate verify failed: IP address mismatch"),
            "certificate verify failed",
            "another identity",
            UNREACHABLE,
        ),
        (
            RpcError(Code.UNAVAILABLE, "connection lost: [SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca"),
            "unknown ca",
            "does not accept the context's certificate",
            UNREACHABLE,
        ),
        (RpcError(Code.UNAVAILABLE, "containerd does not answer"), "containerd does not answer", "services", FAILED),
        (RpcError(Code.PERMISSION_DENIED, "not authorized"), "not authorized", "os:admin", DENIED),
        (RpcError(Code.PERMISSION_DENIED, "no request forwarding"), "no request forwarding", "--endpoints", DENIED),
        (RpcError(Code.NOT_FOUND), "not found", "check the name", FAILED),
        (RpcError(Code.INTERNAL, "it broke"), "it broke", "logs machined", FAILED),
        (ProviderError("no emulator", "install it", "exec: qemu"), "no emulator\nexec: qemu", "install it", FAILED),
        (ComposeError("a hash does not match"), "a hash does not match", "", FAILED),
        (FileNotFoundError(2, "No such file or directory", "x"), "x: no such file or directory", "the path", FAILED),
        (PermissionError(13, "Permission denied", "/x"), "/x: permission denied", "somebody who may", FAILED),
        (IsADirectoryError(21, "Is a directory", "/x"), "/x: is a directory", "name a file", FAILED),
        (NotADirectoryError(20, "Not a directory", "/x/y"), "/x/y: not a directory", "part of it", FAILED),
        (FileExistsError(17, "File exists", "/x"), "/x: file exists", "another one", FAILED),
        (
            ConfigError("a.yaml", [Problem("machine.type", 3, "is missing")]),
            "machine.type",
            "dozenctl validate",
            FAILED,
        ),
        (JsonPathError("{.x: a bracket is open"), "a bracket is open", "run this again", FAILED),
    ],
)
def test_failures(error: Exception, sentence: str, step: str, code: int) -> None:
    failure = explain(error)
    assert failure is not None
    assert sentence in failure.sentence
    assert step in failure.step
    assert failure.code == code


def test_a_way_out_that_the_node_names_is_not_followed_by_another() -> None:
    failure = explain(RpcError(Code.UNAVAILABLE, "there is no configuration yet: `apply-config` brings one"))
    assert failure is not None
    assert failure.step == ""


def test_a_bug_is_not_explained_away() -> None:
    assert explain(KeyError("x")) is None
    assert explain(ValueError("somebody else's")) is None


def test_the_node_is_named_when_there_are_several() -> None:
    failure = explain(RpcError(Code.NOT_FOUND, "nothing"), "10.0.0.7")
    assert failure is not None
    assert str(failure).startswith("10.0.0.7: nothing\n  → check the name")


def test_table() -> None:
    assert table(("A", "LONG"), [("x", 1), ("yyyy", "")]) == ["A      LONG", "x      1", "yyyy"]
    assert table(("A",), []) == ["A"]


def test_printable() -> None:
    assert printable("a\x1b[2J\nb") == "a\\x1b[2J\\nb"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (123456, "123 kB"), (1.5e6, "1.5 MB"), (2e15, "2000 TB")],
)
def test_size(count: float, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "0s"), (59, "59s"), (192, "3m12s"), (7200, "2h0m"), (187200, "2d4h")]
)
def test_since(seconds: float, text: str) -> None:
    assert since(seconds) == text


def test_moment() -> None:
    assert moment(86399.9) == "1970-01-01 23:59:59 UTC"

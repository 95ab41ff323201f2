"""apply-config, patch and edit, against a fake node."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import click
import pytest

from dozen.cli.commands.apply import KIND, NOTE, edit_text, run_editor, without_notes
from dozen.machinery import yaml
from dozen.machinery.config import generate
from dozen.machinery.messages import message
from dozen.rpc.status import Code, RpcError
from dozen.testing.fakenode import FakeNode

TEXT = generate("c", "https://10.0.0.1:6443").worker
ANSWER = {"mode": 2, "mode_details": "Applied configuration without a reboot", "warnings": ["mind the gap"]}


@pytest.fixture
def node(fake: FakeNode, home: Path) -> FakeNode:
    """A node with a configuration, which takes another one."""
    fake.replies["ApplyConfiguration"] = message("machine.ApplyConfigurationResponse")(messages=[ANSWER])
    resource = message("cosi.resource.Resource")
    resource = resource(metadata={"id": "v1alpha1"}, spec={"yaml_spec": yaml.dump(TEXT)})
    spec = f"type: {KIND}\ndisplayType: MachineConfig\ndefaultNamespace: config\naliases: [mc, machineconfig]\n"
    definition = message("cosi.resource.Resource")(metadata={"id": KIND.lower()}, spec={"yaml_spec": spec})
    fake.replies["/cosi.resource.State/List"] = [
        message("cosi.resource.ListResponse")(resource=definition),
        message("cosi.resource.ListResponse")(
            resource={"metadata": {"id": "disks"}, "spec": {"yaml_spec": "type: Disks.block\naliases: [disks]\n"}}
        ),
    ]
    fake.replies["/cosi.resource.State/Get"] = message("cosi.resource.GetResponse")(resource=resource)
    Path("w.yaml").write_text(TEXT)
    return fake


def applied(node: FakeNode) -> Any:
    (asked,) = (call.request for call in node.asked if call.method == "ApplyConfiguration")
    return asked


def hostname(node: FakeNode) -> str:
    return str(yaml.load(applied(node).data.decode())["machine"]["network"]["hostname"])


def test_apply_config(node: FakeNode, ask: Any) -> None:
    result = ask("apply-config", "-f", "w.yaml")
    assert result.stdout == "10.0.0.1: Applied configuration without a reboot\n"
    assert result.stderr == "10.0.0.1: warning: mind the gap\n"
    assert (applied(node).data.decode(), applied(node).mode, applied(node).dry_run) == (TEXT, 1, False)


@pytest.mark.parametrize(("mode", "number"), [("auto", 1), ("no-reboot", 2), ("reboot", 0), ("staged", 3)])
def test_modes(node: FakeNode, ask: Any, mode: str, number: int) -> None:
    ask("apply", "--file", "w.yaml", "--mode", mode)
    assert applied(node).mode == number
    assert not applied(node).HasField("try_mode_timeout")


def test_a_trial_has_an_end(node: FakeNode, ask: Any) -> None:
    ask("apply-config", "-f", "w.yaml", "-m", "try", "--timeout", "1m30s")
    assert (applied(node).mode, applied(node).try_mode_timeout.seconds) == (4, 90)


def test_a_patch_on_the_way(node: FakeNode, ask: Any) -> None:
    result = ask("apply-config", "-f", "-", "-p", "machine: {network: {hostname: n}}", "--dry-run", input=TEXT)
    assert result.exit_code == 0
    assert hostname(node) == "n"
    assert applied(node).dry_run
    assert result.stdout == "Applied configuration without a reboot\n"


def test_what_is_invalid_is_not_even_sent(node: FakeNode, ask: Any) -> None:
    result = ask("apply-config", "-f", "w.yaml", "-p", "machine: {network: {interfaces: [{mtu: 9}]}}")
    assert "w.yaml, patched: machine.network.interfaces[0]" in result.stderr
    assert node.asked == []


def test_a_nodes_own_refusal(node: FakeNode, ask: Any) -> None:
    node.replies["ApplyConfiguration"] = RpcError(Code.FAILED_PRECONDITION, "another configuration is being applied")
    result = ask("apply-config", "-f", "w.yaml")
    assert (result.exit_code, result.stderr) == (1, "dozenctl: another configuration is being applied\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["apply-config", "-f", "w.yaml", "--cert-fingerprint", "x"], "goes with --insecure"),
        (["apply-config", "-f", "w.yaml", "--timeout", "soon"], "expected a duration"),
        (["apply-config", "-f", "nothing.yaml"], "no such file"),
        (["patch", "mc"], "Give a patch"),
        (["edit", "mc", "other"], "Only the machine configuration"),
    ],
)
def test_commands_that_are_written_wrongly(node: FakeNode, ask: Any, arguments: list[str], words: str) -> None:
    result = ask(*arguments)
    assert words in result.stderr
    assert result.exit_code in (1, 2)
    assert node.asked == []


def test_only_the_configuration_can_be_patched(node: FakeNode, ask: Any) -> None:
    result = ask("patch", "disks", "-p", "machine: {type: worker}")
    assert "Only the machine configuration" in result.stderr
    assert (result.exit_code, node.methods()) == (2, ["Version", "List"])


@pytest.mark.parametrize("type", ["mc", "machineconfig", "MachineConfigs.config.talos.dev"])
def test_patch(node: FakeNode, ask: Any, type: str) -> None:
    Path("p.json").write_text('[{"op": "add", "path": "/machine/sysctls", "value": {"a.b": "1"}}]')
    result = ask("patch", type, "-p", "machine: {network: {hostname: n}}", "--patch-file", "p.json", "-m", "no-reboot")
    assert result.exit_code == 0, result.stderr
    assert hostname(node) == "n"
    assert yaml.load(applied(node).data.decode())["machine"]["sysctls"] == {"a.b": "1"}


def test_edit(node: FakeNode, ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = iter([TEXT.replace("machine:", "debug: true\nmachine:", 1)])
    monkeypatch.setattr("dozen.cli.commands.apply.run_editor", lambda text, name: next(texts))
    assert ask("edit", "mc").exit_code == 0
    assert yaml.load(applied(node).data.decode())["debug"] is True


def test_the_editor_of_the_environment_gets_a_private_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], check: bool) -> Any:
        path = Path(command[-1])
        assert command[:-1] == ["my editor", "--wait"]
        assert (path.stat().st_mode & 0o777, path.name) == (0o600, "10.0.0.1_50000.yaml")
        path.write_text(path.read_text() + "more")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "'my editor' --wait")
    monkeypatch.setattr(subprocess, "run", run)
    assert run_editor("text and ", "10.0.0.1:50000") == "text and more"
    monkeypatch.setattr(subprocess, "run", lambda command, check: subprocess.CompletedProcess(command, 3))
    with pytest.raises(click.ClickException, match="ended with 3; nothing was changed"):
        run_editor("text", "n")


def test_edit_without_a_change(node: FakeNode, ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dozen.cli.commands.apply.run_editor", lambda text, name: text)
    assert ask("edit", "mc").stderr == "10.0.0.1: nothing was changed\n"
    assert node.methods() == ["Version", "List", "Get"]


def test_an_editor_is_asked_again_with_the_problems_on_top() -> None:
    seen: list[str] = []

    def person(text: str) -> str:
        seen.append(text)
        return (
            TEXT.replace("worker", "boss", 1)
            if len(seen) == 1
            else TEXT.replace("machine:", "debug: true\nmachine:", 1)
        )

    assert edit_text(TEXT, person) == TEXT.replace("machine:", "debug: true\nmachine:", 1)
    assert seen[1].startswith(f"{NOTE}edited configuration: machine.type (line 3): expected one of")
    assert without_notes(seen[1]) == TEXT.replace("worker", "boss", 1)


def test_who_leaves_the_problems_as_they_are_gives_up() -> None:
    answers = iter([TEXT.replace("worker", "boss", 1)])
    assert edit_text(TEXT, lambda text: next(answers, text)) is None
    assert edit_text(TEXT, lambda text: "") is None

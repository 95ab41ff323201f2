"""Configurations on a node in namespaces: a first one in maintenance, others live, and everything that is refused."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dozen.client.connection import Connection
from dozen.machinery import talosconfig, yaml
from dozen.machinery.config.clients import client_config
from dozen.machinery.config.decode import fields_of
from dozen.machinery.config.documents import KINDS, model_of
from dozen.machinery.config.generating import Bundle, generate
from dozen.machinery.pki import new_ca
from dozen.provider.access import open_channel
from dozen.provider.container import Container
from dozen.provider.machines import BootImage, MachineSpec, report_nothing
from dozen.rpc.client import Channel
from dozen.rpc.status import Code, RpcError
from dozen.testing.live import LiveNode
from dozen.testing.portal import Portal

CASES = Path(__file__).parents[1] / "cases" / "config"
AUTO, NO_REBOOT, STAGED, TRY = 1, 2, 3, 4


def named(bundle: Bundle, hostname: str) -> str:
    data = yaml.load(bundle.controlplane)
    data["machine"]["network"] = {"hostname": hostname}
    return yaml.dump(data)


def apply(node: LiveNode, text: str, mode: int = AUTO, **fields: Any) -> Any:
    return node.call("ApplyConfiguration", data=text.encode(), mode=mode, **fields).messages[0]


def hostname(node: LiveNode) -> str:
    return str(node.call("Hostname").messages[0].hostname)


def persistent(node: LiveNode) -> str:
    """The host name in the configuration that the node would start with."""
    data = yaml.load(node.resources("MachineConfigs.config.talos.dev", "config")["persistent"])
    return str(data["machine"].get("network", {}).get("hostname", ""))


@pytest.fixture
def restored(native: LiveNode, bundle: Bundle) -> Iterator[LiveNode]:
    """The shared node, which has its own configuration again afterwards."""
    yield native
    apply(native, bundle.controlplane)


def test_a_change_is_there_without_a_reboot(restored: LiveNode, bundle: Bundle) -> None:
    before = restored.process("init").pid
    answer = apply(restored, named(bundle, "changed"))
    assert (answer.mode, answer.mode_details) == (NO_REBOOT, "Applied configuration without a reboot")
    restored.until(lambda: hostname(restored) == "changed", "the new host name")
    assert restored.process("init").pid == before
    assert persistent(restored) == "changed"


def test_a_trial_ends_by_itself(restored: LiveNode, bundle: Bundle) -> None:
    apply(restored, named(bundle, "before"))
    restored.until(lambda: hostname(restored) == "before", "the first host name")
    answer = apply(restored, named(bundle, "tried"), TRY, try_mode_timeout={"seconds": 2})
    assert answer.mode == TRY
    restored.until(lambda: hostname(restored) == "tried", "the host name on trial")
    assert persistent(restored) == "before"
    restored.until(lambda: hostname(restored) == "before", "the old host name again", 10)


def test_staged_is_for_later(restored: LiveNode, bundle: Bundle) -> None:
    name = hostname(restored)
    answer = apply(restored, named(bundle, "later"), STAGED)
    assert answer.mode_details == "Staged configuration to be applied after the next reboot"
    assert persistent(restored) == "later"
    assert hostname(restored) == name


def test_a_dry_run_shows_the_difference_only(native: LiveNode, bundle: Bundle) -> None:
    answer = apply(native, named(bundle, "dry"), dry_run=True)
    assert "\n+        hostname: dry\n" in answer.mode_details
    assert persistent(native) != "dry"
    assert apply(native, bundle.controlplane, dry_run=True).mode_details == "Dry run summary:\nNo changes."


@pytest.mark.parametrize(
    ("text", "mode", "code", "words"),
    [
        ("version: v1alpha1\nmachine: {type: boss}", AUTO, Code.INVALID_ARGUMENT, r"machine\.type \(line 2\)"),
        ("apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: x", AUTO, Code.INVALID_ARGUMENT, "v1alpha1 document"),
        ("{", AUTO, Code.INVALID_ARGUMENT, "line 1"),
        ("@", 0, Code.UNIMPLEMENTED, "the mode reboot is not supported"),
    ],
)
def test_refused_with_nothing_changed(
    native: LiveNode, bundle: Bundle, text: str, mode: int, code: Code, words: str
) -> None:
    with pytest.raises(RpcError, match=words) as caught:
        apply(native, bundle.controlplane if text == "@" else text, mode)
    assert caught.value.code is code
    assert apply(native, bundle.controlplane, dry_run=True).mode_details.endswith("No changes.")


def test_at_most_one_at_a_time_gets_through(restored: LiveNode, bundle: Bundle) -> None:
    """Whoever comes second is refused or comes after; both are told, and the node has one of them."""
    outcomes: list[str] = []

    def work(name: str) -> None:
        try:
            apply(restored, named(bundle, name))
        except RpcError as error:
            outcomes.append(error.code.name)
        else:
            outcomes.append(name)

    threads = [threading.Thread(target=work, args=(f"racer{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 6
    assert persistent(restored) in outcomes
    assert {name for name in outcomes if not name.startswith("racer")} <= {"FAILED_PRECONDITION"}


def test_another_authority_is_accepted_from_then_on(restored: LiveNode, bundle: Bundle) -> None:
    other = new_ca()
    context = client_config("other", other, roles=["os:reader"]).select()
    trusting = type(context)(endpoints=(), ca=restored.context.ca, crt=context.crt, key=context.key)

    def is_let_in() -> bool:
        channel = open_channel(restored.machine.address, trusting)
        try:
            return bool(restored.call("Version", channel=channel, seconds=5).messages)
        except RpcError:
            return False
        finally:
            restored.portal.run(channel.close())

    assert not is_let_in()
    data = yaml.load(bundle.controlplane)
    data["machine"]["acceptedCAs"] = [{"crt": base64.b64encode(other.crt.encode()).decode()}]
    apply(restored, yaml.dump(data))
    assert restored.until(is_let_in, "the other authority's client let in", 20)
    apply(restored, bundle.controlplane)
    assert restored.until(lambda: not is_let_in(), "the other authority's client kept out", 20)


def test_settings_without_effect_are_warned_of(restored: LiveNode, bundle: Bundle) -> None:
    data = yaml.load(bundle.controlplane)
    data["machine"]["install"] = {"extensions": [{"image": "registry.test/extension:1"}]}
    answer = apply(restored, yaml.dump(data))
    assert "machine.install.extensions" in answer.warnings[0]
    assert "machine.install.extensions" in restored.problems()["config-ignored"]
    apply(restored, bundle.controlplane)
    assert "config-ignored" not in restored.problems()


def test_a_configuration_for_other_clients(native: LiveNode) -> None:
    answer = native.call("GenerateClientConfiguration", roles=["os:reader"]).messages[0]
    context = talosconfig.parse(answer.talosconfig.decode()).select()
    reader = open_channel(native.machine.address, context)
    try:
        assert native.call("Version", channel=reader).messages
        with pytest.raises(RpcError) as caught:
            native.call("GenerateClientConfiguration", channel=reader, roles=["os:admin"])
        assert caught.value.code is Code.PERMISSION_DENIED
    finally:
        native.portal.run(reader.close())


# -- The sealed interpreter reads everything that may stand in a configuration.


def accepted() -> list[Any]:
    found = yaml.load((CASES / "accepted.yaml").read_text(), "accepted.yaml")
    return [pytest.param(case["text"], id=case["name"]) for case in found if "version: v1alpha1" in case["text"]]


@pytest.mark.parametrize("text", accepted())
def test_accepted_under_the_seal(native: LiveNode, bundle: Bundle, text: str) -> None:
    ca = bundle.secrets.os
    for name, value in (("@CA@", ca.crt), ("@KEY@", ca.key)):
        text = text.replace(name, base64.b64encode(value.encode()).decode())
    assert apply(native, text, dry_run=True).mode_details.startswith("Dry run summary:")


def test_every_field_of_every_document_is_read_under_the_seal(native: LiveNode, bundle: Bundle) -> None:
    """All are given a value that fits none: the node has to look at each, and says so without losing its head."""
    documents = [
        {"apiVersion": "v1alpha1", "kind": kind, **{name: {"?": 1} for name in fields_of(model_of(kind))}}
        for kind in KINDS
    ]
    with pytest.raises(RpcError) as caught:
        apply(native, yaml.dump_documents([yaml.load(bundle.controlplane), *documents]), dry_run=True)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert len(caught.value.message.splitlines()) > len(KINDS)


# -- Maintenance.


@pytest.fixture(scope="module")
def untold(image: BootImage, portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveNode]:
    """A node that nobody told what to be. Its context fits the configuration that it is to get."""
    assert image.tree
    made = generate("untold", "https://127.0.0.1:6443")
    context = talosconfig.parse(made.talosconfig).select()
    provider, folder = Container(image.tree), tmp_path_factory.mktemp("untold")
    machine = portal.run(provider.create(MachineSpec("untold", image, None), folder, report_nothing))
    try:
        node = LiveNode(provider, machine, context, portal)
        node.bundle = made  # type: ignore[attr-defined]
        yield node
        node.close()
    finally:
        portal.run(provider.destroy(folder))


def anonymous(node: LiveNode) -> Channel:
    """A caller without a certificate, who does not ask for the node's either."""
    return Connection.insecure(node.machine.address)._channels[0]


def test_a_node_in_maintenance_is_configured_by_a_stranger_once(untold: LiveNode) -> None:
    made: Bundle = untold.bundle  # type: ignore[attr-defined]
    stranger = anonymous(untold)
    try:
        version = untold.until(lambda: untold.call("Version", channel=stranger), "the API").messages[0]
        assert not version.HasField("features")
        status = untold.until(
            lambda: statuses(untold, stranger).get("machine", {}).get("stage") == "maintenance", "maintenance", 30
        )
        assert status
        wary = Connection.insecure(untold.machine.address, fingerprints=["AAAA"])._channels[0]
        with pytest.raises(RpcError, match="its key has the fingerprint") as caught:
            untold.call("Version", channel=wary)
        known = str(caught.value).partition("the fingerprint ")[2].partition(",")[0]
        sure = Connection.insecure(untold.machine.address, fingerprints=["AAAA", known])._channels[0]
        assert untold.call("Version", channel=sure).messages
        for channel in (wary, sure):
            untold.portal.run(channel.close())
        with pytest.raises(RpcError, match="no configuration yet to go back to"):
            untold.call("ApplyConfiguration", channel=stranger, data=made.controlplane.encode(), mode=TRY)
        with pytest.raises(RpcError, match=r"machine\.ca\.crt"):
            untold.call("ApplyConfiguration", channel=stranger, data=b"version: v1alpha1\nmachine: {type: worker}")
        with pytest.raises(RpcError) as caught:
            untold.call("Reboot", channel=stranger)
        assert caught.value.code is Code.PERMISSION_DENIED
        boot = untold.call("ApplyConfiguration", channel=stranger, data=made.controlplane.encode())
        assert boot.messages[0].mode == NO_REBOOT
    finally:
        untold.portal.run(stranger.close())
    assert untold.until(lambda: untold.version().features.rbac, "the owner is let in", 20)
    assert untold.until(lambda: untold.services()["trustd"].state == "Running", "a control plane's trustd", 30)
    stages = untold.resources("MachineStatuses.runtime.talos.dev", "runtime")
    assert stages["machine"]["stage"] == "running"
    late = anonymous(untold)
    try:
        with pytest.raises(RpcError):
            untold.call("ApplyConfiguration", channel=late, data=made.controlplane.encode(), seconds=5)
    finally:
        untold.portal.run(late.close())


def statuses(node: LiveNode, channel: Channel) -> dict[str, Any]:
    path = "/cosi.resource.State/List"
    replies = node.call(path, channel=channel, type="MachineStatuses.runtime.talos.dev", namespace="runtime")
    return {each.resource.metadata.id: yaml.load(each.resource.spec.yaml_spec, "status") for each in replies}

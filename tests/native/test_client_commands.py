"""dozenctl against a node, as a person runs it: what needs more than one call, or leaves something behind."""

from __future__ import annotations

import io
import subprocess
import sys
import time
import xml.etree.ElementTree as Tree
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pyrage
import pytest

from dozen.machinery import talosconfig
from dozen.machinery.config.generating import generate
from dozen.machinery.talosconfig import Talosconfig, render
from dozen.provider.access import ask_version
from dozen.provider.container import Container
from dozen.provider.machines import BootImage, MachineSpec, OpenStep, report_nothing
from dozen.provider.waiting import await_answer
from dozen.testing.commands import run_at_terminal, run_dozenctl
from dozen.testing.live import LiveNode
from dozen.testing.portal import Portal
from native.privileges import require_root

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def config(native: LiveNode, tmp_path: Path) -> Path:
    """A client configuration for the node."""
    context = msgspec.structs.replace(native.context, endpoints=(native.machine.address,), nodes=())
    path = tmp_path / "talosconfig"
    path.write_text(render(Talosconfig("native", {"native": context})))
    return path


@pytest.fixture
def dozenctl(config: Path, tmp_path: Path) -> Run:
    def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = run_dozenctl(config, arguments, tmp_path)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


def test_a_support_bundle_has_everything_but_secrets(dozenctl: Run, native: LiveNode, tmp_path: Path) -> None:
    bundle = tmp_path / "support.zip"
    dozenctl("support", "-O", str(bundle))
    assert bundle.stat().st_mode & 0o777 == 0o600
    folder = native.machine.address
    with zipfile.ZipFile(bundle) as archive:
        files = {name: archive.read(name).decode(errors="replace") for name in archive.namelist()}
    assert "machined" in files[f"{folder}/logs/machined.log"]
    assert '"sequence boot: stop"' in files[f"{folder}/events.json"]
    assert "tag" in files[f"{folder}/version.json"]
    assert "id: lo" in files[f"{folder}/resources/LinkStatuses.net.talos.dev.yaml"]
    configuration = files[f"{folder}/resources/MachineConfigs.config.talos.dev.yaml"]
    assert "controlplane" in configuration
    config = native.resources("MachineConfigs.config.talos.dev", "config")["v1alpha1"]
    secrets = [
        line.split(": ")[1].strip() for line in config.splitlines() if line.strip().startswith(("key:", "token:"))
    ]
    assert len(secrets) >= 5
    everything = "".join(files.values())
    assert not [secret for secret in secrets if secret in everything]
    # What this node has not got is said, and kept nothing else from being there.
    assert "containers.json: UNAVAILABLE: containerd does not answer" in files["errors.txt"]
    assert "exists already" in dozenctl("support", "-O", str(bundle), code=1).stderr


def test_the_dashboard_shows_the_node_until_a_key_ends_it(native: LiveNode, config: Path, tmp_path: Path) -> None:
    """What is followed (type, stage), what is asked for (services), and what takes two looks (a share)."""
    wanted = (native.machine.address, "controlplane", "running", "apid", "% of ")
    code, _ = run_at_terminal(config, ("dashboard", "--update-interval", "1s"), tmp_path, wanted, b"q")
    assert code == 0


def test_a_support_bundle_for_one_reader(dozenctl: Run, tmp_path: Path) -> None:
    reader = pyrage.x25519.Identity.generate()
    bundle = tmp_path / "support.zip.age"
    dozenctl("support", "-O", str(bundle), "--encrypt", str(reader.to_public()))
    assert bundle.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(io.BytesIO(pyrage.decrypt(bundle.read_bytes(), [reader]))) as archive:
        assert "errors.txt" in archive.namelist()
    refused = dozenctl("support", "-O", str(tmp_path / "other"), "--encrypt", "age1mistyped", code=2)
    assert "'age1mistyped' is no public key" in refused.stderr
    assert not (tmp_path / "other").exists()


def test_the_graph_of_controllers_as_a_picture(dozenctl: Run) -> None:
    picture = Tree.fromstring(dozenctl("inspect", "dependencies", "-o", "svg").stdout)
    names = {text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")}
    assert {"api-cert-sans", "CertSANs.secrets.talos.dev", "MachineConfigs.config.talos.dev"} <= names
    assert '"LinkStatuses.net.talos.dev lo"' in dozenctl("inspect", "dependencies", "--with-resources").stdout


def test_refusals_of_the_node_are_shown_as_they_are(dozenctl: Run) -> None:
    said = dozenctl("wipe", "disk", "vda", code=1).stderr
    assert said == 'dozenctl: there is no block device "vda": `get blockdevices` lists them\n'
    said = dozenctl("rollback", code=1).stderr
    assert said.startswith("dozenctl: Rollback is not served: this system cannot be installed to a disk")
    said = dozenctl("reset", "--graceful=false", "--wait=false", code=1).stderr
    assert said == "dozenctl: this machine has no system partitions that could be wiped\n"


def test_why_is_answered_by_the_node_about_the_file_that_it_has(dozenctl: Run, native: LiveNode) -> None:
    said = dozenctl("why", "-n", "127.0.0.1", "/sbin/lvm").stdout.splitlines()
    assert said[0] == "path:        /sbin/lvm"
    assert "recipe:      lvm2" in said
    assert said[-2:] == ["node:        127.0.0.1", "verified:    the node's file has this hash"]
    link = dozenctl("why", "-n", "127.0.0.1", "/sbin/iptables").stdout
    assert "link to xtables-legacy-multi" in link
    assert "verified" not in link
    assert "/bin/sh" in dozenctl("why", "-n", "127.0.0.1", "/bin/sh", code=1).stderr


def test_a_service_is_started_over_the_api_where_that_is_allowed(dozenctl: Run, native: LiveNode) -> None:
    """Here it can only find out again that it is not for this machine."""
    skipped = lambda: native.services()["kubelet"].events.events  # noqa: E731
    before = len(skipped())
    assert "kubelet" in dozenctl("service", "kubelet", "start").stdout
    native.until(lambda: len(skipped()) > before, "another event of the kubelet's")
    assert native.services()["kubelet"].state == "Skipped"
    refused = dozenctl("service", "machined", "start", code=1).stderr
    assert refused.startswith('dozenctl: service "machined" doesn\'t support start operation via API')


def test_a_watch_shows_what_changes(dozenctl: Run, native: LiveNode, tmp_path: Path) -> None:
    path = tmp_path / "talosconfig"
    command = [sys.executable, "-m", "dozen.cli", "--talosconfig", str(path), "get", "services", "-w"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout
        try:
            lines = [watching.stdout.readline()]
            while "trustd" not in lines[-1]:
                lines.append(watching.stdout.readline())
            assert lines[0].split()[:2] == ["*", "NODE"]
        finally:
            watching.terminate()


# -- Another authority.


@pytest.fixture
def own(image: BootImage, portal: Portal, tmp_path: Path) -> Iterator[LiveNode]:
    """A node of its own: nobody else could talk to it afterwards."""
    require_root()
    assert image.tree
    bundle = generate("rotated", "https://127.0.0.1:6443")
    context = talosconfig.parse(bundle.talosconfig).select()
    provider, folder = Container(image.tree), tmp_path / "machine"
    folder.mkdir()
    spec = MachineSpec("rotated", image, bundle.controlplane)
    machine = portal.run(provider.create(spec, folder, report_nothing))
    try:
        ask = lambda: ask_version(machine.address, context)  # noqa: E731
        portal.run(await_answer(provider, machine, ask, OpenStep("API", report_nothing), 60), 65)
        node = LiveNode(provider, machine, context, portal)
        yield node
        node.close()
    finally:
        portal.run(provider.destroy(folder))


def test_another_authority_takes_the_place_of_the_first(own: LiveNode, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    context = msgspec.structs.replace(own.context, endpoints=(own.machine.address,), nodes=())
    old.write_text(render(Talosconfig("rotated", {"rotated": context})))

    def run(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_dozenctl(path, arguments, tmp_path, 200)

    planned = run(old, "rotate-ca", "-o", str(new))
    assert (planned.returncode, planned.stdout.count("would be changed"), new.exists()) == (0, 3, False), planned
    done = run(old, "rotate-ca", "--dry-run=false", "--kubernetes=false", "-o", str(new))
    assert done.returncode == 0, done.stdout + done.stderr
    assert new.stat().st_mode & 0o777 == 0o600
    answer = run(new, "version", "--short")
    assert (answer.returncode, "Server" in answer.stdout) == (0, True), answer.stderr
    # Neither does the node show itself to the old context nor is its certificate good for anything here any more.
    assert run(old, "version").returncode == 3
    trusting = talosconfig.parse(new.read_text()).select()
    mixed = msgspec.structs.replace(trusting, crt=context.crt, key=context.key)
    old.write_text(render(Talosconfig("rotated", {"rotated": mixed})))
    refused = run(old, "version")
    # TLS 1.3 refuses a client's certificate after the handshake: its reason may be lost with the connection.
    assert (refused.returncode in (1, 3), "certificate" in refused.stderr) == (True, True), refused.stderr


# -- The end.


def test_a_node_is_shut_down_and_followed_to_its_end(own: LiveNode, tmp_path: Path) -> None:
    path = tmp_path / "context"
    context = msgspec.structs.replace(own.context, endpoints=(own.machine.address,), nodes=())
    path.write_text(render(Talosconfig("own", {"own": context})))
    done = run_dozenctl(path, ("shutdown", "--timeout", "60s"), tmp_path, 90)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()
    assert f"{own.machine.address}: sequence shutdown: start" in said
    assert said[-1] == f"{own.machine.address}: is down"
    deadline = time.monotonic() + 20
    while Path(f"/proc/{own.machine.pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{own.machine.pid}").exists()

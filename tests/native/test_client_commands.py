"""dozenctl against a node, as a person runs it: what needs more than one call, or leaves something behind."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as Tree
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from dozen.machinery.talosconfig import Talosconfig, render
from dozen.testing.live import LiveNode

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def dozenctl(native: LiveNode, tmp_path: Path) -> Run:
    """The program with a client configuration for the node."""
    context = msgspec.structs.replace(native.context, endpoints=(native.machine.address,), nodes=())
    path = tmp_path / "talosconfig"
    path.write_text(render(Talosconfig("native", {"native": context})))

    def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dozen.cli", "--talosconfig", str(path), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
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

"""Commands that ask no node: client configuration, generation, validation, completion, and why a file is there."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from dozen.machinery import pki, talosconfig
from dozen.machinery.config import load, secrets
from dozen.machinery.messages import message
from dozen.testing.fakenode import FakeNode

IDENTITY = ("--ca", "os.crt", "--crt", "me.crt", "--key", "me.key")
CLUSTER = ("c1", "https://10.0.0.1:6443")


@pytest.fixture
def identity(home: Path) -> pki.Keypair:
    """An administrator's files in the present folder: os.crt, me.crt, me.key."""
    ca = pki.new_ca()
    pair = pki.client_certificate(ca, ["os:admin", "os:reader"])
    for name, text in (("os.crt", ca.crt), ("me.crt", pair.crt), ("me.key", pair.key)):
        Path(name).write_text(text)
    return pair


def current(home: Path) -> talosconfig.Talosconfig:
    return talosconfig.parse((home / ".talos" / "config").read_text())


def test_contexts_come_and_go(run: Any, home: Path, identity: pki.Keypair) -> None:
    added = run(
        "-e", "10.0.0.2,10.0.0.3", "config", "add", "two", "--ca", "os.crt", "--crt", "me.crt", "--key", "me.key"
    )
    assert added.stdout == "context two is added and selected\n"
    assert current(home).select().endpoints == ("10.0.0.2", "10.0.0.3")
    assert run("config", "node", "a", "b").exit_code == 0
    assert run("config", "endpoint", "10.0.0.4").exit_code == 0
    assert run("config", "contexts").stdout == (
        "CURRENT   NAME   ENDPOINTS   NODES\n          one    10.0.0.9    10.0.0.1\n*         two    10.0.0.4    a,b\n"
    )
    assert run("config", "context", "one").stdout == "context one is selected\n"
    assert run("config", "remove", "two").exit_code == 0
    assert list(current(home).contexts) == ["one"]


def test_only_the_owner_may_read_what_is_written(run: Any, home: Path) -> None:
    (home / ".talos" / "config").unlink()
    Path("theirs").write_text("context: x\ncontexts: {x: {endpoints: [a]}}\n")
    assert run("config", "merge", "theirs").exit_code == 0
    assert stat.S_IMODE((home / ".talos" / "config").stat().st_mode) == 0o600
    assert os.listdir(home / ".talos") == ["config"]


def test_merge_says_what_it_renamed(run: Any, home: Path) -> None:
    Path("theirs").write_text("context: one\ncontexts: {one: {endpoints: [other]}}\n")
    assert run("config", "merge", "theirs").stdout == (
        "context one is called one-1 here, because one is there already\ncontext one-1 is selected\n"
    )


def test_info(run: Any, identity: pki.Keypair) -> None:
    run("config", "add", "two", *IDENTITY)
    shown = run("config", "info").stdout
    assert "Roles:                 os:admin, os:reader\n" in shown
    assert "364d23h left" in shown
    assert "PRIVATE" not in shown
    assert json.loads(run("config", "info", "-o", "json").stdout)["current_context"] == "two"
    assert "current_context: two\n" in run("config", "info", "-o", "yaml").stdout
    assert run("config", "info", "-o", "text").stdout == run("config", "info", "-o", "table").stdout == shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["config", "context", "nine"], 'there is no context "nine"; there are: one'),
        (["config", "merge", "nothing"], "nothing: no such file or directory"),
        (["config", "endpoint", "a:b"], '"a:b" is not an endpoint'),
        (["--context", "nine", "version"], 'there is no context "nine"'),
        (["--talosconfig", "/nowhere", "version"], "there is no client configuration at /nowhere"),
        (["version"], "the context has no certificates to identify with"),
        (["validate", "nothing.yaml"], "nothing.yaml: no such file or directory"),
        (["gen", "config", "c", "10.0.0.1"], "expected a URL"),
    ],
)
def test_failures_are_one_sentence(run: Any, arguments: list[str], words: str) -> None:
    result = run(*arguments)
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert result.exit_code == 1


def test_keys_that_do_not_fit_are_refused(run: Any, home: Path, identity: pki.Keypair) -> None:
    Path("me.key").write_text(pki.new_ca().key)
    result = run("config", "add", "x", *IDENTITY)
    assert result.stderr == "dozenctl: me.key is not the key of me.crt\n"
    assert list(current(home).contexts) == ["one"]


def test_gen_config(run: Any) -> None:
    assert run("gen", "secrets").exit_code == 0
    made = run("gen", "config", *CLUSTER, "--with-secrets", "secrets.yaml", "--additional-sans", "n1")
    assert made.exit_code == 0
    leader = load(Path("controlplane.yaml").read_text())
    assert leader.machine is not None
    assert "n1" in leader.machine.cert_sans
    assert load(Path("worker.yaml").read_text()).machine_type == "worker"
    assert talosconfig.parse(Path("talosconfig").read_text()).context == "c1"
    again = run("gen", "config", *CLUSTER)
    assert again.stderr == "dozenctl: controlplane.yaml: exists already; --force writes over it\n"
    only = run("gen", "config", *CLUSTER, "-t", "worker", "-o", "-")
    assert load(only.stdout).machine_type == "worker"


def test_gen_ca_and_client(run: Any) -> None:
    assert run("gen", "ca").exit_code == 0
    assert run("gen", "client", "--roles", "os:reader", "--name", "me").exit_code == 0
    assert pki.certificate(Path("me.crt").read_text()).subject.organizations == ("os:reader",)
    assert stat.S_IMODE(Path("me.key").stat().st_mode) == 0o600


def test_gen_config_takes_the_options_that_people_type(run: Any) -> None:
    Path("all.yaml").write_text("machine: {sysctls: {a.b: '1'}}\n")
    made = run(
        *("gen", "config", *CLUSTER, "--output", "out/", "-t", "controlplane,worker", "--kubernetes-version", "1.35.4"),
        *("--install-image", "registry.example/installer:v1", "--dns-domain", "k8s.example", "--with-docs"),
        *("--registry-mirror", "docker.io=http://10.0.0.3:5000", "--config-patch", "@all.yaml", "--with-examples"),
        *("--config-patch-control-plane", '[{"op": "add", "path": "/machine/network", "value": {"hostname": "cp"}}]'),
        *("--config-patch-worker", "machine: {network: {hostname: w}}", "--additional-sans", "a,b"),
    )
    assert made.exit_code == 0, made.stderr
    leader, worker = (load(Path(f"out/{name}.yaml").read_text()) for name in ("controlplane", "worker"))
    assert not Path("out/talosconfig").exists()
    assert leader.machine
    assert leader.cluster
    assert worker.machine
    assert leader.machine.kubelet.image.endswith(":v1.35.4")
    assert leader.cluster.api_server.image == "registry.k8s.io/kube-apiserver:v1.35.4"
    assert leader.cluster.network.dns_domain == "k8s.example"
    assert leader.machine.install
    assert leader.machine.install.image == "registry.example/installer:v1"
    assert (leader.machine.network.hostname, worker.machine.network.hostname) == ("cp", "w")
    assert worker.machine.sysctls == {"a.b": "1"}
    assert worker.machine.registries.mirrors["docker.io"].endpoints == ("http://10.0.0.3:5000",)
    assert leader.cluster.api_server.cert_sans == ("10.0.0.1", "a", "b", "127.0.0.1")


def test_a_patch_that_makes_it_invalid_is_refused_before_anything_is_written(run: Any) -> None:
    made = run("gen", "config", *CLUSTER, "--config-patch", "machine: {network: {interfaces: [{mtu: 1500}]}}")
    assert "machine.network.interfaces[0]" in made.stderr
    assert made.exit_code == 1
    assert not list(Path().glob("*.yaml"))


def test_secrets_are_found_again(run: Any) -> None:
    run("gen", "secrets")
    run("gen", "config", *CLUSTER, "--with-secrets", "secrets.yaml")
    assert run("gen", "secrets", "--from-controlplane-config", "controlplane.yaml", "-o", "again.yaml").exit_code == 0
    assert Path("again.yaml").read_text() == Path("secrets.yaml").read_text()
    worker = run("gen", "secrets", "--from-controlplane-config", "worker.yaml", "-o", "-")
    assert "only a control plane's configuration has all secrets" in worker.stderr


def test_authorities_of_kubeadm_are_taken_over(run: Any) -> None:
    Path("pki/etcd").mkdir(parents=True)
    for stem in ("ca", "front-proxy-ca", "etcd/ca", "sa"):
        Path(f"pki/{stem}.crt").write_text(f"{stem} crt")
        Path(f"pki/{stem}.key").write_text(f"{stem} key")
    assert run("gen", "secrets", "--from-kubernetes-pki", "pki", "-t", "abcdef.0123456789abcdef").exit_code == 0
    made = secrets.parse(Path("secrets.yaml").read_text())
    assert (made.etcd.crt, made.service_account, made.aggregator.key) == ("etcd/ca crt", "sa key", "front-proxy-ca key")
    assert made.bootstrap_token == "abcdef.0123456789abcdef"


def test_keys_requests_and_certificates(run: Any) -> None:
    run("gen", "ca")
    assert run("gen", "key", "--name", "me").exit_code == 0
    assert run("gen", "csr", "--key", "me.key", "--ip", "127.0.0.1", "--roles", "os:reader").exit_code == 0
    assert run("gen", "crt", "--ca", "talos", "--csr", "me.csr", "--name", "me").exit_code == 0
    pair = pki.Keypair(Path("me.crt").read_text(), Path("me.key").read_text())
    assert pki.matches(pair)
    made = pki.certificate(pair.crt)
    assert made.subject.organizations == ("os:reader",)
    assert made.usages == ("1.3.6.1.5.5.7.3.2",)
    assert run("gen", "keypair", "--organization", "srv", "--ip", "10.0.0.1").exit_code == 0
    assert pki.certificate(Path("srv.crt").read_text()).usages == ("1.3.6.1.5.5.7.3.1",)


def test_validate(run: Any) -> None:
    run("gen", "config", *CLUSTER)
    assert run("validate", "worker.yaml").stdout == "worker.yaml is valid (worker, 1 documents)\n"
    result = run("validate", "-", "worker.yaml", input="version: v1alpha1\nmachine: {type: boss, x: 1}\n")
    assert result.exit_code == 1
    assert "input: machine.type (line 2): expected one of" in result.stderr
    assert "input: machine.x (line 2): unknown field\n" in result.stderr
    assert "worker.yaml is valid" in result.stdout


def test_validate_warns_of_what_is_ignored_and_strictly_refuses_it(run: Any) -> None:
    run("gen", "config", *CLUSTER, "--config-patch", "machine: {install: {extensions: [{image: 'x'}]}}")
    told = run("validate", "-c", "worker.yaml", "--mode", "cloud")
    assert "worker.yaml: warning: machine.install.extensions (line " in told.stderr
    assert told.exit_code == 0
    strict = run("validate", "--strict", "--config", "worker.yaml", "-m", "container")
    assert "worker.yaml: machine.install.extensions (line " in strict.stderr
    assert "a container is not installed to a disk" in strict.stderr
    assert strict.exit_code == 1


def test_machineconfig_patch(run: Any) -> None:
    run("gen", "config", *CLUSTER)
    done = run("machineconfig", "patch", "worker.yaml", "-p", "machine: {network: {hostname: w}}", "-o", "new.yaml")
    assert done.exit_code == 0
    config = load(Path("new.yaml").read_text())
    assert config.machine
    assert config.machine.network.hostname == "w"
    wrong = run("mc", "patch", "worker.yaml", "--patch", "machine: {type: boss}")
    assert wrong.stderr.startswith("dozenctl: patch 1: machine.type (line 1): expected one of")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(run: Any, shell: str) -> None:
    assert "_DOZENCTL_COMPLETE" in run("completion", shell).stdout


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("dozenctl re", {"read", "reboot", "reset", "restart"}),
        ("dozenctl wipe ", {"disk", "logical-volume", "physical-volume", "volume-group"}),
        ("dozenctl reset --wipe-mode ", {"all", "system-disk", "user-disks"}),
        ("dozenctl config n", {"new", "node", "nodes"}),
    ],
)
def test_what_is_completed(run: Any, words: str, found: set[str]) -> None:
    count = len(words.split(" ")) - 1
    environment = {"_DOZENCTL_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(count)}
    told = run(env=environment).stdout
    assert {line.partition(",")[2] for line in told.splitlines()} == found


RECORDS = [
    {"path": "/sbin/lvm", "kind": "file", "mode": "0755", "recipe": "lvm2", "reason": "Volumes.", "size": 5,
     "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", "package": "lvm2", "version": "2"},
    {"path": "/lib/a.so", "kind": "file", "mode": "0644", "recipe": "libraries", "reason": "Needed.",
     "wanted_by": ["/lib/b.so"]},
    {"path": "/lib/b.so", "kind": "file", "mode": "0644", "recipe": "libraries", "reason": "Needed.",
     "wanted_by": ["/sbin/lvm"]},
    {"path": "/lib64", "kind": "link", "mode": "0777", "recipe": "base", "reason": "The loader.", "target": "lib"},
]  # fmt: skip
MANIFEST = json.dumps(
    {
        "format": 1,
        "version": "9",
        "suite": "s",
        "release": "r",
        "epoch": 1,
        "binaries": 12,
        "names": 29,
        "files": RECORDS,
    }
).encode()


@pytest.fixture
def image(home: Path) -> Path:
    folder = Path("build/dev")
    folder.mkdir(parents=True)
    (folder / "image.json").write_text("{}")
    (folder / "manifest.json").write_bytes(MANIFEST)
    return folder


def test_why(run: Any, image: Path) -> None:
    shown = run("why", "/sbin/lvm", "--image", str(image)).stdout
    assert "why:         Volumes.\n" in shown
    assert "package:     lvm2 2\n" in shown
    assert "file, mode 0755, 5 bytes" in shown
    assert "link to lib" in run("why", "/lib64", "--image", str(image)).stdout


def test_why_in_every_form(run: Any, image: Path) -> None:
    ask = ("why", "/sbin/lvm", "--image", str(image))
    found = json.loads(run(*ask, "-o", "json").stdout)
    assert (found["path"], found["recipe"], found["size"], found["image"]) == ("/sbin/lvm", "lvm2", 5, str(image))
    assert "recipe: lvm2\n" in run(*ask, "-o", "yaml").stdout
    assert run(*ask, "-o", "text").stdout == run(*ask, "-o", "table").stdout == run(*ask).stdout


def test_why_follows_libraries_to_programs(run: Any, image: Path) -> None:
    shown = run("why", "/lib/a.so", "--image", str(image)).stdout
    assert "wanted by:   /lib/b.so, (through those) /sbin/lvm\n" in shown


def test_why_of_what_is_not_there(run: Any, image: Path) -> None:
    result = run("why", "/usr/sbin/lvm", "--image", str(image))
    assert result.stderr == "dozenctl: no recipe put /usr/sbin/lvm into the image\n  → did you mean /sbin/lvm?\n"
    assert run("why", "/x", "--image", "nowhere").exit_code == 1


@pytest.mark.parametrize(("content", "good"), [(b"hello", True), (b"hellp", False)])
def test_why_of_a_node_compares_the_nodes_own_file(fake: FakeNode, ask: Any, content: bytes, good: bool) -> None:
    data = message("common.Data")
    fake.replies["Read"] = lambda request: [data(bytes=content if request.path == "/sbin/lvm" else MANIFEST)]
    result = ask("why", "-n", "10.0.0.1", "/sbin/lvm")
    assert [call.request.path for call in fake.asked] == ["/usr/share/dozen/manifest.json", "/sbin/lvm"]
    if good:
        assert "verified:    the node's file has this hash\n" in result.stdout
    else:
        assert result.exit_code == 1
        assert "is not the file of the image" in result.stderr
        assert result.stdout == ""


def test_image_compare(run: Any, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    Path("cache/dozen").mkdir(parents=True)
    Path("cache/dozen/baseline.json").write_text('{"release": "13.1", "packages": 145, "names": 700, "listed": 1069}')
    lines = run("image", "compare", "--image", str(image)).stdout.splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "SYSTEM",
        "Ubuntu Server 22.04",
        "Flatcar",
        "Amazon Linux 2",
        "Debian 13.1",
        "Dozen Linux",
        "Talos Linux 1.7",
    ]
    assert "145 packages; counted here" in lines[4]


def test_image_compare_counts_on_a_node(fake: FakeNode, ask: Any) -> None:
    entry, data = message("machine.FileInfo"), message("common.Data")
    fake.replies["List"] = lambda request: [
        entry(name=request.root, is_dir=True),
        entry(name=f"{request.root}/a"),
        entry(name=f"{request.root}/b", link="a"),
    ]
    fake.replies["Read"] = lambda request: [data(bytes=request.path.encode())]
    (line,) = (line for line in ask("image", "compare", "-n", "x").stdout.splitlines() if line.startswith("Dozen"))
    assert line.split()[2:4] == ["4", "2"]

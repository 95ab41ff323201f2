"""What a node in namespaces does for the network of its own programs and pods: names, and the way to the API server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dozen.machinery import talosconfig, yaml
from dozen.machinery.config.generating import generate
from dozen.provider.container import Container
from dozen.provider.machines import BootImage, MachineSpec, report_nothing
from dozen.testing.live import LiveNode
from dozen.testing.portal import Portal
from native.privileges import require_root

MADE = generate("hostnet", "https://127.0.0.1:6443")
ROOT = Path(__file__).parents[2]


def configured(*documents: dict[str, Any], **fields: Any) -> str:
    data = yaml.load(MADE.controlplane)
    data["machine"] |= fields
    return yaml.dump_documents([data, *({"apiVersion": "v1alpha1", **each} for each in documents)])


@pytest.fixture(scope="module")
def node(image: BootImage, portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveNode]:
    require_root()
    assert image.tree
    provider, folder = Container(image.tree), tmp_path_factory.mktemp("hostnet")
    machine = portal.run(provider.create(MachineSpec("hostnet", image, MADE.controlplane), folder, report_nothing))
    try:
        found = LiveNode(provider, machine, talosconfig.parse(MADE.talosconfig).select(), portal)
        found.until(found.version, "the API")
        yield found
        found.close()
    finally:
        portal.run(provider.destroy(folder))


def apply(node: LiveNode, text: str) -> list[str]:
    answer = node.call("ApplyConfiguration", data=text.encode(), mode=1).messages[0]
    return list(answer.warnings)


def inside(node: LiveNode, *words: str) -> subprocess.Popen[str]:
    """A Python program in the node's network."""
    return subprocess.Popen(
        ["nsenter", f"--net=/proc/{node.machine.pid}/ns/net", "--", sys.executable, "-m", *words],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"},
    )


def ask(node: LiveNode, address: str, name: str, way: str = "udp") -> str:
    asker = inside(node, "native.dns_tools", "ask", address, name, way)
    return asker.communicate(timeout=20)[0].strip()


@pytest.fixture
def name_server(node: LiveNode) -> Iterator[subprocess.Popen[str]]:
    server = inside(node, "native.dns_tools", "serve", "127.0.0.1")
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    yield server
    server.kill()
    server.wait()


def test_the_node_answers_questions_for_names(node: LiveNode, name_server: subprocess.Popen[str]) -> None:
    dns = {"enabled": True, "forwardKubeDNSToHost": True, "resolveMemberNames": True}
    assert apply(node, configured(features={"hostDNS": dns}, network={"nameservers": ["127.0.0.1"]})) == []
    places = {f"{way}-{address}:53" for way in ("udp", "tcp") for address in ("127.0.0.53", "169.254.116.108")}
    caches = lambda: node.resources("DNSResolveCaches.net.talos.dev", "network")  # noqa: E731
    node.until(lambda: set(caches()) == places, "a server at all places", 20)
    assert set(each["status"] for each in caches().values()) == {"running"}
    node.until(lambda: node.read("/etc/resolv.conf").startswith(b"nameserver 127.0.0.53\n"), "the node's own resolver")
    assert node.read("/system/etc/resolv-pods.conf").startswith(b"nameserver 169.254.116.108\n")
    assert ask(node, "127.0.0.53", "a.test") == "10.1.2.3"
    assert ask(node, "169.254.116.108", "A.Test", "tcp") == "10.1.2.3"
    assert ask(node, "127.0.0.53", "none.test") == "code 3"
    assert ask(node, "127.0.0.53", "a.test") == "10.1.2.3"
    said = node.resources("HostDNSConfigs.net.talos.dev", "network")["config"]
    assert said["listenAddresses"] == ["127.0.0.53:53", "169.254.116.108:53"]
    upstreams = lambda: node.resources("DNSUpstreams.net.talos.dev", "network")  # noqa: E731
    assert upstreams() == {"127.0.0.1": {"healthy": True, "addr": "127.0.0.1"}}
    # Asked three times, and two of the answers were remembered.
    name_server.kill()
    assert name_server.stdout is not None
    assert name_server.stdout.read().split().count("a.test") == 1
    assert ask(node, "127.0.0.53", "b.test") == "code 2"
    node.until(lambda: not upstreams()["127.0.0.1"]["healthy"], "the server away is known")
    apply(node, MADE.controlplane)
    node.until(lambda: caches() == {}, "no server")
    node.until(lambda: b"127.0.0.53" not in node.read("/etc/resolv.conf"), "the name servers themselves")
    status = lambda: node.resources("AddressStatuses.net.talos.dev", "network")  # noqa: E731
    node.until(lambda: not any("169.254.116.108" in name for name in status()), "the address gone")

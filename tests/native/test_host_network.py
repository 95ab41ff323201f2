"""What a node in namespaces does for the network of its own programs and pods: names, and the way to the API server."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from dozen.provider.machines import BootImage
from dozen.testing.live import LiveNode
from dozen.testing.portal import Portal
from native.hosts import MADE, apply, configured, inside, serving, started


@pytest.fixture(scope="module")
def node(image: BootImage, portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveNode]:
    with started(image, portal, tmp_path_factory.mktemp("hostnet")) as found:
        yield found


def ask(node: LiveNode, address: str, name: str, way: str = "udp") -> str:
    asker = inside(node, "native.dns_tools", "ask", address, name, way)
    return asker.communicate(timeout=20)[0].strip()


@pytest.fixture
def name_server(node: LiveNode) -> Iterator[subprocess.Popen[str]]:
    with serving(node, "native.dns_tools", "serve", "127.0.0.1") as server:
        yield server


def test_the_node_answers_questions_for_names(node: LiveNode, name_server: subprocess.Popen[str]) -> None:
    dns = {"enabled": True, "forwardKubeDNSToHost": True, "resolveMemberNames": True}
    assert apply(node, configured(features={"hostDNS": dns}, network={"nameservers": ["127.0.0.1"]})) == []
    places = {f"{way}-{address}:53" for way in ("udp", "tcp") for address in ("127.0.0.53", "169.254.116.108")}
    caches = lambda: node.resources("DNSResolveCaches.net.talos.dev", "network")  # noqa: E731
    node.until(lambda: set(caches()) == places, "a server at all places", 20)
    assert {each["status"] for each in caches().values()} == {"running"}
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


def test_connections_reach_the_api_server_that_answers(node: LiveNode) -> None:
    """The node's own API server first, then, when that is gone, the one at the cluster's endpoint."""
    text = configured(features={"kubePrism": {"enabled": True, "port": 7445}})
    assert apply(node, text.replace("https://127.0.0.1:6443", "https://127.0.0.2:7000")) == []
    status = lambda: node.resources("KubePrismStatuses.kubernetes.talos.dev", "k8s").get("kubeprism")  # noqa: E731
    node.until(lambda: status() == {"host": "127.0.0.1:7445", "healthy": False}, "a listener, and nobody behind it")
    said = node.resources("KubePrismConfigs.kubernetes.talos.dev", "k8s")["kubeprism"]
    assert [(each["host"], each["port"]) for each in said["endpoints"]] == [("127.0.0.1", 6443), ("127.0.0.2", 7000)]
    there = lambda *words: inside(node, "native.tcp_tools", *words, "127.0.0.1", "7445")  # noqa: E731
    with serving(node, "native.tcp_tools", "serve", "127.0.0.1", "6443", "own"):
        node.until(lambda: status()["healthy"], "an API server")
        held = there("hold")
        assert held.stdout is not None
        assert held.stdout.readline() == "own\n"
    # Not only new connections: who had one with the server that went learns that it is gone.
    assert held.communicate(timeout=20)[0] == "ended\n"
    with serving(node, "native.tcp_tools", "serve", "127.0.0.2", "7000", "other"):
        assert there("ask").communicate(timeout=20)[0] == "other\n"
        node.until(lambda: status()["healthy"], "the other API server")
    node.until(lambda: not status()["healthy"], "nobody", 30)
    apply(node, MADE.controlplane)
    node.until(lambda: status() is None, "no listener")


def test_probes_tell_what_works(node: LiveNode) -> None:
    probes = (
        {"kind": "TCPProbeConfig", "name": "port", "endpoint": "127.0.0.1:7100", "interval": "200ms"},
        {"kind": "HTTPProbeConfig", "name": "page", "url": "http://127.0.0.1:7101/x", "interval": "200ms"},
    )
    statuses = lambda: node.resources("ProbeStatuses.net.talos.dev", "network")  # noqa: E731
    assert apply(node, configured(*probes)) == []
    found = node.until(lambda: len(statuses()) == 2 and statuses(), "both probes")
    assert not found["port"]["success"]
    assert "refused" in found["port"]["lastError"]
    spec = node.resources("ProbeSpecs.net.talos.dev", "network")["page"]
    assert (spec["interval"], spec["http"]["timeout"]) == ("200ms", "10s")
    with (
        serving(node, "native.tcp_tools", "serve", "127.0.0.1", "7100", "x"),
        serving(node, "native.tcp_tools", "serve", "127.0.0.1", "7101", "HTTP/1.1 302 Found\r\n\r\n"),
    ):
        good = {"success": True, "lastError": ""}
        node.until(lambda: statuses() == {"port": good, "page": good}, "both to work")
    node.until(lambda: not statuses()["port"]["success"], "the port closed")
    with serving(node, "native.tcp_tools", "serve", "127.0.0.1", "7101", "HTTP/1.1 500 No\r\n\r\n"):
        node.until(lambda: statuses()["page"]["lastError"] == "answered with HTTP status 500", "the page broken")
    apply(node, MADE.controlplane)
    node.until(lambda: statuses() == {}, "no probes")

"""What a node in namespaces says reaches whoever its configuration names, also after they were away."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from dozen.provider.machines import BootImage
from dozen.testing.live import LiveNode
from dozen.testing.portal import Portal
from native.hosts import MADE, apply, configured, inside, serving, started

TAGS = {"site": "here"}


@pytest.fixture(scope="module")
def node(image: BootImage, portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveNode]:
    with started(image, portal, tmp_path_factory.mktemp("sending")) as found:
        yield found


class Heard:
    """What a receiver has printed so far."""

    def __init__(self, receiver: subprocess.Popen[str]) -> None:
        self.lines: list[str] = []
        self._receiver = receiver
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._receiver.stdout is not None
        for line in self._receiver.stdout:
            self.lines.append(line.strip())

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


def test_logs_and_events_are_sent_to_whoever_is_named(node: LiveNode) -> None:
    destinations = [
        {"endpoint": "tcp://127.0.0.1:5140", "format": "json_lines", "extraTags": TAGS},
        {"endpoint": "udp://127.0.0.1:5141", "format": "json_lines"},
    ]
    text = configured(
        {"kind": "EventSinkConfig", "endpoint": "127.0.0.1:5142"},
        {"kind": "KmsgLogConfig", "name": "kernel", "url": "tcp://127.0.0.1:5143"},
        logging={"destinations": destinations},
    )
    with (
        serving(node, "native.receivers", "tcp", "127.0.0.1", "5140") as first,
        serving(node, "native.receivers", "udp", "127.0.0.1", "5141") as second,
        serving(node, "native.receivers", "events", "127.0.0.1", "5142") as third,
    ):
        lines, datagrams, told = Heard(first), Heard(second), Heard(third)
        assert apply(node, text) == []
        node.until(lambda: any("configuration origin=API" in each["msg"] for each in lines.records()), "a line")
        began = next(each for each in lines.records() if "sequence=initialize" in each["msg"])
        said = (began["site"], began["talos-service"], began["talos-level"], began["talos-time"][10:11])
        assert said == ("here", "machined", "info", "T")
        node.until(lambda: any("configuration" in each["msg"] for each in datagrams.records()), "a datagram")
        assert "site" not in datagrams.records()[0]
        node.until(lambda: "talos/runtime/machine.SequenceEvent" in told.lines, "an event")
        assert node.resources("EventSinkConfigs.runtime.talos.dev", "runtime") == {
            "event-sink": {"endpoint": "127.0.0.1:5142"}
        }
        kernel = node.resources("KmsgLogConfigs.runtime.talos.dev", "runtime")
        assert kernel == {"kmsg-log": {"destinations": [{"fullPath": "tcp://127.0.0.1:5143"}]}}
    # Away, while something is said.
    apply(node, text)
    node.until(lambda: "receiver=tcp://127.0.0.1:5140 error" in node.logs("machined"), "that it is away is known")
    with serving(node, "native.receivers", "tcp", "127.0.0.1", "5140") as first:
        lines = Heard(first)
        node.until(
            lambda: any("receiver=tcp://127.0.0.1:5140 error" in each["msg"] for each in lines.records()),
            "what was said meanwhile",
            40,
        )
        # What is no longer wanted gets what is left, and nothing more.
        apply(node, MADE.controlplane)
        node.until(lambda: any("configuration origin=API" in each["msg"] for each in lines.records()), "its last line")


def test_debugging_says_more(node: LiveNode) -> None:
    """A question that nobody answers is worth a line only then."""
    settings = {"features": {"hostDNS": {"enabled": True}}, "network": {"nameservers": ["127.0.0.1"]}}
    apply(node, "debug: true\n" + configured(**settings))
    caches = lambda: node.resources("DNSResolveCaches.net.talos.dev", "network")  # noqa: E731
    node.until(caches, "a DNS server")
    inside(node, "native.dns_tools", "ask", "127.0.0.53", "why.test", "udp").communicate(timeout=20)
    node.until(lambda: "debug dozen.dns name=why.test error=" in node.logs("machined"), "more in the log")
    apply(node, MADE.controlplane)

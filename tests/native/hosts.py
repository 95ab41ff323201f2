"""What tests of a host's settings share: a configuration, a node with it, programs in the node's network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dozen.machinery import talosconfig, yaml
from dozen.machinery.config.generating import generate
from dozen.provider.container import Container
from dozen.provider.machines import BootImage, MachineSpec, report_nothing
from dozen.testing.live import LiveNode
from dozen.testing.portal import Portal
from native.privileges import require_root

MADE = generate("host", "https://127.0.0.1:6443")
ROOT = Path(__file__).parents[2]


def configured(*documents: dict[str, Any], **fields: Any) -> str:
    """The control plane's configuration with these fields of its machine, and these documents."""
    data = yaml.load(MADE.controlplane)
    data["machine"] |= fields
    return yaml.dump_documents([data, *({"apiVersion": "v1alpha1", **each} for each in documents)])


@contextmanager
def started(image: BootImage, portal: Portal, folder: Path, text: str = MADE.controlplane) -> Iterator[LiveNode]:
    """A node that answers."""
    require_root()
    assert image.tree
    provider = Container(image.tree)
    machine = portal.run(provider.create(MachineSpec("host", image, text), folder, report_nothing))
    try:
        found = LiveNode(provider, machine, talosconfig.parse(MADE.talosconfig).select(), portal)
        found.until(found.version, "the API")
        yield found
        found.close()
    finally:
        portal.run(provider.destroy(folder))


def apply(node: LiveNode, text: str) -> list[str]:
    """The warnings."""
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


@contextmanager
def serving(node: LiveNode, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A server in the node's network, once it says that it is ready, until the end."""
    server = inside(node, *words)
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        yield server
    finally:
        server.kill()
        server.wait()

"""What the user's guide tells people to type works: each command of its ``sh`` blocks is run against a node."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from dozen.machinery import talosconfig
from dozen.testing.commands import run_dozenctl
from dozen.testing.live import LiveNode

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = [
    line.split("#")[0].split()
    for block in BLOCK.findall((ROOT / "docs/guide.md").read_text())
    for line in block.splitlines()
    if line.startswith("dozenctl ")
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_guide_s_commands_work(command: list[str], node: LiveNode, tmp_path: Path) -> None:
    node.until_healthy("containerd")
    config = tmp_path / "config"
    context = msgspec.structs.replace(node.context, endpoints=(node.machine.address,))
    config.write_text(talosconfig.render(talosconfig.Talosconfig(context="shared", contexts={"shared": context})))
    done = run_dozenctl(config, command[1:], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()

"""What the user's guide tells people to type works: each command of its ``sh`` blocks is run against a node."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from dozen.machinery import talosconfig
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
    done = subprocess.run(
        [sys.executable, "-c", "from dozen.cli.main import main; main()", "--talosconfig", str(config), *command[1:]],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "src"), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()

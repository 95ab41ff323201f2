"""The network for real: netlink, DHCP and a node's network controllers, each in a throw-away network namespace.

The computer's own interfaces are never touched: a scenario sees only the namespace that is made for it.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from native.privileges import require_root

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"
SCRIPT = HERE / "network_scenarios.py"
FIREWALL = HERE / "firewall_scenarios.py"
DHCP6 = HERE / "dhcp6_scenarios.py"


def list_scenarios(script: Path) -> list[str]:
    """Names of a script's scenarios, without importing it and all that it needs."""
    functions = [node for node in ast.parse(script.read_text()).body if isinstance(node, ast.AsyncFunctionDef)]
    return [node.name for node in functions if not node.args.args and not node.decorator_list]


@pytest.mark.parametrize("name", list_scenarios(SCRIPT))
def test_scenario(name: str) -> None:
    run_scenario(SCRIPT, name)


@pytest.mark.parametrize("name", list_scenarios(FIREWALL))
def test_packets(name: str) -> None:
    run_scenario(FIREWALL, name)


@pytest.mark.parametrize("name", list_scenarios(DHCP6))
def test_dhcp6(name: str) -> None:
    run_scenario(DHCP6, name)


def run_scenario(script: Path, name: str) -> None:
    require_root()
    for program in ("unshare", "nsenter", "ip"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    command = ["unshare", "--net", "--uts", sys.executable, str(script), name]
    result = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr

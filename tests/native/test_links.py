"""Links made of software, for real: each scenario in a network namespace, or under a kernel that has such links."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from native import user_mode
from native.privileges import require_root
from native.test_network import SOURCE, list_scenarios

SCRIPT = Path(__file__).with_name("link_scenarios.py")
# Kernel modules by scenario; what is not here takes only what every kernel has that runs containers.
MODULES = {
    "a_vlan_is_made_changed_and_removed": ("veth", "8021q"),
    "a_bond_takes_its_members_and_parameters": ("veth", "bonding"),
    "a_vlan_on_a_bond_in_a_bridge": ("veth", "bonding", "8021q", "bridge"),
    "a_bridge_has_ports_and_parameters": ("veth", "bridge"),
    "a_dummy_has_an_address": ("dummy",),
    "a_vrf_has_a_table_of_its_own": ("veth", "vrf"),
    "a_tunnel_of_wireguard": ("veth", "wireguard"),
}
KINDS = {"8021q": "vlan", "bonding": "bond", "bridge": "bridge vlan_filtering 1"}
REFUSALS = ("Unknown device type", "not supported")


def has_kind(kind: str) -> bool:
    """Whether this kernel makes links of a kind, in a namespace that goes at once."""
    probe = ["unshare", "--net", "ip", "link", "add", "probe0", "type", *kind.split()]
    said = subprocess.run(probe, capture_output=True, text=True, check=False).stderr
    return not any(words in said for words in REFUSALS)


@pytest.mark.parametrize("name", list_scenarios(SCRIPT))
def test_scenario(name: str, tmp_path: Path) -> None:
    require_root()
    if shutil.which("ip") is None or shutil.which("unshare") is None:
        pytest.skip("ip or unshare is not installed")
    modules = MODULES.get(name, ())
    missing = [module for module in modules if not has_kind(KINDS.get(module, module))]
    if not missing:
        command = ["unshare", "--net", "--uts", sys.executable, str(SCRIPT), name]
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return
    what = f"this kernel has no {', '.join(missing)}"
    if not user_mode.is_there():
        pytest.skip(f"{what}, and there is no user-mode-linux to try it with")
    if not all(any(user_mode.MODULES.rglob(f"{module}.ko*")) for module in modules):
        pytest.skip(f"{what}, and neither has User Mode Linux")
    code, said = user_mode.run_scenario(SCRIPT, name, modules, tmp_path)
    assert code == 0, said

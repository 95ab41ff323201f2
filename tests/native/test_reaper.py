"""The one caller of wait(2): its own children, everybody else's, and orphans, in a process to which orphans come."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

OUTCOMES = """\
early True
own exit code 3
killed killed by SIGKILL
stubborn killed by SIGKILL
foreign True
parent exit code 0
orphan True True
crowd True
"""


def test_every_child_is_collected_and_its_own_are_told() -> None:
    program = Path(__file__).with_name("reaping.py")
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == (OUTCOMES, "")

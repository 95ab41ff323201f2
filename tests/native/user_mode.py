"""User Mode Linux: a kernel that starts as a program in two seconds, for what the build machine's own kernel lacks.

Its root is this machine's file system, so a scenario runs in it as it would outside. Debian has it in the package
``user-mode-linux``.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

PROGRAM = "linux.uml"
# Some starts end in a panic before any program runs: the host refused to give the floating point registers.
ATTEMPTS = 3
PATIENCE = 30.0  # seconds; a scenario takes two to ten
FINIT_MODULE = 313  # its number on x86-64
MODULES = Path("/usr/lib/uml/modules")
SOURCE = Path(__file__).parents[2] / "src"

INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
export PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONPATH={source} PYTHONDONTWRITEBYTECODE=1
ip link set lo up
{python} {here} {modules} && {python} {script} {name} >{folder}/output 2>&1
echo $? >{folder}/result
sync
echo o >/proc/sysrq-trigger
sleep 10
"""


def is_there() -> bool:
    """Whether this machine can start one."""
    return shutil.which(PROGRAM) is not None and any(MODULES.glob("*/modules.dep"))


def run_scenario(script: Path, name: str, modules: tuple[str, ...], folder: Path) -> tuple[int, str]:
    """Run ``python SCRIPT NAME`` in a kernel with these modules; its exit code, and what it said.

    The answer is read from a file in ``folder``, which is one of the test's own: what a console shows is no answer.
    """
    init = folder / "init"
    init.write_text(
        INIT.format(
            source=SOURCE,
            python=sys.executable,
            here=Path(__file__),
            modules=" ".join(modules),
            script=script,
            name=name,
            folder=folder,
        )
    )
    init.chmod(0o755)
    kernel = [PROGRAM, "mem=256M", "rootfstype=hostfs", "root=/dev/root", "rw", f"init={init}", "quiet", "panic=-1"]
    output, result = folder / "output", folder / "result"
    for _ in range(ATTEMPTS):
        console = start([*kernel, "con=null", "con0=null,fd:1"])
        if result.exists():
            break
    said = (output.read_text() if output.exists() else "") + console[-2000:]
    return int(result.read_text()) if result.exists() else 255, said


def start(command: list[str]) -> str:
    """Run a kernel to its end, which is also that of the processes it consists of; what it said."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        return process.communicate(timeout=PATIENCE)[0].decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()[0].decode("utf-8", "replace")


def load_modules(names: list[str]) -> None:
    """Inside: load modules and what they need."""
    from dozen.linux import modules

    libc = ctypes.CDLL(None, use_errno=True)

    def insert(descriptor: int, parameters: str, flags: int) -> None:
        if libc.syscall(FINIT_MODULE, descriptor, parameters.encode(), flags):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    index = modules.ModuleIndex(str(MODULES / os.uname().release))
    for name in names:
        modules.load(name, index=index, insert=insert)


if __name__ == "__main__":
    load_modules(sys.argv[1:])

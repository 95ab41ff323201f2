"""The emulator: QEMU of the build tools' own Debian, the same one on every computer, and nothing to be installed.

It is unpacked, not installed (`dozen.compose.toolroot`), so its loader is told where its libraries are, and it is told
where its firmware is. Why not the computer's own: docs/adr/0008-own-emulator.md.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from dozen.compose import toolroot
from dozen.compose.errors import ComposeError
from dozen.provider.machines import ProviderError

NAME = "qemu-system-x86_64"
FIRMWARE = ("qemu", "seabios")


def find_emulator() -> tuple[str, ...]:
    """The beginning of a command line that runs it; fetched first if it is not there. Raises ProviderError."""
    try:
        return command(toolroot.ensure().path)
    except ComposeError as error:
        raise ProviderError(f"there is no emulator: {error}") from error


def command(root: Path) -> tuple[str, ...]:
    usr = root / "usr"
    loader = (str(usr / "lib64/ld-linux-x86-64.so.2"), "--library-path", str(usr / "lib/x86_64-linux-gnu"))
    firmware = tuple(word for name in FIRMWARE for word in ("-L", str(usr / "share" / name)))
    return (*loader, "--argv0", NAME, str(usr / "bin" / NAME), *firmware)


def version() -> str:
    """What it says that it is, in one line."""
    done = subprocess.run((*find_emulator(), "--version"), stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.partition("\n")[0]

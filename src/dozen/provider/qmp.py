"""The few things that are asked of a running emulator, over its control socket (QMP: one JSON object a line).

Each call is one connection: QEMU serves one client at a time, and nothing here stays.
"""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

from dozen.provider.machines import ProviderError


def execute(path: Path, command: str, seconds: float = 5.0, **arguments: object) -> Any:
    """Runs one command and gives what it returned. Raises ProviderError when QEMU refuses it or does not answer."""
    try:
        with _connect(path, seconds) as control, control.makefile("rwb") as lines:
            lines.readline()
            _ask(lines, "qmp_capabilities", {})
            return _ask(lines, command, arguments)
    except (OSError, ValueError) as error:
        raise ProviderError(f"the emulator does not answer on {path}: {error}") from error


def _connect(path: Path, seconds: float) -> socket.socket:
    """A socket's path may have 107 bytes and a home folder may be deep, so the folder goes by its descriptor."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    control = socket.socket(socket.AF_UNIX)
    try:
        control.settimeout(seconds)
        control.connect(f"/proc/self/fd/{folder}/{path.name}")
    except BaseException:
        control.close()
        raise
    finally:
        os.close(folder)
    return control


def _ask(lines: Any, command: str, arguments: dict[str, object]) -> Any:
    lines.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
    lines.flush()
    for line in lines:
        answer = json.loads(line)
        if "return" in answer:
            return answer["return"]
        if "error" in answer:
            raise ProviderError(f"the emulator refused {command}: {answer['error'].get('desc', '')}")
    raise ConnectionResetError("the connection ended before the answer")

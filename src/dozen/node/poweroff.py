"""``poweroff`` and ``shutdown``: ask machined, over its own socket, to end the machine cleanly.

There is no shell to type these names into; they exist for programs that expect them, a kernel's orderly_poweroff()
when a machine overheats for one.
"""

from __future__ import annotations

import sys

from dozen.node.machine import MACHINE_SOCKET
from dozen.rpc.client import Channel
from dozen.rpc.status import RpcError


async def run(name: str, argv: list[str]) -> int:
    """Ask for a reboot when ``shutdown -r`` says so, for power off otherwise; 1 when machined does not answer."""
    reboot = name == "shutdown" and any(word in ("-r", "--reboot") for word in argv)
    call = "Reboot" if reboot else "Shutdown"
    channel = Channel(f"unix:{MACHINE_SOCKET}")
    try:
        await channel.unary(f"/machine.MachineService/{call}", b"", None, timeout=10)
    except RpcError as error:
        sys.stderr.write(f"{name}: machined did not take the request: {error.message}\n")
        return 1
    finally:
        await channel.close()
    return 0

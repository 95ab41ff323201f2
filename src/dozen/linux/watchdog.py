"""Watchdog timers: hardware that resets the machine when nobody feeds it in time.

Opening the device arms the timer; whoever closes it without writing ``V`` before leaves it armed, on purpose: a program
that dies is what it is for (Documentation/watchdog/watchdog-api.rst of the kernel).
"""

from __future__ import annotations

import os
import struct

# <linux/watchdog.h>: 'W' with the numbers 5 and 6, each about an int.
KEEPALIVE, SET_TIMEOUT = 0x80045705, 0xC0045706
_DISARM = b"V"


class Watchdog:
    """An armed timer. Raises OSError when the device is not there, or somebody else's."""

    def __init__(self, device: str) -> None:
        self._descriptor = os.open(device, os.O_WRONLY | os.O_CLOEXEC)

    def set_timeout(self, seconds: int) -> int:
        """Seconds that the hardware really counts, as close to those wished for as it can. Raises OSError."""
        import fcntl

        data = fcntl.ioctl(self._descriptor, SET_TIMEOUT, struct.pack("i", seconds))
        (real,) = struct.unpack("i", data)
        return int(real)

    def feed(self) -> None:
        """Begin to count anew. Raises OSError."""
        import fcntl

        fcntl.ioctl(self._descriptor, KEEPALIVE, struct.pack("i", 0))

    def disarm(self) -> None:
        """Stop counting, if the hardware can be stopped, and let go."""
        try:
            os.write(self._descriptor, _DISARM)
        finally:
            os.close(self._descriptor)

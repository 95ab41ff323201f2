"""Frames off an interface (packet(7)), as a file in the pcap format (draft-ietf-opsawg-pcap), with nanoseconds.

The filter is a program for the kernel's classic BPF (Documentation/networking/filter.rst): frames that it rejects are
never copied to us. A socket sees nothing before it is bound, so binding after the filter is attached leaves no gap in
which others' frames slip in.
"""

from __future__ import annotations

import array
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from dozen.machinery.bpf import LIMIT, Instruction

NANOSECOND_MAGIC = 0xA1B23C4D
LONGEST_FRAME = 262144
"""What tools take for "the whole frame"; also the most that is kept of one."""

_LINKTYPE_ETHERNET, _LINKTYPE_RAW = 1, 101
# if_arp.h: interfaces whose frames begin with an Ethernet header. Others are tunnels; they begin with IP's.
_ETHERNET_TYPES = (1, 772)
_ETH_P_ALL = 0x0003
_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, _PACKET_MR_PROMISC = 263, 1, 1
_SO_ATTACH_FILTER = 26
_FRAMES_AT_ONCE = 256


class CaptureError(ValueError):
    """The request cannot be carried out; the text is for whoever made it."""


class Capture:
    """A socket that collects frames. ``keep`` is how many bytes of each are kept."""

    def __init__(
        self, interface: str, *, keep: int = 0, promiscuous: bool = False, program: Sequence[Instruction] = ()
    ) -> None:
        """Raises CaptureError, and OSError for what the kernel refuses."""
        self.keep = min(keep, LONGEST_FRAME) or LONGEST_FRAME
        try:
            index = socket.if_nametoindex(interface)
        except OSError:
            raise CaptureError(f'there is no interface "{interface}": `get links` lists them') from None
        self.header = struct.pack("=IHHiIII", NANOSECOND_MAGIC, 2, 4, 0, 0, self.keep, _link_type(interface))
        self._buffer = bytearray(LONGEST_FRAME)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        try:
            if program:
                attach_filter(self._socket, program)
            self._socket.bind((interface, _ETH_P_ALL))
            if promiscuous:
                membership = struct.pack("=iHH8s", index, _PACKET_MR_PROMISC, 0, b"")
                self._socket.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def take(self) -> bytes:
        """What has come in, as records of the file; empty when nothing has. Raises OSError when the interface goes."""
        return b"".join(self._records())

    def _records(self) -> Iterator[bytes]:
        for _ in range(_FRAMES_AT_ONCE):
            try:
                # With MSG_TRUNC the kernel tells a frame's length even where it was longer than the buffer.
                length = self._socket.recv_into(self._buffer, 0, socket.MSG_TRUNC)
            except BlockingIOError:
                return
            seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
            kept = min(length, self.keep)
            yield struct.pack("=IIII", seconds, nanoseconds, kept, length) + self._buffer[:kept]

    def close(self) -> None:
        self._socket.close()


def attach_filter(sock: socket.socket, program: Sequence[Instruction]) -> None:
    """What the socket receives from now on must pass the program. Raises CaptureError."""
    if len(program) > LIMIT:
        raise CaptureError(f"the filter has {len(program)} instructions; the kernel takes {LIMIT}")
    try:
        code = array.array("B", b"".join(struct.pack("=HBBI", *instruction) for instruction in program))
    except struct.error:
        raise CaptureError("the filter has an instruction whose parts are out of range") from None
    address, _ = code.buffer_info()
    try:
        # struct sock_fprog: the number of instructions and where they are; the kernel has copied them on return.
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), address))
    except OSError as error:
        raise CaptureError(f"the kernel refuses the filter: {error.strerror}") from None


def _link_type(interface: str) -> int:
    kind = int(Path("/sys/class/net", interface, "type").read_text())
    return _LINKTYPE_ETHERNET if kind in _ETHERNET_TYPES else _LINKTYPE_RAW

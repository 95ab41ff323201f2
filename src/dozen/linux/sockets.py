"""What the kernel tells in /proc/PID/net about sockets (proc(5), Documentation/networking/proc_net_tcp.rst).

The tables are those of the network namespace that the process is in, so asking for another namespace means finding a
process there. The numbers of states and timers are the kernel's own; the machine API uses the same.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from dozen.linux.procfs import PROC

PROTOCOLS = ("tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6")
NAMED_NAMESPACES = Path("/run/netns")
# include/net/tcp_states.h; a socket of another protocol is in state 7 unless it is connected.
ESTABLISHED, LISTEN = 1, 10


class Socket(NamedTuple):
    """A socket. Queues in bytes; ``timer`` and ``timer_when`` (in ticks) tell what TCP waits for."""

    protocol: str
    local: str
    local_port: int
    remote: str
    remote_port: int
    state: int
    tx_queue: int
    rx_queue: int
    timer: int
    timer_when: int
    retransmits: int
    uid: int
    timeout: int
    inode: int
    references: int
    pointer: int

    @property
    def listening(self) -> bool:
        """Whether it waits for anybody: a TCP socket says so, others have no remote end."""
        if self.protocol.startswith("tcp"):
            return self.state == LISTEN
        return self.state != ESTABLISHED and self.remote_port == 0


def parse_sockets(protocol: str, text: str) -> Iterator[Socket]:
    """The lines of /proc/net/PROTOCOL; the first is a title. Lines that are cut short are left out."""
    for line in text.splitlines()[1:]:
        words = line.split()
        with contextlib.suppress(ValueError, IndexError):
            yield _parse_line(protocol, words)


def _parse_line(protocol: str, words: list[str]) -> Socket:
    local, local_port = _parse_end(words[1])
    remote, remote_port = _parse_end(words[2])
    tx_queue, rx_queue = (int(part, 16) for part in words[4].split(":"))
    timer, timer_when = (int(part, 16) for part in words[5].split(":"))
    return Socket(
        protocol=protocol,
        local=local,
        local_port=local_port,
        remote=remote,
        remote_port=remote_port,
        state=int(words[3], 16),
        tx_queue=tx_queue,
        rx_queue=rx_queue,
        timer=timer,
        timer_when=timer_when,
        retransmits=int(words[6], 16),
        uid=int(words[7]),
        timeout=int(words[8]),
        inode=int(words[9]),
        references=int(words[10]),
        pointer=int(words[11], 16),
    )


def _parse_end(text: str) -> tuple[str, int]:
    """``0100007F:C350`` is 127.0.0.1:50000: words of 32 bits in the machine's order, the port as people write it."""
    address, _, port = text.partition(":")
    words = [int(address[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(address), 8)]
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    return socket.inet_ntop(family, b"".join(words)), int(port, 16)


def read_sockets(protocols: Iterable[str], process: str = "self", proc: Path = PROC) -> list[Socket]:
    """The sockets of the network namespace that a process is in; a protocol that the kernel lacks has none."""
    found: list[Socket] = []
    for protocol in protocols:
        with contextlib.suppress(FileNotFoundError):
            found += parse_sockets(protocol, (proc / process / "net" / protocol).read_text())
    return found


def read_holders(proc: Path = PROC) -> dict[int, tuple[int, str]]:
    """Who holds which socket: inode → (PID, name), the lowest PID where several do."""
    holders: dict[int, tuple[int, str]] = {}
    for pid in sorted(int(name) for name in os.listdir(proc) if name.isdigit()):
        with contextlib.suppress(OSError):
            inodes = list(_socket_inodes(proc / str(pid) / "fd"))
            if inodes:
                name = (proc / str(pid) / "comm").read_text(errors="replace").rstrip("\n")
                for inode in inodes:
                    holders.setdefault(inode, (pid, name))
    return holders


def _socket_inodes(folder: Path) -> Iterator[int]:
    for descriptor in os.listdir(folder):
        with contextlib.suppress(OSError):
            target = os.readlink(folder / descriptor)
            if target.startswith("socket:["):
                yield int(target[len("socket:[") : -1])


def find_namespaces(proc: Path = PROC, named: Path = NAMED_NAMESPACES) -> Mapping[str, int]:
    """Network namespaces other than our own, by name (without one: ``net:[INODE]``), each with a process in it."""
    names: dict[int, str] = {}
    with contextlib.suppress(OSError):
        names = {(named / name).stat().st_ino: name for name in os.listdir(named)}
    found: dict[str, int] = {}
    own = (proc / "self" / "ns" / "net").stat().st_ino
    for pid in sorted(int(name) for name in os.listdir(proc) if name.isdigit()):
        with contextlib.suppress(OSError):
            inode = (proc / str(pid) / "ns" / "net").stat().st_ino
            if inode != own:
                found.setdefault(names.get(inode, f"net:[{inode}]"), pid)
    return found

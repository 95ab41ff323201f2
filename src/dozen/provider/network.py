"""The network of a cluster: one emulator without a machine, which is the machines' switch, router and way in.

QEMU's user-mode network belongs to the emulator that it was started with. So that several machines share one, and that
it outlives each of them, a cluster has an emulator of its own for it (``-machine none``): a hub, into which an uplink
to the user-mode network and one cable for every machine are plugged. A cable is a pair of datagram sockets in the
network's folder. Neither privilege nor any interface of this computer is needed, nobody else on this computer sees the
frames, and a place for a further machine can be added while everything runs.

Inside, the machines are 10.0.2.15 and up. 10.0.2.2 leads to this computer's loopback and out of it, 10.0.2.3 answers
DNS. From this computer each machine's APIs are reached on loopback ports. In the folder:

    network.json   the places and their ports
    *.router       the network's end of each cable; the machine's is *.guest
    qemu.pid, qmp.sock
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from dozen.linux.capture import attach_filter
from dozen.machinery.bpf import Instruction
from dozen.provider import qmp
from dozen.provider.emulator import find_emulator
from dozen.provider.machines import Plug, ProviderError
from dozen.provider.qemu import (
    API_PORT,
    cable,
    end_process,
    find_port,
    open_folder,
    port_is_free,
    run_qemu,
    running_pid,
)

GATEWAY, RESOLVER = "10.0.2.2", "10.0.2.3"
SUBNET, PREFIX = "10.0.2.0/24", 24
FIRST_HOST = 15
"""The last byte of the first machine's address; the emulator's DHCP server starts there, too."""
MOST_HOSTS = 100
KUBERNETES_PORT, TRUST_PORT = 6443, 50001


class Place(msgspec.Struct, frozen=True):
    """Where one machine is plugged in. ``api``, ``kubernetes`` and ``trust`` are loopback ports of this computer."""

    name: str
    address: str
    api: int
    kubernetes: int
    trust: int

    def plug(self, folder: Path) -> Plug:
        return Plug(folder, self.name, self.api)


def forwards(place: Place) -> list[str]:
    """The loopback ports that lead to the machine, as the emulator writes them."""
    pairs = ((place.api, API_PORT), (place.kubernetes, KUBERNETES_PORT), (place.trust, TRUST_PORT))
    return [f"tcp:127.0.0.1:{here}-{place.address}:{there}" for here, there in pairs]


# Classic BPF. The user-mode network answers every packet that it hears as if it were addressed to it: it would connect
# to the address outside, and reset what two machines say to each other. So it hears only what is for everybody (the
# lowest bit of a frame's first byte) or for its own 52:55:….
LOAD_BYTE, LOAD_HALF, IF_BITS, IF_EQUAL, RETURN = 0x30, 0x28, 0x45, 0x15, 0x06
FOR_THE_ROUTER = (
    Instruction(LOAD_BYTE, 0, 0, 0),
    Instruction(IF_BITS, 2, 0, 0x01),
    Instruction(LOAD_HALF, 0, 0, 0),
    Instruction(IF_EQUAL, 0, 1, 0x5255),
    Instruction(RETURN, 0, 0, 0xFFFFFFFF),
    Instruction(RETURN, 0, 0, 0),
)


def make_uplink() -> tuple[socket.socket, socket.socket]:
    """The cable between the hub and the user-mode network, the network's end second."""
    hub, user = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    attach_filter(user, FOR_THE_ROUTER)
    return hub, user


def router_arguments(folder: Path, places: Iterable[Place], sockets: int, uplink: tuple[int, int]) -> list[str]:
    """The command line of the emulator. An IPv6 network beside would only make machines wait for routers."""
    places = list(places)
    ways_in = "".join(f",hostfwd={rule}" for place in places for rule in forwards(place))
    words = [
        *("-machine", "none", "-nodefaults", "-no-user-config", "-display", "none", "-daemonize"),
        *("-pidfile", str(folder / "qemu.pid"), "-qmp", "unix:qmp.sock,server=on,wait=off"),
        *("-netdev", f"user,id=user,ipv6=off,net={SUBNET},dhcpstart={address_of(0)}{ways_in}"),
        *("-netdev", f"dgram,id=uplink,local.type=fd,local.str={uplink[0]}"),
        *("-netdev", "hubport,id=hub-uplink,hubid=0,netdev=uplink"),
        *("-netdev", f"dgram,id=way-out,local.type=fd,local.str={uplink[1]}"),
        *("-netdev", "hubport,id=hub-way-out,hubid=1,netdev=way-out"),
        *("-netdev", "hubport,id=hub-user,hubid=1,netdev=user"),
    ]
    for place in places:
        words += ["-netdev", cable(sockets, place.name, "router", "guest", f"cable-{place.name}")]
        words += ["-netdev", f"hubport,id=hub-{place.name},hubid=0,netdev=cable-{place.name}"]
    return words


def adding_commands(place: Place, sockets: int) -> list[tuple[str, dict[str, Any]]]:
    """What to ask a running emulator so that it has one more place."""
    base, device = f"/proc/self/fd/{sockets}/{place.name}", f"cable-{place.name}"
    ends = {"local": {"type": "unix", "path": f"{base}.router"}, "remote": {"type": "unix", "path": f"{base}.guest"}}
    return [
        ("netdev_add", {"type": "dgram", "id": device, **ends}),
        ("netdev_add", {"type": "hubport", "id": f"hub-{place.name}", "hubid": 0, "netdev": device}),
        *(("human-monitor-command", {"command-line": f"hostfwd_add user {rule}"}) for rule in forwards(place)),
    ]


def address_of(index: int) -> str:
    """The address of the machine with that number, from 0."""
    if index >= MOST_HOSTS:
        raise ProviderError(f"a cluster on this computer can have {MOST_HOSTS} machines", "use fewer machines")
    return f"{SUBNET.rpartition('.')[0]}.{FIRST_HOST + index}"


class State(msgspec.Struct):
    """What network.json holds. ``sockets``: the number that the folder's descriptor has within the emulator."""

    places: list[Place] = []
    sockets: int = 0


class Router:
    """The network in ``folder``. A machine keeps its place for as long as the folder is there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def places(self) -> dict[str, Place]:
        return {place.name: place for place in self._read().places}

    def running(self) -> int | None:
        return running_pid(self.folder)

    def ensure(self, names: Iterable[str]) -> dict[str, Place]:
        """Places for all ``names``, and the emulator running with them. Raises ProviderError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = self._read()
        running = self.running()
        known = {place.name for place in state.places}
        for name in names:
            if name not in known:
                place = Place(name, address_of(len(state.places)), find_port(), find_port(), find_port())
                if running:
                    self._add(place, state.sockets)
                state.places.append(place)
                self._write(state)
        if not running:
            state.places = [with_free_ports(place) for place in state.places]
            self._start(state)
        return {place.name: place for place in state.places}

    def stop(self) -> None:
        end_process(self.folder)

    def _start(self, state: State) -> None:
        emulator = find_emulator()
        hub, user = make_uplink()
        with hub, user, open_folder(self.folder) as sockets:
            state.sockets = sockets
            self._write(state)
            uplink = (hub.fileno(), user.fileno())
            command = [*emulator, *router_arguments(self.folder, state.places, sockets, uplink)]
            done = run_qemu(command, self.folder, sockets, *uplink)
        if done.returncode:
            hint = "another program may have taken a port meanwhile: try again"
            raise ProviderError("QEMU could not make the cluster's network", hint, done.stdout.strip())

    def _add(self, place: Place, sockets: int) -> None:
        """A place that an interrupted command added but did not write down is there already, and taken over."""
        for command, arguments in adding_commands(place, sockets):
            try:
                answer = qmp.execute(self.folder / "qmp.sock", command, **arguments)
            except ProviderError as error:
                if "duplicate" not in error.message.lower():
                    raise
            else:
                if answer:  # The monitor's commands return nothing when they succeed, and a complaint otherwise.
                    raise ProviderError(f"the cluster's network refused {place.name}: {str(answer).strip()}")

    def _read(self) -> State:
        try:
            return msgspec.json.decode((self.folder / "network.json").read_bytes(), type=State)
        except (FileNotFoundError, msgspec.DecodeError):
            return State()

    def _write(self, state: State) -> None:
        part = self.folder / "network.json.part"
        part.write_bytes(msgspec.json.format(msgspec.json.encode(state)))
        part.replace(self.folder / "network.json")


def with_free_ports(place: Place) -> Place:
    """The place with other ports where another program has taken one while the network was down."""
    ports = {"api": place.api, "kubernetes": place.kubernetes, "trust": place.trust}
    taken = {name: find_port() for name, port in ports.items() if not port_is_free(port)}
    return msgspec.structs.replace(place, **taken)

"""A cluster's network: the emulator's command line, places that are added, ports that are taken."""

from itertools import pairwise
from pathlib import Path

import pytest

from dozen.provider import network
from dozen.provider.machines import ProviderError
from dozen.provider.network import Place, Router, adding_commands, address_of, router_arguments, with_free_ports

ONE = Place("one", "10.0.2.15", 41000, 41001, 41002)
TWO = Place("two", "10.0.2.16", 42000, 42001, 42002)
FOLDER = Path("/state/c/network")


def values(arguments: list[str], option: str) -> list[str]:
    return [text for name, text in pairwise(arguments) if name == option]


def test_every_place_has_a_cable_in_the_same_hub_and_two_ways_in() -> None:
    backends = values(router_arguments(FOLDER, [ONE, TWO], 7, (8, 9)), "-netdev")
    assert backends[0] == (
        "user,id=user,ipv6=off,net=10.0.2.0/24,dhcpstart=10.0.2.15"
        ",hostfwd=tcp:127.0.0.1:41000-10.0.2.15:50000,hostfwd=tcp:127.0.0.1:41001-10.0.2.15:6443"
        ",hostfwd=tcp:127.0.0.1:41002-10.0.2.15:50001"
        ",hostfwd=tcp:127.0.0.1:42000-10.0.2.16:50000,hostfwd=tcp:127.0.0.1:42001-10.0.2.16:6443"
        ",hostfwd=tcp:127.0.0.1:42002-10.0.2.16:50001"
    )
    assert backends[6] == (
        "dgram,id=cable-one,local.type=unix,local.path=/proc/self/fd/7/one.router"
        ",remote.type=unix,remote.path=/proc/self/fd/7/one.guest"
    )
    assert [text for text in backends if text.startswith("hubport")] == [
        "hubport,id=hub-uplink,hubid=0,netdev=uplink",
        "hubport,id=hub-way-out,hubid=1,netdev=way-out",
        "hubport,id=hub-user,hubid=1,netdev=user",
        "hubport,id=hub-one,hubid=0,netdev=cable-one",
        "hubport,id=hub-two,hubid=0,netdev=cable-two",
    ]


@pytest.mark.parametrize(
    ("destination", "passes"),
    [
        ("ff:ff:ff:ff:ff:ff", True),
        ("33:33:00:00:00:01", True),
        ("52:55:0a:00:02:02", True),
        ("52:54:00:12:34:56", False),
        ("02:55:00:00:00:01", False),
    ],
)
def test_the_way_out_hears_only_what_is_for_it(destination: str, passes: bool) -> None:
    hub, user = network.make_uplink()
    with hub, user:
        user.setblocking(False)
        frame = bytes.fromhex(destination.replace(":", "")) + bytes(54)
        hub.send(frame)
        if passes:
            assert user.recv(2048) == frame
        else:
            with pytest.raises(BlockingIOError):
                user.recv(2048)
        user.send(bytes(60))
        assert hub.recv(2048) == bytes(60)


def test_a_place_added_later_is_the_same_as_one_from_the_start() -> None:
    assert adding_commands(ONE, 7) == [
        (
            "netdev_add",
            {
                "type": "dgram",
                "id": "cable-one",
                "local": {"type": "unix", "path": "/proc/self/fd/7/one.router"},
                "remote": {"type": "unix", "path": "/proc/self/fd/7/one.guest"},
            },
        ),
        ("netdev_add", {"type": "hubport", "id": "hub-one", "hubid": 0, "netdev": "cable-one"}),
        ("human-monitor-command", {"command-line": "hostfwd_add user tcp:127.0.0.1:41000-10.0.2.15:50000"}),
        ("human-monitor-command", {"command-line": "hostfwd_add user tcp:127.0.0.1:41001-10.0.2.15:6443"}),
        ("human-monitor-command", {"command-line": "hostfwd_add user tcp:127.0.0.1:41002-10.0.2.15:50001"}),
    ]


def test_addresses_end_before_those_of_the_network_itself() -> None:
    assert address_of(99) == "10.0.2.114"
    with pytest.raises(ProviderError, match="100 machines"):
        address_of(100)


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Router, list[str]]:
    """A router whose emulator is said to run, and the commands that it was asked."""
    asked: list[str] = []

    def execute(path: Path, command: str, seconds: float = 5.0, **arguments: object) -> object:
        asked.append(command)
        if arguments.get("id") == "cable-b":
            raise ProviderError("the emulator refused netdev_add: Duplicate ID 'cable-b' for netdev")
        return "" if command.startswith("human") else {}

    monkeypatch.setattr(network, "running_pid", lambda folder: 1)
    monkeypatch.setattr(network, "find_port", iter(range(40000, 40100)).__next__)
    monkeypatch.setattr(network.qmp, "execute", execute)
    return Router(tmp_path / "network"), asked


def test_a_machine_keeps_its_place_and_later_ones_come_behind(running: tuple[Router, list[str]]) -> None:
    router, asked = running
    first = router.ensure(["a"])
    assert first == {"a": Place("a", "10.0.2.15", 40000, 40001, 40002)}
    again = router.ensure(["c", "a"])
    assert again == {**first, "c": Place("c", "10.0.2.16", 40003, 40004, 40005)} == router.places()
    assert asked.count("netdev_add") == 4


def test_what_an_interrupted_command_added_already_is_taken_over(running: tuple[Router, list[str]]) -> None:
    assert running[0].ensure(["b"])["b"].address == "10.0.2.15"


def test_a_port_that_another_program_took_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "port_is_free", lambda port: port != 41000)
    monkeypatch.setattr(network, "find_port", lambda: 50123)
    assert with_free_ports(ONE) == Place("one", "10.0.2.15", 50123, 41001, 41002)
    assert with_free_ports(TWO) == TWO


def test_a_state_file_that_was_cut_off_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "network.json").write_text('{"places": [')
    assert Router(tmp_path).places() == {}

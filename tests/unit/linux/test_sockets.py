"""Sockets as the kernel prints them, and who holds them."""

from pathlib import Path

import pytest

from dozen.linux.sockets import find_namespaces, parse_sockets, read_holders, read_sockets

TITLE = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LISTENS = (
    "   0: 0100007F:C350 00000000:0000 0A 00000000:00000000 00:00000000 00000000    50        0 2211 1 ffff888 100 0\n"
)
TALKS = (
    "   1: 0100007F:C350 0200007F:8D2C 01 00000010:00000020 02:000A7214 00000003     0        7 2212 2 ffff889 20 4\n"
)
SIX = (
    "   0: 00000000000000000000000001000000:C350 00000000000000000000000000000000:0000 0A 00000000:00000000"
    " 00:00000000 00000000     0        0 9 1 0 100 0\n"
)


def test_each_column_finds_its_place() -> None:
    listens, talks = parse_sockets("tcp", TITLE + LISTENS + TALKS)
    assert (listens.local, listens.local_port, listens.remote, listens.remote_port) == (
        "127.0.0.1",
        50000,
        "0.0.0.0",
        0,
    )
    assert (listens.state, listens.listening, listens.uid, listens.inode) == (10, True, 50, 2211)
    assert (talks.remote, talks.remote_port, talks.listening) == ("127.0.0.2", 36140, False)
    assert (talks.tx_queue, talks.rx_queue, talks.timer, talks.timer_when) == (16, 32, 2, 0xA7214)
    assert (talks.retransmits, talks.timeout, talks.references, talks.pointer) == (3, 7, 2, 0xFFFF889)


def test_ipv6_is_words_in_the_machines_order() -> None:
    (only,) = parse_sockets("tcp6", TITLE + SIX)
    assert (only.local, only.remote) == ("::1", "::")


@pytest.mark.parametrize("line", ["", "   0: 0100007F", "   0: zz:C350 00000000:0000 0A\n", LISTENS[:60]])
def test_what_is_cut_short_is_left_out(line: str) -> None:
    assert list(parse_sockets("tcp", TITLE + line)) == []


@pytest.mark.parametrize(
    ("protocol", "state", "port", "listening"),
    [
        ("tcp", "0A", "0000", True),
        ("tcp", "01", "0001", False),
        ("udp", "07", "0000", True),
        ("udp", "01", "0001", False),
    ],
)
def test_who_listens(protocol: str, state: str, port: str, listening: bool) -> None:
    line = LISTENS.replace(" 0A ", f" {state} ").replace("00000000:0000 ", f"00000000:{port} ", 1)
    (only,) = parse_sockets(protocol, TITLE + line)
    assert only.listening is listening


def test_a_holder_is_found_by_its_descriptors(tmp_path: Path) -> None:
    for pid in ("7", "12"):
        folder = tmp_path / pid / "fd"
        folder.mkdir(parents=True)
        (tmp_path / pid / "comm").write_text(f"name{pid}\n")
        (folder / "3").symlink_to("socket:[2211]")
    (tmp_path / "12" / "fd" / "4").symlink_to("socket:[5]")
    (tmp_path / "12" / "fd" / "5").symlink_to("/dev/null")
    assert read_holders(tmp_path) == {2211: (7, "name7"), 5: (12, "name12")}


def test_a_protocol_that_the_kernel_lacks_has_no_sockets(tmp_path: Path) -> None:
    assert read_sockets(["udplite"], proc=tmp_path) == []


def test_namespaces_are_known_by_name_and_else_by_number(tmp_path: Path) -> None:
    named = tmp_path / "netns"
    named.mkdir()
    (named / "cni-1").touch()
    namespaces = {"self": "host", "1": "host", "20": "pod", "21": "pod", "30": "other"}
    for process, namespace in namespaces.items():
        folder = tmp_path / process / "ns"
        folder.mkdir(parents=True)
        place = named / "cni-1" if namespace == "pod" else tmp_path / namespace
        place.touch()
        (folder / "net").hardlink_to(place)
    other = (tmp_path / "other").stat().st_ino
    assert find_namespaces(tmp_path, named) == {"cni-1": 20, f"net:[{other}]": 30}

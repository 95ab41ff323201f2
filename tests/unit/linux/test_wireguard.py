"""WireGuard's messages: what is told is what would be read, and secrets do not come back."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.linux import wireguard
from dozen.linux.netlink import MalformedMessage, pack_attributes, unpack_attributes
from dozen.machinery.resources.link import Wireguard, WireguardPeer


def key(number: int) -> str:
    return b64encode(number.to_bytes(32, "big")).decode()


def peer(number: int, **fields: object) -> WireguardPeer:
    return WireguardPeer(public_key=key(number), allowed_ips=(f"10.1.{number}.0/24",), **fields)  # type: ignore[arg-type]


def tell(settings: Wireguard, *endpoints: tuple[str, int] | None) -> list[dict[int, bytes]]:
    """The messages as the kernel would read them."""
    messages = wireguard.pack_device("wg0", settings, endpoints)
    return [unpack_attributes(pack_attributes(attributes)) for attributes in messages]


def test_what_is_told_would_be_read() -> None:
    four = peer(1, persistent_keepalive_interval=25 * wireguard.SECOND, preshared_key=key(9))
    six = WireguardPeer(public_key=key(2), allowed_ips=("fd00::/64", "0.0.0.0/0"))
    settings = Wireguard(private_key=key(7), listen_port=51820, firewall_mark=5, peers=(four, six))
    (message,) = tell(settings, ("192.0.2.1", 51820), ("2001:db8::1", 7))
    assert message[wireguard.PRIVATE_KEY] == bytes(31) + b"\7"
    found = wireguard.unpack_device([message])
    assert found is not None
    assert (found.listen_port, found.firewall_mark, found.private_key) == (51820, 5, "")
    assert [(each.endpoint, each.allowed_ips, each.preshared_key) for each in found.peers] == [
        ("192.0.2.1:51820", ("10.1.1.0/24",), ""),
        ("[2001:db8::1]:7", ("fd00::/64", "0.0.0.0/0"), ""),
    ]
    assert found.peers[0].persistent_keepalive_interval == 25 * wireguard.SECOND


def test_many_peers_are_told_some_at_a_time() -> None:
    messages = tell(Wireguard(peers=tuple(peer(n) for n in range(70))), *[None] * 70)
    assert [wireguard.FLAGS in message for message in messages] == [True, False, False]
    found = wireguard.unpack_device(messages)
    assert found is not None
    assert len(found.peers) == 70


def test_a_peer_goes_on_in_the_next_message() -> None:
    first, second = (tell(Wireguard(peers=(peer(1, **f),)), None)[0] for f in ({}, {}))
    found = wireguard.unpack_device([first, second])
    assert found is not None
    assert found.peers[0].allowed_ips == ("10.1.1.0/24", "10.1.1.0/24")


def test_no_peers_is_told_too() -> None:
    (message,) = tell(Wireguard(private_key=key(1)))
    assert wireguard.PEERS not in message
    assert int.from_bytes(message[wireguard.FLAGS], "little") == wireguard.REPLACE_PEERS


@pytest.mark.parametrize("text", ["", "abc", key(1)[:-2], "ü" * 44, b64encode(bytes(33)).decode()])
def test_a_wrong_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a WireGuard key is 32 bytes in base64$"):
        wireguard.unpack_key(text)


@given(st.binary(max_size=120))
def test_any_answer_is_read_or_refused(data: bytes) -> None:
    try:
        wireguard.unpack_device([{wireguard.PEERS: data}])
    except MalformedMessage:
        return

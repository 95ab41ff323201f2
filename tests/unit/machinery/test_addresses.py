"""Addresses as text, against the standard library's own idea of them."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.machinery import addresses

V4, V6 = st.ip_addresses(v=4), st.ip_addresses(v=6)
PREFIXES = st.one_of(st.tuples(V4, st.integers(0, 32)), st.tuples(V6, st.integers(0, 128)))


@given(PREFIXES)
def test_networks_are_the_standard_librarys(prefix: tuple[ipaddress.IPv4Address, int]) -> None:
    interface = ipaddress.ip_interface(f"{prefix[0]}/{prefix[1]}")
    text = f"{prefix[0].exploded}/{prefix[1]}"
    network = addresses.network_of(text)
    assert ipaddress.ip_network(network) == interface.network
    assert ipaddress.ip_interface(addresses.canonical_prefix(text)) == interface
    assert addresses.contains(text, str(prefix[0]))


@given(PREFIXES, st.one_of(V4, V6))
def test_containing_is_the_standard_librarys(
    prefix: tuple[ipaddress.IPv4Address, int], address: ipaddress.IPv4Address
) -> None:
    network = ipaddress.ip_network(f"{prefix[0]}/{prefix[1]}", strict=False)
    assert addresses.contains(f"{prefix[0]}/{prefix[1]}", str(address)) == (address in network)


@pytest.mark.parametrize(
    "text", ["", "10.0.0", "10.0.0.256", "10.0.0.1/33", "fd00::/129", "fd00::g", "10.0.0.1/-1", "a/8"]
)
def test_what_is_no_prefix_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError):
        addresses.canonical_prefix(text)


def test_a_prefix_without_a_length_is_a_single_host() -> None:
    assert addresses.canonical_prefix("10.0.0.1") == "10.0.0.1/32"
    assert addresses.canonical_prefix("FD00:0::1") == "fd00::1/128"


def test_order_is_by_number_not_by_text() -> None:
    assert sorted(["10.0.0.10/8", "fd00::1/64", "10.0.0.9/8"], key=addresses.sort_key) == [
        "10.0.0.9/8",
        "10.0.0.10/8",
        "fd00::1/64",
    ]

"""Choosing among addresses by subnets, as the machine configuration writes such choices.

A list of subnets accepts what is in one of them; one that begins with ``!`` takes away again. A list that only takes
away starts from everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dozen.machinery.addresses import address_of, contains


def accepts(subnets: Sequence[str], address: str) -> bool:
    """Whether a list of subnets accepts the bare address; an empty list accepts all. Raises ValueError."""
    wanted = [subnet for subnet in subnets if not subnet.startswith("!")]
    unwanted = [subnet[1:] for subnet in subnets if subnet.startswith("!")]
    if any(contains(subnet, address) for subnet in unwanted):
        return False
    return not wanted or any(contains(subnet, address) for subnet in wanted)


def choose(addresses: Iterable[str], valid: Sequence[str], exclude: Sequence[str] = ()) -> tuple[str, ...]:
    """The addresses, bare and each once, that ``valid`` accepts and no subnet of ``exclude`` holds."""
    bare = dict.fromkeys(address_of(address) for address in addresses)
    return tuple(
        address
        for address in bare
        if accepts(valid, address) and not any(contains(subnet, address) for subnet in exclude)
    )

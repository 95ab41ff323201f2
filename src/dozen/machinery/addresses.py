"""IP addresses and prefixes as text, and what can be asked of them.

An *address* is "10.0.2.15", a *prefix* is an address with the length of its network, "10.0.2.15/24". Resources hold
both as text; the kernel writes each in one way only, so texts from people go through `canonical_prefix` before they
are compared. This replaces ``ipaddress`` on the node, where its import would take a tenth of the time that a boot may.
"""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

INET4, INET6 = int(AF_INET), int(AF_INET6)


def pack_address(text: str) -> tuple[int, bytes]:
    """Family and bytes of an address; raises ValueError naming the text."""
    family = INET6 if ":" in text else INET4
    try:
        return family, inet_pton(family, text)
    except (OSError, ValueError):  # ValueError for what is not ASCII, and for a zero byte
        raise ValueError(f"{text!r} is not an IP address") from None


def unpack_address(data: bytes) -> str:
    """The address of 4 or 16 bytes, as the kernel writes it."""
    return inet_ntop(INET4 if len(data) == 4 else INET6, data)


def is_address(text: str) -> bool:
    """Whether a text is an address rather than a name."""
    try:
        pack_address(text)
    except ValueError:
        return False
    return True


def pack_prefix(text: str) -> tuple[int, bytes, int]:
    """Family, bytes and length of a prefix; without a length it is a single host. Raises ValueError."""
    address, _, length = text.partition("/")
    family, data = pack_address(address)
    bits = int(length) if length else len(data) * 8
    if not 0 <= bits <= len(data) * 8:
        raise ValueError(f"{text!r} has an impossible prefix length")
    return family, data, bits


def canonical_prefix(text: str) -> str:
    """The prefix as the kernel writes it, always with a length. Raises ValueError."""
    family, data, bits = pack_prefix(text)
    return f"{inet_ntop(family, data)}/{bits}"


def canonical_address(text: str) -> str:
    """The address as the kernel writes it. Raises ValueError."""
    return inet_ntop(*pack_address(text))


def network_of(text: str) -> str:
    """The network that a prefix is in: "10.0.2.15/24" → "10.0.2.0/24". Raises ValueError."""
    family, data, bits = pack_prefix(text)
    host = len(data) * 8 - bits
    number = int.from_bytes(data, "big") >> host << host
    return f"{inet_ntop(family, number.to_bytes(len(data), 'big'))}/{bits}"


def contains(prefix: str, address: str) -> bool:
    """Whether an address is in the network of a prefix. Raises ValueError."""
    family, data, bits = pack_prefix(prefix)
    other, wanted = pack_address(address)
    host = len(data) * 8 - bits
    return family == other and int.from_bytes(data, "big") >> host == int.from_bytes(wanted, "big") >> host


def address_of(prefix: str) -> str:
    """The address without its length."""
    return prefix.partition("/")[0]


def family_of(text: str) -> str:
    """``inet4`` or ``inet6``, for an address or a prefix."""
    return "inet6" if ":" in text else "inet4"


def sort_key(prefix: str) -> tuple[int, bytes, int]:
    """Orders by family, then by number. Raises ValueError."""
    family, data, bits = pack_prefix(prefix)
    return (family, data, bits)


def specific_key(prefix: str) -> tuple[int, int, bytes]:
    """Orders by family, then longer prefixes first, then by number. Raises ValueError."""
    family, data, bits = pack_prefix(prefix)
    return (family, -bits, data)

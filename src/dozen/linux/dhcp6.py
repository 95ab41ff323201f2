"""DHCPv6 messages: what a client and servers say to each other about IPv6 addresses.

A message is one byte of type, three of *transaction* and *options*: a code and a length of two bytes each, and a value,
in which there may be options again. Who a host is says its *DUID*; the addresses that it has on one link are its
*identity association* (IA), which has a number of its own. This module writes a client's messages and reads servers';
when to say what is `dhcp6_client`'s concern, how it reaches the wire `dhcp6_socket`'s. Formats: RFC 8415, 8 and 21;
name servers and search domains RFC 3646; time servers RFC 4075 and 5908; host names RFC 4704.

Servers are believed as little as possible: a message whose options do not fit is none, an option of the wrong size is
left out, and so is an address that no host can have. So are name and time servers with an address of the link: which
link that is could not be said in what programs read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from socket import AF_INET6, inet_ntop, inet_pton

import msgspec

from dozen.linux.dhcp import read_domain, read_search

HEAD = struct.Struct(">B3s")
OPTION = struct.Struct(">HH")
ASSOCIATION = struct.Struct(">III")
LEASED = struct.Struct(">16sII")

SOLICIT, ADVERTISE, REQUEST, CONFIRM, RENEW, REBIND, REPLY, RELEASE, DECLINE = range(1, 10)

CLIENT_ID, SERVER_ID, IA_NA, IA_ADDRESS, OPTION_REQUEST, PREFERENCE, ELAPSED_TIME = 1, 2, 3, 5, 6, 7, 8
STATUS_CODE, RAPID_COMMIT, DNS_SERVERS, DOMAIN_LIST, SNTP_SERVERS, CLIENT_FQDN = 13, 14, 23, 24, 31, 39
NTP_SERVER, SOL_MAX_RT = 56, 82
NTP_ADDRESS, NTP_NAME = 1, 3  # suboptions of NTP_SERVER; 2 is a multicast group

ASKED_FOR = (DNS_SERVERS, DOMAIN_LIST, SNTP_SERVERS, CLIENT_FQDN, NTP_SERVER, SOL_MAX_RT)

SUCCESS, FAILED, NO_ADDRESSES, NO_BINDING, NOT_ON_LINK, USE_MULTICAST = range(6)
STATUS_TEXTS = {
    FAILED: "it failed",
    NO_ADDRESSES: "it has no addresses",
    NO_BINDING: "it does not know this host's addresses",
    NOT_ON_LINK: "the addresses are not of this link",
    USE_MULTICAST: "it wants to be asked by multicast",
}

INFINITE = 0xFFFFFFFF
LONGEST_DUID = 130  # two bytes of type and up to 128 of identifier (RFC 8415, 11.1)
ETHERNET = 1
UPDATE_NAME = b"\x01"  # the flag S of a host name: the server is to publish the name's address


class MalformedMessage(ValueError):
    """Bytes that are no DHCPv6 message for a client."""


class Status(msgspec.Struct, frozen=True):
    """What a server says of a request; ``text`` is what of its words can be shown."""

    code: int = SUCCESS
    text: str = ""

    def __str__(self) -> str:
        said = STATUS_TEXTS.get(self.code, f"status {self.code}")
        return f"{said}: {self.text}" if self.text else said


class LeasedAddress(msgspec.Struct, frozen=True):
    """An address and for how many seconds from now it may be used for new connections, and at all; or `INFINITE`."""

    address: str
    preferred: int
    valid: int


class Association(msgspec.Struct, frozen=True):
    """The addresses of one link. ``renewal`` and ``rebinding`` are seconds from now; 0 leaves them to the client."""

    number: int
    renewal: int
    rebinding: int
    addresses: tuple[LeasedAddress, ...] = ()
    status: Status = Status()


class Reply(msgspec.Struct, frozen=True):
    """A server's message. ``client`` and ``server`` are DUIDs; ``solicit_limit`` is 0 if it does not say one."""

    type: int
    transaction: int
    client: bytes
    server: bytes
    preference: int = 0
    rapid: bool = False
    status: Status = Status()
    associations: tuple[Association, ...] = ()
    dns_servers: tuple[str, ...] = ()
    search_domains: tuple[str, ...] = ()
    time_servers: tuple[str, ...] = ()
    hostname: str = ""
    solicit_limit: int = 0


def pack_message(kind: int, transaction: int, options: Iterable[tuple[int, bytes]]) -> bytes:
    """A message as it goes on the wire."""
    return HEAD.pack(kind, transaction.to_bytes(3, "big")) + pack_options(options)


def pack_options(options: Iterable[tuple[int, bytes]]) -> bytes:
    """Options one after another."""
    return b"".join(OPTION.pack(code, len(value)) + value for code, value in options)


def pack_association(association: Association) -> bytes:
    """The value of an IA_NA."""
    inside = [(IA_ADDRESS, pack_leased(each)) for each in association.addresses]
    if association.status.code:
        inside.append((STATUS_CODE, pack_status(association.status)))
    times = ASSOCIATION.pack(association.number, association.renewal, association.rebinding)
    return times + pack_options(inside)


def pack_leased(leased: LeasedAddress) -> bytes:
    """The value of an IA address."""
    return LEASED.pack(inet_pton(AF_INET6, leased.address), leased.preferred, leased.valid)


def pack_status(status: Status) -> bytes:
    """The value of a status code."""
    return status.code.to_bytes(2, "big") + status.text.encode()


def pack_name(name: str) -> bytes:
    """A host name as the client says it: one label alone is a name in whatever domain the server gives."""
    labels = name.rstrip(".").split(".")
    packed = b"".join(bytes([len(label)]) + label.encode("ascii", "ignore") for label in labels)
    return UPDATE_NAME + packed + (b"\0" if len(labels) > 1 else b"")


def make_link_duid(hardware: bytes) -> bytes:
    """A DUID made of an Ethernet address (DUID-LL, RFC 8415, 11.4)."""
    return struct.pack(">HH", 3, ETHERNET) + hardware


def make_machine_duid(uuid: str) -> bytes:
    """A DUID made of a machine's UUID (DUID-UUID, RFC 6355); empty if the text is none."""
    digits = uuid.replace("-", "")
    if len(digits) != 32 or digits.strip("0123456789abcdefABCDEF"):
        return b""
    return struct.pack(">H", 4) + bytes.fromhex(digits)


def parse_message(data: bytes) -> tuple[int, int, list[tuple[int, bytes]]]:
    """Type, transaction and options of a client's or server's message; raises `MalformedMessage`."""
    if len(data) < HEAD.size:
        raise MalformedMessage(f"only {len(data)} bytes")
    kind, transaction = HEAD.unpack_from(data)
    return kind, int.from_bytes(transaction, "big"), list(iterate_options(data[HEAD.size :]))


def iterate_options(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Codes and values in their order; raises `MalformedMessage` for one that reaches beyond the end."""
    offset = 0
    while offset < len(data):
        if offset + OPTION.size > len(data):
            raise MalformedMessage("an option without a length")
        code, length = OPTION.unpack_from(data, offset)
        offset += OPTION.size
        if offset + length > len(data):
            raise MalformedMessage(f"option {code} reaches beyond the end")
        yield code, data[offset : offset + length]
        offset += length


def parse_reply(data: bytes) -> Reply:
    """Read a server's message; raises `MalformedMessage`. Of an option that is there twice the first one counts."""
    kind, transaction, listed = parse_message(data)
    if kind not in (ADVERTISE, REPLY):
        raise MalformedMessage(f"a client has no use for messages of type {kind}")
    options = dict(reversed(listed))
    client, server = options.get(CLIENT_ID, b""), options.get(SERVER_ID, b"")
    if not client or not 2 < len(server) <= LONGEST_DUID:
        raise MalformedMessage("it does not say who it is from or for")
    limit = options.get(SOL_MAX_RT, b"")
    return Reply(
        type=kind,
        transaction=transaction,
        client=client,
        server=server,
        preference=_read_byte(options.get(PREFERENCE, b"")),
        rapid=RAPID_COMMIT in options,
        status=read_status(options.get(STATUS_CODE)),
        associations=tuple(read_association(value) for code, value in listed if code == IA_NA),
        dns_servers=read_addresses(options.get(DNS_SERVERS, b"")),
        search_domains=read_search(options.get(DOMAIN_LIST, b"")),
        time_servers=read_time_servers(options.get(NTP_SERVER, b"")) or read_addresses(options.get(SNTP_SERVERS, b"")),
        hostname=read_name(options.get(CLIENT_FQDN, b"")),
        solicit_limit=int.from_bytes(limit, "big") if len(limit) == 4 else 0,
    )


def read_association(value: bytes) -> Association:
    """An IA_NA; raises `MalformedMessage`. Addresses that cannot be used, or that the server refuses, are left out."""
    if len(value) < ASSOCIATION.size:
        raise MalformedMessage("an association without its times")
    number, renewal, rebinding = ASSOCIATION.unpack_from(value)
    listed = list(iterate_options(value[ASSOCIATION.size :]))
    found = (read_leased(inside) for code, inside in listed if code == IA_ADDRESS)
    status = read_status(dict(reversed(listed)).get(STATUS_CODE))
    return Association(number, renewal, rebinding, tuple(each for each in found if each is not None), status)


def read_leased(value: bytes) -> LeasedAddress | None:
    """An address of an association, or None for one without use; raises `MalformedMessage`."""
    if len(value) < LEASED.size:
        raise MalformedMessage("an address without its lifetimes")
    packed, preferred, valid = LEASED.unpack_from(value)
    status = read_status(dict(iterate_options(value[LEASED.size :])).get(STATUS_CODE))
    if status.code != SUCCESS or preferred > valid or not _is_global(packed):
        return None
    return LeasedAddress(inet_ntop(AF_INET6, packed), preferred, valid)


def read_status(value: bytes | None) -> Status:
    """A status; none at all is success (RFC 8415, 21.13)."""
    if value is None:
        return Status()
    if len(value) < 2:
        return Status(FAILED)
    text = value[2:].decode("utf-8", "replace")
    return Status(int.from_bytes(value[:2], "big"), "".join(each for each in text if each.isprintable())[:200])


def read_addresses(value: bytes) -> tuple[str, ...]:
    """Addresses, sixteen bytes each; none if the size does not fit."""
    if len(value) % 16:
        return ()
    packed = (value[at : at + 16] for at in range(0, len(value), 16))
    return tuple(inet_ntop(AF_INET6, each) for each in packed if _is_global(each))


def read_time_servers(value: bytes) -> tuple[str, ...]:
    """Addresses and names of an NTP option; none if it is broken."""
    found: list[str] = []
    try:
        for code, inside in iterate_options(value):
            if code == NTP_ADDRESS:
                found += read_addresses(inside)
            elif code == NTP_NAME:
                found += read_search(inside)[:1]
    except MalformedMessage:
        return ()
    return tuple(found)


def read_name(value: bytes) -> str:
    """A host name behind its flags, whole or a label only; "" if it is none."""
    packed = value[1:]
    names = read_search(packed if packed.endswith(b"\0") else packed + b"\0")
    return read_domain(names[0].encode("ascii", "replace")) if len(names) == 1 else ""


def _read_byte(value: bytes) -> int:
    return value[0] if len(value) == 1 else 0


def _is_global(packed: bytes) -> bool:
    """Whether it can be a host's address beyond its link: no group (ff00::/8), no fe80::/10, and nothing of ::/8, in
    which are "none", the loopback and addresses of IPv4 (RFC 4291, 2.4).
    """
    return packed[0] not in (0, 0xFF) and not (packed[0] == 0xFE and packed[1] & 0xC0 == 0x80)

"""The node's packet filter in the kernel: chains become messages of nf_tables, and replace a table in one transaction.

A kernel rule is a list of *expressions* that run one after another: load something of the packet into a register,
compare the register, give a verdict; the first comparison that fails ends the rule. So a rule here that names several
subnets or ranges of ports is several rules there. Numbers: include/uapi/linux/netfilter/nf_tables.h; all of them go in
network byte order, unlike elsewhere in netlink.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from dozen.linux.netlink import NLM_F_CREATE, NLM_F_REQUEST, Message, Netlink, NetlinkError, pack_attributes
from dozen.machinery.addresses import INET4, INET6, pack_prefix
from dozen.machinery.effects.firewall import SetFirewall
from dozen.machinery.plan import Effect, Temporary
from dozen.machinery.resources.enums import number_of
from dozen.machinery.resources.firewall import AddressMatch, Layer4Match, NfTablesChainSpec, NfTablesRule, PortMatch

NETLINK_NETFILTER = 12
NFNL_SUBSYS_NFTABLES = 10
BATCH_BEGIN, BATCH_END = 16, 17
NEWTABLE, DELTABLE, NEWCHAIN, NEWRULE = 0, 2, 3, 6
NLM_F_APPEND = 0x800
NFPROTO_INET = 1
HEAD = struct.Struct(">BBH")  # struct nfgenmsg: family, version, resource
NESTED = 0x8000
TABLE = "dozen"

TABLE_NAME = 1
CHAIN_TABLE, CHAIN_NAME, CHAIN_HOOK, CHAIN_POLICY, CHAIN_TYPE = 1, 3, 4, 5, 7
HOOK_NUMBER, HOOK_PRIORITY = 1, 2
RULE_TABLE, RULE_CHAIN, RULE_EXPRESSIONS = 1, 2, 4
EXPRESSION_NAME, EXPRESSION_DATA, LIST_ELEMENT = 1, 2, 1
VALUE, VERDICT, VERDICT_CODE = 1, 2, 1
REGISTER_VERDICT, REGISTER = 0, 1
EQUAL, NOT_EQUAL, AT_MOST, AT_LEAST = 0, 1, 3, 5
META_IIFNAME, META_NFPROTO, META_L4PROTO = 6, 15, 16
NETWORK_HEADER, TRANSPORT_HEADER = 1, 2
VERDICTS = {"drop": 0, "accept": 1}  # NF_DROP, NF_ACCEPT
NAME_SIZE = 16  # IFNAMSIZ

Expression = bytes
FAMILIES = {INET4: 2, INET6: 10}  # NFPROTO_IPV4, NFPROTO_IPV6
# Offset of source and destination address in the head of a packet, and their size.
SOURCES = {INET4: (12, 4), INET6: (8, 16)}
DESTINATIONS = {INET4: (16, 4), INET6: (24, 16)}


def run(effect: Effect) -> None:
    """Carry out `SetFirewall`; raises `Temporary` with the kernel's reason."""
    assert isinstance(effect, SetFirewall)
    try:
        with Netlink(NETLINK_NETFILTER) as netlink:
            netlink.transact(list(plan_messages(effect)))
    except (OSError, ValueError) as error:
        raise Temporary(f"{effect}: {error.strerror if isinstance(error, NetlinkError) else error}") from error


def plan_messages(effect: SetFirewall) -> Iterator[Message]:
    """One transaction: the table goes, if it is there, and comes again."""
    yield Message(BATCH_BEGIN, NLM_F_REQUEST, 0, 0, HEAD.pack(0, 0, NFNL_SUBSYS_NFTABLES))
    table = [(TABLE_NAME, TABLE.encode() + b"\0")]
    yield _message(NEWTABLE, table, NLM_F_CREATE)  # so that the next one finds it
    yield _message(DELTABLE, table, 0)
    if effect.chains:
        yield _message(NEWTABLE, table, NLM_F_CREATE)
    for name, chain in effect.chains:
        yield _message(NEWCHAIN, pack_chain(name, chain), NLM_F_CREATE)
    for name, chain in effect.chains:
        for rule in chain.rules:
            for expressions in compile_rule(rule):
                yield _message(NEWRULE, pack_rule(name, expressions), NLM_F_CREATE | NLM_F_APPEND)
    yield Message(BATCH_END, NLM_F_REQUEST, 0, 0, HEAD.pack(0, 0, NFNL_SUBSYS_NFTABLES))


def _message(kind: int, attributes: Iterable[tuple[int, bytes]], flags: int) -> Message:
    payload = HEAD.pack(NFPROTO_INET, 0, 0) + pack_attributes(attributes)
    return Message(NFNL_SUBSYS_NFTABLES << 8 | kind, NLM_F_REQUEST | flags, 0, 0, payload)


def pack_chain(name: str, chain: NfTablesChainSpec) -> list[tuple[int, bytes]]:
    """A chain without its rules."""
    hook = [
        (HOOK_NUMBER, _number(number_of("NfTablesChainHook", chain.hook))),
        (HOOK_PRIORITY, _number(number_of("NfTablesChainPriority", chain.priority) & 0xFFFFFFFF)),
    ]
    return [
        (CHAIN_TABLE, TABLE.encode() + b"\0"),
        (CHAIN_NAME, name.encode() + b"\0"),
        (CHAIN_HOOK | NESTED, pack_attributes(hook)),
        (CHAIN_POLICY, _number(VERDICTS[chain.policy])),
        (CHAIN_TYPE, chain.type.encode() + b"\0"),
    ]


def pack_rule(chain: str, expressions: Sequence[Expression]) -> list[tuple[int, bytes]]:
    """A rule at the end of a chain."""
    listed = pack_attributes([(LIST_ELEMENT | NESTED, expression) for expression in expressions])
    return [
        (RULE_TABLE, TABLE.encode() + b"\0"),
        (RULE_CHAIN, chain.encode() + b"\0"),
        (RULE_EXPRESSIONS | NESTED, listed),
    ]


def compile_rule(rule: NfTablesRule) -> Iterator[list[Expression]]:
    """The kernel's rules for one of ours: every combination of what it lists. Raises ValueError for what is no rule."""
    choices = [
        _compile_links(rule),
        _compile_states(rule),
        _compile_addresses(rule.match_source_address, SOURCES),
        _compile_addresses(rule.match_destination_address, DESTINATIONS),
        _compile_protocol(rule.match_layer4),
    ]
    for parts in product(*choices):
        expressions = [expression for part in parts for expression in part]
        if rule.verdict:
            expressions.append(_verdict(rule.verdict))
        yield expressions


def _compile_links(rule: NfTablesRule) -> list[list[Expression]]:
    match = rule.match_i_if_name
    if match is None:
        return [[]]
    names = [name.encode().ljust(NAME_SIZE, b"\0") for name in match.interface_name]
    load = _load("meta", META_IIFNAME)
    if match.operator == "!=":
        return [[load, *(_compare(NOT_EQUAL, name) for name in names)]]
    return [[load, _compare(EQUAL, name)] for name in names]


def _compile_states(rule: NfTablesRule) -> list[list[Expression]]:
    if rule.match_conntrack_state is None:
        return [[]]
    bits = 0
    for state in rule.match_conntrack_state.states:
        bits |= number_of("ConntrackState", state)
    # the state is a number in the machine's byte order, unlike what is in packets
    mask = struct.pack("=I", bits)
    return [[_load("ct", 0), _mask(mask), _compare(NOT_EQUAL, bytes(4))]]


def _compile_addresses(match: AddressMatch | None, places: dict[int, tuple[int, int]]) -> list[list[Expression]]:
    """Ways in which an address fits: in one of the subnets but in none of the excluded, or the opposite of that."""
    if match is None:
        return [[]]
    ways = []
    for family in (INET4, INET6):
        included = [_pack_subnet(text) for text in match.include_subnets if pack_prefix(text)[0] == family]
        excluded = [_pack_subnet(text) for text in match.exclude_subnets if pack_prefix(text)[0] == family]
        outside = [each for subnet in excluded for each in _within(places[family], subnet, NOT_EQUAL)]
        first = [_load("meta", META_NFPROTO), _compare(EQUAL, bytes([FAMILIES[family]]))]
        if not match.invert:
            inside = [[*first, *_within(places[family], subnet, EQUAL), *outside] for subnet in included]
            ways += inside if match.include_subnets else [[*first, *outside]]
            continue
        if match.include_subnets:
            ways.append([*first, *(each for subnet in included for each in _within(places[family], subnet, NOT_EQUAL))])
        ways += [[*first, *_within(places[family], subnet, EQUAL)] for subnet in excluded]
    return ways


def _pack_subnet(text: str) -> tuple[bytes, bytes]:
    """The address of a network, and the mask of its length."""
    _, address, length = pack_prefix(text)
    bits = len(address) * 8
    mask = ((1 << length) - 1) << (bits - length)
    network = int.from_bytes(address, "big") & mask
    return network.to_bytes(len(address), "big"), mask.to_bytes(len(address), "big")


def _within(place: tuple[int, int], subnet: tuple[bytes, bytes], operator: int) -> list[Expression]:
    network, mask = subnet
    return [_load_packet(NETWORK_HEADER, *place), _mask(mask), _compare(operator, network)]


def _compile_protocol(match: Layer4Match | None) -> list[list[Expression]]:
    if match is None:
        return [[]]
    first = [_load("meta", META_L4PROTO), _compare(EQUAL, bytes([number_of("Protocol", match.protocol)]))]
    sources = _compile_ports(match.match_source_port, 0)
    destinations = _compile_ports(match.match_destination_port, 2)
    return [[*first, *source, *destination] for source, destination in product(sources, destinations)]


def _compile_ports(match: PortMatch | None, offset: int) -> list[list[Expression]]:
    if match is None or not match.ranges:
        return [[]]
    load = _load_packet(TRANSPORT_HEADER, offset, 2)
    return [
        [load, _compare(AT_LEAST, each.lo.to_bytes(2, "big")), _compare(AT_MOST, each.hi.to_bytes(2, "big"))]
        for each in match.ranges
    ]


def _expression(name: str, attributes: Iterable[tuple[int, bytes]]) -> Expression:
    data = pack_attributes(attributes)
    return pack_attributes([(EXPRESSION_NAME, name.encode() + b"\0"), (EXPRESSION_DATA | NESTED, data)])


def _load(name: str, key: int) -> Expression:
    """What is known of the packet, or of its connection, into the register."""
    return _expression(name, [(1, _number(REGISTER)), (2, _number(key))])


def _load_packet(base: int, offset: int, size: int) -> Expression:
    """Bytes of the packet itself into the register."""
    numbers = (REGISTER, base, offset, size)
    return _expression("payload", [(kind, _number(value)) for kind, value in enumerate(numbers, 1)])


def _mask(mask: bytes) -> Expression:
    """Keep these bits of the register."""
    nothing = pack_attributes([(VALUE, bytes(len(mask)))])
    attributes = [(1, _number(REGISTER)), (2, _number(REGISTER)), (3, _number(len(mask)))]
    return _expression("bitwise", [*attributes, (4 | NESTED, pack_attributes([(VALUE, mask)])), (5 | NESTED, nothing)])


def _compare(operator: int, value: bytes) -> Expression:
    """Go on only if the register compares so."""
    data = pack_attributes([(VALUE, value)])
    return _expression("cmp", [(1, _number(REGISTER)), (2, _number(operator)), (3 | NESTED, data)])


def _verdict(name: str) -> Expression:
    code = pack_attributes([(VERDICT_CODE, _number(VERDICTS[name]))])
    data = pack_attributes([(VERDICT | NESTED, code)])
    return _expression("immediate", [(1, _number(REGISTER_VERDICT)), (2 | NESTED, data)])


def _number(value: int) -> bytes:
    return value.to_bytes(4, "big")

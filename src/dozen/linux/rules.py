"""Routing rules: which table of routes the kernel asks for which packets (fib_rules.h, RTM_GETRULE)."""

from __future__ import annotations

import errno
import struct
import sys

import msgspec

from dozen.linux.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    MalformedMessage,
    Message,
    Netlink,
    NetlinkError,
    pack_attributes,
    unpack_attributes,
    unpack_text,
    unpack_u32,
)
from dozen.linux.rtnetlink import format_address
from dozen.machinery.addresses import INET4, INET6, pack_prefix
from dozen.machinery.effects.routing import AddRule, RemoveRule
from dozen.machinery.plan import Effect, Temporary
from dozen.machinery.resources.enums import number_of
from dozen.machinery.resources.routing import RoutingRuleSpec

RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34
GROUPS = (8, 19)  # RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE
# family, length of dst, length of src, type of service, table, two reserved, action, flags
HEADER = struct.Struct("=BBBBBBBBI")
FRA_DST, FRA_SRC, FRA_IIFNAME, FRA_PRIORITY, FRA_FWMARK = 1, 2, 3, 6, 10
FRA_TABLE, FRA_FWMASK, FRA_OIFNAME = 15, 16, 17


class Rule(msgspec.Struct, frozen=True):
    """One rule; ``source`` and ``destination`` are prefixes, empty for all."""

    family: int
    priority: int = 0
    table: int = 0
    action: int = 0
    source: str = ""
    destination: str = ""
    incoming: str = ""
    outgoing: str = ""
    mark: int = 0
    mask: int = 0


def parse_rule(message: Message) -> Rule:
    """A rule from its message; raises `MalformedMessage`."""
    if len(message.payload) < HEADER.size:
        raise MalformedMessage(f"a rule of only {len(message.payload)} bytes")
    family, to_length, from_length, _, table, _, _, action, _ = HEADER.unpack_from(message.payload)
    attributes = unpack_attributes(message.payload[HEADER.size :])

    def prefix(kind: int, length: int) -> str:
        return f"{format_address(family, attributes[kind])}/{length}" if kind in attributes else ""

    return Rule(
        family=family,
        priority=unpack_u32(attributes, FRA_PRIORITY),
        table=unpack_u32(attributes, FRA_TABLE, table),
        action=action,
        source=prefix(FRA_SRC, from_length),
        destination=prefix(FRA_DST, to_length),
        incoming=unpack_text(attributes, FRA_IIFNAME),
        outgoing=unpack_text(attributes, FRA_OIFNAME),
        mark=unpack_u32(attributes, FRA_FWMARK),
        mask=unpack_u32(attributes, FRA_FWMASK),
    )


def pack_rule(rule: Rule) -> bytes:
    """The payload of a NEWRULE or DELRULE."""
    lengths, attributes = {FRA_DST: 0, FRA_SRC: 0}, []
    for kind, text in ((FRA_DST, rule.destination), (FRA_SRC, rule.source)):
        if text:
            _, data, lengths[kind] = pack_prefix(text)
            attributes.append((kind, data))
    for kind, name in ((FRA_IIFNAME, rule.incoming), (FRA_OIFNAME, rule.outgoing)):
        if name:
            attributes.append((kind, name.encode() + b"\0"))
    numbers = [(FRA_PRIORITY, rule.priority), (FRA_TABLE, rule.table)]
    numbers += [(FRA_FWMARK, rule.mark), (FRA_FWMASK, rule.mask)] if rule.mark or rule.mask else []
    attributes += [(kind, number.to_bytes(4, sys.byteorder)) for kind, number in numbers]
    table = rule.table if rule.table < 256 else 0
    head = HEADER.pack(rule.family, lengths[FRA_DST], lengths[FRA_SRC], 0, table, 0, 0, rule.action, 0)
    return head + pack_attributes(attributes)


async def run(effect: Effect) -> None:
    """Carry out one effect of `dozen.machinery.effects.routing`; raises `Temporary`."""
    assert isinstance(effect, AddRule | RemoveRule)
    adding = isinstance(effect, AddRule)
    kind, flags, fine = (
        (RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, errno.EEXIST) if adding else (RTM_DELRULE, 0, errno.ENOENT)
    )
    try:
        with Netlink() as netlink:
            netlink.request(kind, pack_rule(read_spec(effect.rule)), flags)
    except NetlinkError as error:
        if error.errno != fine:
            raise Temporary(f"{effect}: {error.strerror}") from error


def read_spec(spec: RoutingRuleSpec) -> Rule:
    """A rule with numbers for names."""
    return Rule(
        family=number_of("Family", spec.family),
        priority=spec.priority,
        table=number_of("RoutingTable", spec.table),
        action=number_of("RoutingRuleAction", spec.action),
        source=spec.src,
        destination=spec.dst,
        incoming=spec.iif_name,
        outgoing=spec.oif_name,
        mark=spec.fw_mark,
        mask=spec.fw_mask,
    )


def list_rules() -> list[Rule]:
    """Every rule of both families, in the order in which the kernel asks them; a kernel may be without IPv6."""
    found: list[Rule] = []
    with Netlink() as netlink:
        for family in (INET4, INET6):
            try:
                messages = netlink.dump(RTM_GETRULE, HEADER.pack(family, 0, 0, 0, 0, 0, 0, 0, 0))
            except NetlinkError as error:
                if error.errno == errno.EAFNOSUPPORT:
                    continue
                raise
            found += [parse_rule(message) for message in messages]
    return found


class RuleChanges:
    """Hears of every change. Open it before listing, so that nothing happens unseen between the two."""

    def __init__(self) -> None:
        self._netlink = Netlink(groups=GROUPS)

    def close(self) -> None:
        self._netlink.close()

    async def wait(self) -> None:
        """Until something changed; raises `Overrun` when that was so much that some of it was lost."""
        await self._netlink.receive()

"""What the kernel tells of links, and what a configuration has it do with them, with rules and with the firewall."""

from __future__ import annotations

import struct

from dozen.linux import ethtool, firewall, linkkinds, netlink, rtnetlink, rules, wireguard
from dozen.linux.ethernet import pack_settings
from dozen.machinery.config import ConfigError, load
from dozen.machinery.config.effective import find_documents
from dozen.machinery.effects.firewall import SetFirewall
from dozen.machinery.resources.link import BondMaster, LinkSpec, LinkStatusSpec, Wireguard, WireguardPeer
from dozen.machinery.resources.settings import NetworkSettings
from dozen.node.controllers.network import logical
from dozen.node.controllers.network.ethernet import read_document
from dozen.node.controllers.network.firewall import plan_ingress, plan_prerouting
from dozen.node.controllers.network.rules import read_rule
from dozen.node.controllers.settings import network_settings
from fuzz import identity
from fuzz.target import Target

ASKS_FOR_SIZE = struct.pack("=I", ethtool.GSSET_INFO)
KINDS = ("vlan", "bridge", "bond", "vrf", "veth", "dummy")
KEY = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="


def kind_data(data: bytes) -> None:
    """What the driver of a link says, for each kind: the first byte says of which."""
    kind = KINDS[data[0] % len(KINDS)] if data else ""
    link = rtnetlink.Link(1, "a", 1, 0, kind=kind, data=data[1:], parent_index=2)
    found = linkkinds.describe(link, lambda number: f"link{number}")
    if isinstance(bond := found.get("bond_master"), BondMaster):
        linkkinds.pack_bond(BondMaster(), bond, lambda name: 1)


def tunnel(data: bytes) -> None:
    """A WireGuard link, told in several messages."""
    wireguard.unpack_device(netlink.unpack_attributes(part) for part in data.split(b"\xfe\xfe\xfe"))


def driver(data: bytes) -> None:
    """What a driver of Ethernet answers: as many bytes as it was asked with, whatever is in them."""
    said = memoryview(data)

    def ask(request: bytes) -> bytes:
        nonlocal said
        part, said = said[: len(request) - 4], said[len(request) - 4 :]
        answer = request[:4] + bytes(part).ljust(len(request) - 4, b"\0")
        # The kernel knows how many features it has: their number is no one else's to choose.
        return answer if request[:4] != ASKS_FOR_SIZE else answer[:16] + bytes((answer[16], 0, 0, 0))

    ethtool.read_details(ask)


def refusal(data: bytes) -> None:
    """An answer to a request, which the kernel explains."""
    for message in netlink.unpack_messages(data):
        netlink.raise_error(message)


def settings(data: bytes) -> NetworkSettings:
    """What documents say, which stand beside a machine's first one."""
    given = load(f"{MACHINE}---\n{data.decode(errors='replace')}")
    return network_settings(given, NetworkSettings())


def made_links(data: bytes) -> None:
    """Links that a configuration describes, in the kernel's terms."""
    for entry in settings(data).links:
        if entry.logical is not None:
            spec = logical.complete(LinkSpec(name=entry.name), entry, None, {})
            linkkinds.pack_data(spec, lambda name: 1, LinkStatusSpec())
            if spec.wireguard is not None:
                list(wireguard.pack_device(entry.name, spec.wireguard, [None] * len(spec.wireguard.peers)))


def drivers(data: bytes) -> None:
    """What drivers of Ethernet links are to do, in the kernel's terms."""
    for document in find_documents(load(data.decode(errors="replace")), "EthernetConfig"):
        list(pack_settings("eth0", read_document(document)))


def filters(data: bytes) -> None:
    """Rules of routing and of the firewall, as messages for the kernel."""
    found = settings(data)
    for each in found.rules:
        for rule in read_rule(each):
            rules.pack_rule(rules.read_spec(rule))
    if found.firewall is not None:
        chains = (("a", plan_ingress(found.firewall)), ("b", plan_prerouting(found.firewall, ("10.0.0.1/24",))))
        for message in firewall.plan_messages(SetFirewall(chains)):
            netlink.pack_message(message)


MACHINE = f"""version: v1alpha1
machine: {{type: worker, token: 0289k7.b28rnd2k9b5sn7sm, ca: {{crt: {identity.CERTIFICATE_BASE64}}}}}
cluster: {{controlPlane: {{endpoint: "https://10.0.0.1:6443"}}}}
"""
BOND = BondMaster(mode="802.3ad", miimon=100, arp_ip_targets=("10.0.0.1",), ns_ip6_targets=("fe80::1",))
PEER = WireguardPeer(public_key=KEY, endpoint="10.0.0.2:51820", allowed_ips=("10.1.0.0/16", "fd00::/8"))
TUNNEL = next(wireguard.pack_device("wg0", Wireguard(private_key=KEY, peers=(PEER,)), [("fe80::1", 51820)]))
REFUSED = netlink.pack_message(
    netlink.Message(
        netlink.NLMSG_ERROR,
        netlink.NLM_F_CAPPED | netlink.NLM_F_ACK_TLVS,
        1,
        0,
        struct.pack("=i", -17) + bytes(16) + netlink.pack_attributes([(netlink.NLMSGERR_ATTR_MSG, b"no\0")]),
    )
)
ACCEPTED = netlink.pack_message(netlink.Message(netlink.NLMSG_ERROR, 0, 1, 0, bytes(4)))
LINKS = b"""apiVersion: v1alpha1
kind: BondConfig
name: bond0
links: [eth0, eth1]
bondMode: 802.3ad
miimon: 100
---
apiVersion: v1alpha1
kind: VLANConfig
name: bond0.5
parent: bond0
vlanID: 5
---
apiVersion: v1alpha1
kind: WireguardConfig
name: wg0
privateKey: %s
peers: [{publicKey: %s, endpoint: "10.0.0.2:51820", allowedIPs: [10.1.0.0/16]}]
""" % (KEY.encode(), KEY.encode())
DRIVERS = b"""apiVersion: v1alpha1
kind: EthernetConfig
name: eth0
features: {tx-lro: false}
rings: {rx: 5, tx-push: true, tcp-data-split: true}
channels: {combined: 2}
wakeOnLan: [magic, arp]
"""
FILTERS = b"""apiVersion: v1alpha1
kind: NetworkDefaultActionConfig
ingress: block
---
apiVersion: v1alpha1
kind: NetworkRuleConfig
name: a
portSelector: {ports: [22, 80-90], protocol: tcp}
ingress: [{subnet: 10.0.0.0/8, except: 10.1.0.0/16}, {subnet: "fd00::/8"}]
---
apiVersion: v1alpha1
kind: RoutingRuleConfig
name: "1000"
src: 10.0.0.0/8
table: 100
fwMark: 5
"""

TARGETS = (
    Target(
        "link-kinds",
        kind_data,
        (netlink.MalformedMessage,),
        [
            b"\0" + netlink.pack_attributes([(1, b"\5\0"), (5, b"\x81\0")]),
            b"\1" + netlink.pack_attributes([(5, b"\1\0\0\0"), (7, b"\1")]),
            b"\2" + linkkinds.pack_bond(BOND, BondMaster(), lambda name: 3),
            b"\3" + netlink.pack_attributes([(1, b"\xfe\0\0\0")]),
        ],
    ),
    Target("wireguard", tunnel, (netlink.MalformedMessage,), [netlink.pack_attributes(TUNNEL)]),
    Target("ethernet", driver, (OSError,), [bytes(range(64)) + b"rx-gro\0tx-lro\0" * 40]),
    Target("netlink-refusal", refusal, (netlink.NetlinkError, netlink.MalformedMessage), [ACCEPTED, REFUSED]),
    Target("made-links", made_links, (ConfigError,), [LINKS]),
    Target("drivers", drivers, (ConfigError,), [DRIVERS]),
    Target("filters", filters, (ConfigError,), [FILTERS]),
)

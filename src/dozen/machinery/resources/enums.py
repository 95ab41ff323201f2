"""Names of numbers: how enumerations and flags that resources hold as text are numbered in protobuf.

Most numbers are the kernel's (if_arp.h, rtnetlink.h, if.h, if_addr.h, ethtool.h). A name that is not listed may be
given as a decimal number, which is how unnamed routing tables are written.
"""

from __future__ import annotations

from collections.abc import Mapping


def _numbered(names: str, start: int = 0) -> dict[str, int]:
    return {name.replace("_", " "): number for number, name in enumerate(names.split(), start)}


ENUMS: Mapping[str, Mapping[str, int]] = {
    "ADLACPActive": _numbered("off on"),
    "ADSelect": _numbered("stable bandwidth count"),
    "ARPAllTargets": _numbered("any all"),
    "ARPValidate": _numbered("none active backup all filter filter-active filter-backup"),
    "AddressSortAlgorithm": _numbered("v1 v2"),
    "BondMode": _numbered("balance-rr active-backup balance-xor broadcast 802.3ad balance-tlb balance-alb"),
    "BondXmitHashPolicy": _numbered("layer2 layer3+4 layer2+3 encap2+3 encap3+4"),
    "ClientIdentifier": _numbered("none mac duid"),
    "ConfigLayer": _numbered("default cmdline platform operator configuration"),
    "ConntrackState": {"invalid": 1, "established": 2, "related": 4, "new": 8},
    "DNSProtocol": _numbered("default dns-over-tls dns-over-http"),
    "Duplex": {"Half": 0, "Full": 1, "Unknown": 255},
    "EncryptionProviderType": _numbered("none luks2"),
    "FIPSState": _numbered("disabled enabled strict"),
    "FSParameterType": _numbered("string boolean binary"),
    "FailOverMAC": _numbered("none active follow"),
    "Family": {"inet4": 2, "inet6": 10},
    "FilesystemType": _numbered("none xfs vfat ext4 iso9660 swap virtiofs btrfs"),
    "ImageCacheCopyStatus": _numbered("unknown skipped pending ready"),
    "ImageCacheStatus": _numbered("unknown disabled preparing ready"),
    "KernelModuleState": _numbered("live loading unloading builtin"),
    "KernelModuleType": _numbered("unknown builtin dynamic"),
    "LACPRate": _numbered("slow fast"),
    "LinkType": {
        "netrom": 0,
        "ether": 1,
        "infiniband": 32,
        "slip": 256,
        "can": 280,
        "ppp": 512,
        "hdlc": 513,
        "ipip": 768,
        "tunnel6": 769,
        "loopback": 772,
        "sit": 776,
        "ipgre": 778,
        "ieee80211": 801,
        "ip6gre": 823,
        "netlink": 824,
        "none": 65534,
        "void": 65535,
    },
    "MatchOperator": _numbered("== !="),
    "NfTablesChainHook": _numbered("prerouting input forward output postrouting"),
    "NfTablesChainPriority": {"raw": -300, "conntrack": -200, "mangle": -150, "nat-dest": -100, "filter": 0},
    "NfTablesVerdict": _numbered("drop accept"),
    "MachineStage": _numbered(
        "unknown booting installing maintenance running rebooting shutting_down resetting upgrading"
    ),
    "MachineType": _numbered("unknown init controlplane worker"),
    "OperationalState": _numbered("unknown notPresent down lowerLayerDown testing dormant up"),
    "Operator": _numbered("dhcp4 dhcp6 vip"),
    "Port": _numbered("TwistedPair AUI MII Fibre BNC DirectAttach") | {"None": 239, "Other": 255},
    "Protocol": {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58},
    "PrimaryReselect": _numbered("always better failure"),
    "RouteProtocol": {
        **_numbered("unspec redirect kernel boot static"),
        **_numbered("ra mrt zebra bird dnrouted xorp ntk dhcp mrtd keepalived", 9),
        "babel": 42,
        "openr": 99,
        "bgp": 186,
        "isis": 187,
        "ospf": 188,
        "rip": 189,
        "eigrp": 192,
    },
    "RouteType": _numbered(
        "unspec unicast local broadcast anycast multicast blackhole unreachable prohibit throw nat xresolve"
    ),
    "RoutingRuleAction": {"unspec": 0, "unicast": 1, "blackhole": 6, "unreachable": 7, "prohibit": 8},
    "RoutingTable": {"unspec": 0, "default": 253, "main": 254, "local": 255},
    "SELinuxState": _numbered("disabled permissive enforcing"),
    "Scope": {"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255},
    "Sensitivity": _numbered("non-sensitive sensitive"),
    "WOLMode": {
        "phy": 1,
        "unicast": 2,
        "multicast": 4,
        "broadcast": 8,
        "arp": 16,
        "magic": 32,
        "magicsecure": 64,
        "filter": 128,
    },
    "VLANProtocol": {"802.1q": 0x8100, "802.1ad": 0x88A8},
    "VolumePhase": _numbered("waiting failed missing located provisioned prepared ready closed"),
    "VolumeType": _numbered("partition disk tmpfs directory symlink overlay external"),
}


def _bits(names: str) -> dict[str, int]:
    return {name: 1 << bit for bit, name in enumerate(names.split()) if name != "-"}


FLAGS: Mapping[str, Mapping[str, int]] = {
    "AddressFlags": _bits(
        "temporary nodad optimistic dadfailed home deprecated tentative permanent mngtmpaddr noprefixroute mcautojoin"
        " stableprivacy"
    ),
    "LinkFlags": _bits(
        "UP BROADCAST DEBUG LOOPBACK POINTOPOINT NOTRAILERS RUNNING NOARP PROMISC ALLMULTI MASTER SLAVE MULTICAST"
        " PORTSEL AUTOMEDIA DYNAMIC LOWER_UP DORMANT ECHO"
    ),
    "RouteFlags": _bits(
        "dead pervasive onlink offload linkdown unresolved trap - notify cloned equalize prefix lookuptable fibmatch"
        " rtoffload rttrap"
    ),
}


def number_of(enum: str, text: str) -> int:
    """The number of a name, or of a decimal number written out; empty is 0. Raises ValueError for anything else."""
    number = ENUMS[enum].get(text)
    if number is None:
        try:
            number = int(text or "0")
        except ValueError:
            raise ValueError(f"{enum} has no value named {text!r}") from None
    return number


def name_of(enum: str, number: int) -> str:
    """The name of a number; one without a name is written out."""
    names = _names.get(enum)
    if names is None:
        names = _names[enum] = {known: name for name, known in ENUMS[enum].items()}
    return names.get(number) or str(number)


_names: dict[str, dict[int, str]] = {}


def flags_of(names: str, text: str) -> int:
    """The bits of comma-separated names; unnamed bits may be given as a number. Raises ValueError for anything else."""
    bits, known = 0, FLAGS[names]
    for name in text.split(","):
        bit = known.get(name)
        if bit is None:
            try:
                bit = int(name or "0", 0)
            except ValueError:
                raise ValueError(f"{names} has no flag named {name!r}") from None
        bits |= bit
    return bits


def flags_text(names: str, bits: int) -> str:
    """The names of the bits that are set, joined by commas; bits without a name as one number in hexadecimal."""
    found = []
    for name, bit in FLAGS[names].items():
        if bits & bit:
            found.append(name)
            bits &= ~bit
    if bits:
        found.append(hex(bits))
    return ",".join(found)

"""What the kernel, the firmware, the local network and disks say."""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise

from dozen.compose.archive import SourceError, read_packages, read_release
from dozen.compose.bolt import Bucket, make_database
from dozen.compose.debfile import read_members
from dozen.compose.elf import read_elf
from dozen.compose.errors import ComposeError
from dozen.linux import (
    block_probe,
    cgroups,
    dhcp,
    dhcp6,
    dhcp6_client,
    gpt,
    kmsg,
    meta,
    modules,
    mounts,
    netlink,
    ntp,
    processes,
    procfs,
    rtnetlink,
    rules,
    smbios,
    sockets,
    swaps,
    uevent,
)
from dozen.testing.bolt import read_database
from fuzz.target import CASES, Target, text

COOKIE = b"12345678"


def lease(data: bytes) -> None:
    reply = dhcp.parse_reply(data)
    granted = dhcp.read_lease(reply)
    assert granted.renewal < granted.rebinding <= granted.duration
    assert not any(sign in name for name in granted.search_domains for sign in "\n \t")


def lease6(data: bytes) -> None:
    """Answers of DHCPv6 servers, and what a client that asked makes of them."""
    client = dhcp6_client.Client(dhcp6.make_link_duid(b"\x52" * 6), 7, entropy=lambda size: b"\7" * size)
    client.start(0.0)
    client.expire(client.deadline)
    client.receive(data, "fe80::1", 2.0)
    client.expire(max(client.deadline, 2.0))
    found = dhcp6.parse_reply(data)
    assert all(each.preferred <= each.valid for one in found.associations for each in one.addresses)
    assert not any(sign in name for name in (*found.search_domains, found.hostname) for sign in "\n \t")


def time_answer(data: bytes) -> None:
    query = ntp.Query(lambda size: COOKIE[:size])
    data = data[:24] + COOKIE + data[24:]
    if query.answers(data):
        query.judge(data, 1.7e9, 1.7e9 + 0.1)


def netlink_messages(data: bytes) -> None:
    for message in netlink.unpack_messages(data):
        for read in (rtnetlink.parse_link, rtnetlink.parse_address, rtnetlink.parse_route, rules.parse_rule):
            try:
                read(message)
            except netlink.MalformedMessage:
                continue


def netlink_message(payload: bytes) -> bytes:
    return netlink.pack_message(netlink.Message(rtnetlink.RTM_NEWLINK, 0, 1, 0, payload))


def kernel_record(data: bytes) -> None:
    kmsg.format_record(kmsg.parse_record(data), 1.7e9)


def disk(data: bytes, sector_size: int = 512) -> None:
    """A small disk whose GPT headers have right checksums, so that what they say is looked at."""
    image = bytearray(data.ljust(64 * 512, b"\0"))
    for at in (512, len(image) // 512 * 512 - 512):
        if image[at : at + 8] == gpt.SIGNATURE:
            entries, count, size = struct.unpack_from("<QII", image, at + 72)
            body = bytes(image[entries * 512 : entries * 512 + min(count * size, len(image))])
            struct.pack_into("<I", image, at + 88, zlib.crc32(body))
            length = min(struct.unpack_from("<I", image, at + 12)[0], 512)
            image[at + 16 : at + 20] = bytes(4)
            struct.pack_into("<I", image, at + 16, zlib.crc32(image[at : at + length]))
    content = bytes(image)
    found = block_probe.probe(lambda offset, length: content[offset : offset + length], len(content), sector_size)
    if found.table is not None:
        assert all(0 <= part.first <= part.last < found.table.sectors for part in found.table.partitions)


def partitioned() -> bytes:
    numbers = iter(range(100))
    sectors = 8192
    table = gpt.lay_out(
        [gpt.Wanted("META", 1 << 20), gpt.Wanted("EPHEMERAL", None)],
        sectors * 512,
        512,
        lambda: gpt.guid_from_random(bytes((next(numbers),)) * 16),
        gpt.guid_from_random(bytes(16)),
    )
    # The primary half alone: its backup is four megabytes further on.
    image = bytearray(64 * 512)
    for at, content in gpt.render_table(table)[2:]:
        image[at : at + len(content)] = content
    return bytes(image)


def formatted(at: int, magic: bytes) -> bytes:
    return bytes(at) + magic + bytes(range(256)) * 4


def meta_slot(data: bytes) -> None:
    """The values with right checksums: whoever can write the partition can compute them."""
    head = meta.HEAD.pack(meta.MAGIC, meta.VERSION, 7, len(data), zlib.crc32(data))
    meta.choose_slot((data, head + meta.SUM.pack(zlib.crc32(head)) + data))


def firmware(data: bytes) -> None:
    table = smbios.parse_table(data)
    smbios.describe_system(table), smbios.list_processors(table), smbios.list_memory(table)
    smbios.find_config(table)


def firmware_config(data: bytes) -> None:
    smbios.decode_config(data.decode("latin-1"))


def structure(kind: int, fixed: bytes, *texts: bytes) -> bytes:
    return bytes((kind, 4 + len(fixed), 1, 0)) + fixed + b"".join(each + b"\0" for each in texts or (b"",)) + b"\0"


def proc(data: bytes) -> None:
    """Every file of /proc by every reader: all are lines of words."""
    said = text(data)
    procfs.parse_memory(said), procfs.parse_cpu_info(said), procfs.parse_mounts(said)
    mounts.parse_mountinfo(said), modules.parse_loaded(said), cgroups.parse_counters(said)
    list(sockets.parse_sockets("tcp", said)), modules.parse_dependencies(said), list(modules.parse_aliases(said))


def proc_numbers(data: bytes) -> None:
    """Those that refuse what is not of their form."""
    said = text(data)
    for read in (
        procfs.parse_load,
        swaps.parse_swaps,
        procfs.parse_system_stat,
        procfs.parse_disk_stats,
        procfs.parse_interfaces,
        lambda text: processes.parse_process_stat(text, 4096),
    ):
        try:
            read(said)
        except ValueError:
            continue


def package(data: bytes) -> None:
    list(read_members(data, "a package"))


def index(data: bytes) -> None:
    for read in (read_release, lambda said: list(read_packages(said, "an archive"))):
        try:
            read(data.decode(errors="replace"))
        except SourceError:
            continue


def database(data: bytes) -> None:
    """What the composer writes is what a reader finds, whatever keys and values there are."""
    root: dict[bytes, bytes | Bucket] = {}
    inner: dict[bytes, bytes | Bucket] = {}
    for key, value in pairwise(data.split(b"\0")):
        (inner if value[:1] > b"a" else root)[key] = value * (1 + len(key))
    root[b"bucket"] = Bucket(inner)
    try:
        made = make_database(root)
    except ValueError:
        assert any(not key or len(key) > 32768 for key in (*root, *inner))
        return
    found = read_database(made)
    assert found.pop(b"bucket") == inner
    root.pop(b"bucket")
    assert found == root


OFFER = (
    dhcp.FIXED.pack(2, 1, 6, 0, 7, 0, 0, bytes(4), b"\n\0\2\17", bytes(4), bytes(4), b"\x52" * 16, b"", b"")
    + dhcp.COOKIE
    + dhcp.pack_options(
        [
            (dhcp.MESSAGE_TYPE, b"\2"), (dhcp.SERVER_ID, b"\n\0\2\2"), (dhcp.LEASE_TIME, b"\0\0\16\20"),
            (dhcp.SUBNET_MASK, b"\xff\xff\xff\0"), (dhcp.ROUTER, b"\n\0\2\2"), (dhcp.OVERLOAD, b"\3"),
            (dhcp.DNS_SERVER, b"\n\0\2\3\10\10\10\10"), (dhcp.HOST_NAME, b"n1"), (dhcp.INTERFACE_MTU, b"\5\xdc"),
            (dhcp.DOMAIN_SEARCH, b"\3eng\5apple\3com\0\xc0\4"),
            (dhcp.CLASSLESS_ROUTES, b"\x18\n\1\2\n\0\2\2\0\n\0\2\2"),
        ]
    )
)  # fmt: skip
GRANT = dhcp6.pack_message(
    dhcp6.REPLY,
    0x070707,
    [
        (dhcp6.CLIENT_ID, dhcp6.make_link_duid(b"\x52" * 6)), (dhcp6.SERVER_ID, b"\0\4" + bytes(16)),
        (dhcp6.RAPID_COMMIT, b""), (dhcp6.PREFERENCE, b"\5"), (dhcp6.SOL_MAX_RT, b"\0\0\1\0"),
        (
            dhcp6.IA_NA,
            dhcp6.pack_association(dhcp6.Association(7, 9, 14, (dhcp6.LeasedAddress("fd77::50", 20, 30),)))
            + dhcp6.pack_options([(dhcp6.STATUS_CODE, b"\0\0fine")]),
        ),
        (dhcp6.DNS_SERVERS, b"\xfd" + bytes(14) + b"\x53"), (dhcp6.DOMAIN_LIST, b"\7example\3org\0"),
        (dhcp6.NTP_SERVER, b"\0\3\0\5\3ntp\0\0\1\0\x10\xfd" + bytes(15)), (dhcp6.CLIENT_FQDN, b"\1\5node7"),
    ],
)  # fmt: skip
LINK = rtnetlink.LINK_HEADER.pack(0, 1, 2, 0x41, 0) + netlink.pack_attributes(
    [
        (rtnetlink.IFLA_IFNAME, b"eth0\0"), (rtnetlink.IFLA_ADDRESS, b"\x52" * 6), (rtnetlink.IFLA_MTU, b"\0\5\0\0"),
        (rtnetlink.IFLA_LINKINFO, netlink.pack_attributes([(rtnetlink.IFLA_INFO_KIND, b"vlan\0")])),
        (rtnetlink.IFLA_PROP_LIST, netlink.pack_attributes([(rtnetlink.IFLA_ALT_IFNAME, b"en1\0")])),
    ]
)  # fmt: skip
ADDRESS = rtnetlink.pack_address_change(rtnetlink.Address(2, "10.0.2.15/24", 2, broadcast="10.0.2.255", valid=60))
ROUTE = rtnetlink.pack_route_change(
    rtnetlink.Route(2, "10.0.0.0/8", gateway="10.0.2.2", mtu=1400, next_hops=(rtnetlink.NextHop("10.0.2.2", 2, 1),))
)
MARKS = (
    (0, b"XFSB"), (1080, b"\x53\xef"), (1024, b"\xe2\xe1\xf5\xe0"), (0, b"hsqs"), (4086, b"SWAPSPACE2"),
    (512, b"LABELONE"), (536, b"LVM2 001"), (32769, b"CD001"), (0, b"LUKS\xba\xbe\0\2"), (0x10040, b"_BHRfS_M"),
    (82, b"FAT32   "), (510, b"\x55\xaa"),
)  # fmt: skip
ELF = (
    struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    + struct.pack("<IIQQQQQQ", 1, 6, 0, 0, 0, 248, 248, 8)
    + struct.pack("<IIQQQQQQ", 2, 6, 176, 176, 176, 64, 64, 8)
    + struct.pack("<QQQQQQQQ", 5, 240, 1, 1, 14, 1, 0, 0)
    + b"\0lib.so\0"
)
NTP_ANSWER = b"\x24\1\0\xe9" + bytes(20) + b"\xe9\1\0\0\0\0\0\1" * 2
DEBIAN_PACKAGE = b"!<arch>\ndebian-binary   0           0     0     100644  4         `\n2.0\n"

TARGETS = (
    Target("dhcp", lease, (dhcp.MalformedReply,), [OFFER]),
    Target("dhcp6", lease6, (dhcp6.MalformedMessage,), [GRANT, dhcp6.pack_message(2, 0x070707, ()) + GRANT[4:]]),
    Target("ntp", time_answer, (ntp.NoAnswer, ntp.KissOfDeath), [NTP_ANSWER]),
    Target(
        "netlink",
        netlink_messages,
        (netlink.MalformedMessage,), [netlink_message(each) for each in (LINK, ADDRESS, ROUTE)],
    ),
    Target(
        "uevent",
        uevent.parse_event,
        (uevent.MalformedEvent,),
        [
            b"add@/devices/a\0ACTION=add\0DEVPATH=/devices/a\0SUBSYSTEM=block\0MAJOR=8\0",
            uevent.UDEV_HEAD.pack(uevent.UDEV_PREFIX, 40, 40, 26) + bytes(16) + b"ACTION=add\0DEVPATH=/a\0SEQ\0",
        ],
    ),
    Target("kmsg", kernel_record, (ValueError,), [b"6,339,5140900,-;NET: Registered\\x09 \\xc3\\xa4\n SUBSYSTEM=a\n"]),
    Target("disk", disk, (), [partitioned(), *(formatted(*mark) for mark in MARKS)]),
    Target("meta", meta_slot, (), [b"\6\3\0\0\0abc\n\0\0\0\0"]),
    Target(
        "smbios",
        firmware,
        (smbios.ConfigUnreadable,),
        [
            structure(0, b"\1\2", b"BIOS", b"1.0"),
            structure(1, b"\1\2\3\4" + b"\x11" * 16 + b"\6\5\0", b"QEMU", b"Q35"),
            structure(11, b"\1", smbios.encode_config("a: 1").encode()),
            structure(4, b"\1" * 44, b"CPU") + structure(17, b"\xff\x7f" * 14, b"DIMM") + structure(127, b""),
        ],
    ),
    Target("smbios-config", firmware_config, (smbios.ConfigUnreadable,), [smbios.encode_config("a: 1")[13:].encode()]),
    Target(
        "proc",
        proc,
        (),
        [
            *(path.read_bytes() for path in sorted((CASES / "proc").iterdir())),
            b"22 1 8:1 / /a\\040b rw,relatime shared:1 - xfs /dev/vda1 rw\n",
            b"  sl\n 0: 0100007F:C350 00000000:0000 0A 0:0 00:0 0 0 0 12 1 0 100 0\n",
            b"a/b-c.ko.xz: a/d.ko\nalias pci:v* virtio\nxfs 100 1 a,b, Live 0x0\nusage_usec 12\n",
        ],
    ),
    Target(
        "proc-numbers",
        proc_numbers,
        (),
        [
            *(path.read_bytes() for path in sorted((CASES / "proc").iterdir())),
            b"0.5 1.2 2.0 3/200 4711\n",
            b"Filename Type Size Used Priority\n/dev/vda2\\0401 partition 1024 0 -2\n",
            b"12 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24\n",
        ],
    ),
    Target("elf", lambda data: read_elf(data, "a file"), (ComposeError,), [ELF]),
    Target("debian-package", package, (ComposeError,), [DEBIAN_PACKAGE]),
    Target(
        "debian-index",
        index,
        (),
        [
            b"Package: a\nVersion: 1\nFilename: a.deb\nSize: 3\nSHA256: ab\nDescription: x\n y\n\n",
            b"Origin: Debian\nDate: Sat, 15 Mar 2025 09:00:00 UTC\nSHA256:\n ab 3 main/binary-amd64/Packages.xz\n",
        ],
    ),
    Target("bolt", database, (), [b"key\0value\0other\0zvalue\0" + b"k\0" * 200]),
)  # fmt: skip

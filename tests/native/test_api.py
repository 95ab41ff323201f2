"""The API of a node in namespaces: identity, files, services, and who may do what."""

from __future__ import annotations

import gzip
import io
import os
import stat
import struct
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from dozen.machinery.config.clients import client_config
from dozen.machinery.pki import Keypair, new_ca
from dozen.provider.access import open_channel
from dozen.rpc.client import Channel
from dozen.rpc.status import Code, RpcError
from dozen.testing.live import LiveNode

BIN = ["containerd", "containerd-shim", "containerd-shim-runc-v2", "runc"]
FAMILIES = ("iptables", "ip6tables")
SUFFIXES = ("", "-legacy", "-legacy-restore", "-legacy-save", "-restore", "-save")
OTHERS = ("init", "dashboard", "poweroff", "shutdown", "wrapperd", "modprobe", "lvm", "dmsetup", "udevd", "mkfs.xfs")
FILTERS = ("xtables-legacy-multi", *(family + suffix for family in FAMILIES for suffix in SUFFIXES))
SBIN = sorted([*OTHERS, "xfs_repair", *FILTERS])
# What a running node writes to or gets from its kernel; the rest of the tree is the image.
VOLATILE = ("dev", "proc", "run", "sys", "system", "tmp", "var")
# setuid and setgid as Go's os.FileMode has them.
GO_SET_ID = 1 << 23 | 1 << 22


def test_a_node_in_namespaces_says_so(native: LiveNode) -> None:
    version = native.version()
    assert version.platform.mode == "container"
    assert version.version.os == "linux"
    assert version.version.arch == "amd64"
    assert version.version.tag.startswith("v")
    assert version.features.rbac


def test_bin_and_sbin_hold_the_twelve_and_their_links_only(native: LiveNode) -> None:
    assert native.names("/bin") == BIN
    assert native.names("/sbin") == SBIN
    assert len(BIN) + len(SBIN) == 28


def test_nothing_else_can_be_executed(native: LiveNode) -> None:
    """But the dynamic loader, which the kernel refuses without the bit (README, limits)."""
    image = [name for name in native.names("/") if name not in VOLATILE]
    assert {"bin", "sbin", "lib", "usr", "etc"} <= set(image)
    entries = [
        entry
        for name in image
        for entry in native.call("List", root=f"/{name}/", recurse=True, recursion_depth=0)
        if not (entry.is_dir or entry.link or entry.error)
    ]
    assert len(entries) > 500
    outside = {entry.name for entry in entries if entry.mode & 0o111 and not entry.name.startswith(("/bin/", "/sbin/"))}
    assert {name.rpartition("/")[2] for name in outside} == {"ld-linux-x86-64.so.2"}, outside
    assert not [entry.name for entry in entries if entry.mode & GO_SET_ID]


def test_names_of_init_are_one_file(native: LiveNode) -> None:
    """Not copies: the same bytes, and a size that is counted once."""
    tree = Path(f"/proc/{native.machine.pid}/root/sbin")
    names = ("init", "dashboard", "poweroff", "shutdown", "wrapperd")
    found = [os.stat(tree / name, follow_symlinks=False) for name in names]
    assert len({(each.st_dev, each.st_ino) for each in found}) == 1
    assert {(stat.S_IFMT(each.st_mode), stat.S_IMODE(each.st_mode)) for each in found} == {(stat.S_IFREG, 0o755)}
    assert found[0].st_nlink == len(names)


def test_the_first_entry_of_a_list_is_the_folder_itself(native: LiveNode) -> None:
    first = native.call("List", root="/sbin")[0]
    assert first.relative_name == "."
    assert first.is_dir
    assert first.mode & (1 << 31)


def test_reading_what_is_no_file_is_refused(native: LiveNode) -> None:
    with pytest.raises(RpcError, match="regular file"):
        native.read("/sbin")
    with pytest.raises(RpcError) as caught:
        native.read("/etc/absent")
    assert caught.value.code == Code.NOT_FOUND


def test_a_tree_is_copied_as_an_archive(native: LiveNode) -> None:
    packed = b"".join(part.bytes for part in native.call("Copy", root_path="/usr/share/dozen"))
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as archive:
        members = {member.name: member.size for member in archive if member.isfile()}
    manifest = native.read("/usr/share/dozen/manifest.json")
    assert [size for name, size in members.items() if name.endswith("manifest.json")] == [len(manifest)]


def test_services_that_a_node_needs_run(native: LiveNode) -> None:
    native.until_healthy("machined", "apid")


@pytest.mark.parametrize("service", ["containerd", "dashboard", "kubelet", "udevd"])
def test_a_service_that_needs_more_than_a_container_says_so(native: LiveNode, service: str) -> None:
    told = native.until(lambda: (found := native.services()[service]).events.events and found, f"news of {service}")
    assert told.state == "Skipped"
    assert told.events.events[-1].msg == "needs a kernel of its own; this machine is a container"


def test_the_root_cannot_be_written(native: LiveNode) -> None:
    mounts = {entry.mounted_on: entry.filesystem for entry in native.call("Mounts").messages[0].stats}
    assert "/" in mounts
    options = native.read("/proc/1/mounts").decode().splitlines()
    root = next(line.split() for line in options if line.split()[1] == "/")
    assert "ro" in root[3].split(",")


def test_a_reader_reads_and_may_not_act(native: LiveNode, os_ca: Keypair) -> None:
    reader = client_of(native, os_ca, "os:reader")
    try:
        assert native.call("Version", channel=reader).messages
        with pytest.raises(RpcError) as caught:
            native.call("ServiceRestart", channel=reader, id="containerd")
        assert caught.value.code == Code.PERMISSION_DENIED
        with pytest.raises(RpcError) as caught:
            native.call("Read", channel=reader, path="/proc/version")
        assert caught.value.code == Code.PERMISSION_DENIED
    finally:
        native.portal.run(reader.close())


def test_a_stranger_s_authority_opens_nothing(native: LiveNode) -> None:
    stranger = client_of(native, new_ca(), "os:admin")
    try:
        with pytest.raises(RpcError) as caught:
            native.call("Version", channel=stranger)
        assert caught.value.code == Code.UNAVAILABLE
    finally:
        native.portal.run(stranger.close())


def test_the_socket_of_pid_1_answers_its_administrator(native: LiveNode, machine_socket: Channel) -> None:
    assert native.call("Version", channel=machine_socket).messages[0].version.tag == native.version().version.tag


def client_of(node: LiveNode, authority: Keypair, *roles: str) -> Channel:
    """A channel with a certificate of these roles, signed by this authority; it trusts the node all the same."""
    context = client_config("other", authority, roles=roles).select()
    trusting = type(context)(endpoints=context.endpoints, ca=node.context.ca, crt=context.crt, key=context.key)
    return open_channel(node.machine.address, trusting)


def test_sockets_are_listed_with_their_holders(native: LiveNode) -> None:
    (answer,) = native.call("Netstat", filter="LISTENING", feature={"pid": True}).messages
    ports = {(each.localport, each.l4proto.removesuffix("6")): each for each in answer.connectrecord}
    served = ports[50000, "tcp"]
    assert (served.process.name, served.State.Name(served.state)) == ("init", "LISTEN")
    (answer,) = native.call("Netstat", filter="CONNECTED", l4proto={"tcp": True, "tcp6": True}).messages
    states = {each.State.Name(each.state) for each in answer.connectrecord if each.localport == 50000}
    assert "ESTABLISHED" in states
    with pytest.raises(RpcError, match="no network namespace") as caught:
        native.call("Netstat", netns={"netns": ["absent"]})
    assert caught.value.code == Code.NOT_FOUND


def test_frames_are_captured_through_a_filter(native: LiveNode) -> None:
    # "ip and tcp", as tcpdump -d has it for Ethernet: the type at 12, the protocol at 23.
    program = [
        (0x28, 0, 0, 12),
        (0x15, 0, 3, 0x0800),
        (0x30, 0, 0, 23),
        (0x15, 0, 1, 6),
        (0x06, 0, 0, 65535),
        (0x06, 0, 0, 0),
    ]
    rules = [{"op": op, "jt": jt, "jf": jf, "k": k} for op, jt, jf, k in program]
    # The call itself goes over the loopback interface, so there is always something to see.
    data = native.first_bytes("PacketCapture", 200, interface="lo", bpf_filter=rules, snap_len=40)
    magic, major, minor, _, _, keep, link = struct.unpack_from("=IHHiIII", data)
    assert (magic, major, minor, keep, link) == (0xA1B23C4D, 2, 4, 40, 1)
    seconds, _, kept, length = struct.unpack_from("=IIII", data, 24)
    assert abs(seconds - time.time()) < 3600
    assert kept == min(length, 40)
    frame = data[40 : 40 + kept]
    assert frame[12:14] == b"\x08\x00"
    assert frame[23] == 6


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"interface": "absent"}, 'no interface "absent"'),
        ({"interface": "lo", "bpf_filter": [{"op": 0x28, "jt": 0, "jf": 0, "k": 12}]}, "refuses the filter"),
        ({"interface": "lo", "bpf_filter": [{"op": 1 << 20}]}, "out of range"),
    ],
)
def test_a_capture_that_cannot_be_is_refused(native: LiveNode, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(RpcError, match=words) as caught:
        native.call("PacketCapture", **fields)
    assert caught.value.code == Code.INVALID_ARGUMENT


def test_the_graph_of_controllers_is_told(native: LiveNode) -> None:
    reply = native.call("/inspect.InspectService/ControllerRuntimeDependencies")
    edges = {(edge.controller_name, edge.resource_type) for edge in reply.messages[0].edges}
    assert ("api-cert-sans", "CertSANs.secrets.talos.dev") in edges
    assert ("api-cert-sans", "MachineConfigs.config.talos.dev") in edges


def test_a_node_without_disks_has_none_to_wipe(native: LiveNode) -> None:
    """The disks of the computer that it runs on are not its own."""
    assert list(native.call("/storage.StorageService/Disks").messages[0].disks) == []
    for method, fields, code in (
        ("/storage.StorageService/BlockDeviceWipe", {"devices": [{"device": "vda"}]}, Code.NOT_FOUND),
        ("/machine.LVMService/PhysicalVolumeRemove", {"device": "vda"}, Code.NOT_FOUND),
        ("Reset", {"reboot": True}, Code.FAILED_PRECONDITION),
        ("Reset", {"mode": "USER_DISKS", "user_disks_to_wipe": ["/dev/vda"]}, Code.INVALID_ARGUMENT),
    ):
        with pytest.raises(RpcError) as caught:
            native.call(method, **fields)
        assert caught.value.code == code, method
    assert native.version()

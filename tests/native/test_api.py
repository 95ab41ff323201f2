"""The API of a node in namespaces: identity, files, services, and who may do what."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from dozen.machinery.config.generating import client_config
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

"""The image cache, read by the image's own containerd: all that the databases say is there, is whole, and stays."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from dozen.compose.container_images import IMAGES
from dozen.machinery.imagecache import chain_ids
from dozen.machinery.kubernetes import versions
from dozen.node.containers import CRI_NAMESPACE, Containerd
from dozen.node.images import find_image, has_snapshot
from dozen.provider.machines import BootImage
from dozen.testing.nativeruntime import NativeRuntime
from dozen.testing.portal import Portal
from native.privileges import needs_root

pytestmark = needs_root

SNAPSHOTTER = "overlayfs"
# What is asked of each image's program that only works when its libraries and links are there.
RUNS = (
    (versions.KUBELET_IMAGE, ("/usr/local/bin/kubelet", "--version"), f"Kubernetes {versions.KUBERNETES}"),
    (versions.KUBELET_IMAGE, ("/usr/bin/mount", "--version"), "mount from util-linux"),
    (versions.KUBELET_IMAGE, ("/usr/bin/umount", "--version"), "umount from util-linux"),
    (versions.KUBELET_IMAGE, ("/usr/sbin/blkid", "--version"), "blkid from util-linux"),
    (versions.KUBELET_IMAGE, ("/usr/sbin/losetup", "--version"), "losetup from util-linux"),
    (versions.KUBELET_IMAGE, ("/usr/sbin/fsck", "--version"), "fsck from util-linux"),
    (versions.KUBELET_IMAGE, ("/usr/sbin/mkfs.ext4", "-V"), "mke2fs 1."),
    (versions.KUBELET_IMAGE, ("/usr/sbin/mkfs.xfs", "-V"), "mkfs.xfs version"),
    (versions.KUBE_APISERVER_IMAGE, ("/usr/local/bin/kube-apiserver", "--version"), versions.KUBERNETES),
    (versions.KUBE_CONTROLLER_MANAGER_IMAGE, ("/usr/local/bin/kube-controller-manager", "--version"), "Kubernetes v"),
    (versions.KUBE_SCHEDULER_IMAGE, ("/usr/local/bin/kube-scheduler", "--version"), "Kubernetes v"),
    (versions.KUBE_PROXY_IMAGE, ("/usr/local/bin/kube-proxy", "--version"), versions.KUBERNETES),
    (versions.KUBE_PROXY_IMAGE, ("/usr/sbin/nft", "--version"), "nftables v"),
    (versions.ETCD_IMAGE, ("/usr/local/bin/etcd", "--version"), f"etcd Version: {versions.ETCD[1:]}"),
    (versions.ETCD_IMAGE, ("/usr/local/bin/etcdctl", "version"), f"etcdctl version: {versions.ETCD[1:]}"),
    (versions.COREDNS_IMAGE, ("/coredns", "-version"), f"CoreDNS-{versions.COREDNS[1:]}"),
    (versions.FLANNEL_IMAGE, ("/usr/sbin/nft", "--version"), "nftables v"),
)


@pytest.fixture(scope="module")
def runtime(image: BootImage) -> Iterator[NativeRuntime]:
    assert image.tree
    assert image.images
    with NativeRuntime(image.tree, "/etc/containerd/config.toml", image.images) as runtime:
        runtime.start()
        yield runtime


@pytest.fixture(scope="module")
def node(runtime: NativeRuntime, portal: Portal) -> Iterator[Containerd]:
    node = runtime.connect()
    yield node
    portal.run(node.channel.close())


def test_every_image_is_there_and_whole(node: Containerd, portal: Portal) -> None:
    """In both namespaces: each blob is what its name says, each stack of layers is unpacked."""

    async def scenario() -> None:
        for space in (node, node.within(CRI_NAMESPACE)):
            known = {image.name for image in await space.list_images()}
            assert {row.name for row in IMAGES} <= known
            for row in IMAGES:
                image = await find_image(space, row.name)
                assert image.config.entrypoint == row.entrypoint
                assert len(image.layers) == len(image.config.diff_ids)
                for digest in (image.config_digest, *(layer["digest"] for layer in image.layers)):
                    blob = await space.read_blob(digest)
                    assert f"sha256:{hashlib.sha256(blob).hexdigest()}" == digest
                for chain in chain_ids(image.config.diff_ids):
                    assert await has_snapshot(space, SNAPSHOTTER, chain)

    portal.run(scenario(), 300)


@pytest.mark.parametrize(("name", "argv", "said"), RUNS, ids=[f"{argv[0].split('/')[-1]}" for _, argv, _ in RUNS])
def test_programs_run_from_the_unpacked_layers(
    runtime: NativeRuntime, node: Containerd, portal: Portal, name: str, argv: tuple[str, ...], said: str
) -> None:
    async def prepare() -> Any:
        image = await find_image(node, name)
        top = chain_ids(image.config.diff_ids)[-1]
        reply = await node.ask("snapshots", "Prepare", snapshotter=SNAPSHOTTER, key=f"{name} {argv[0]}", parent=top)
        return reply.mounts

    (mount,) = portal.run(prepare())
    assert said in runtime.run(mount, *argv)


def test_garbage_collection_takes_nothing(node: Containerd, portal: Portal) -> None:
    async def scenario() -> None:
        for space in (node, node.within(CRI_NAMESPACE)):
            await space.ask("leases", "Create", id="test")
            # Collects before it answers.
            await space.ask("leases", "Delete", id="test", sync=True)
            for row in IMAGES:
                image = await find_image(space, row.name)
                assert await has_snapshot(space, SNAPSHOTTER, chain_ids(image.config.diff_ids)[-1])
                for layer in image.layers:
                    info = (await space.ask("content", "Info", digest=layer["digest"])).info
                    assert info.size == layer["size"]

    portal.run(scenario())


def test_the_container_runtime_interface_knows_them(node: Containerd, portal: Portal) -> None:
    """Without a decoder: what matters is that kubelet would be told these names, and not pull them."""
    reply = portal.run(node.channel.unary("/runtime.v1.ImageService/ListImages", b""))
    for row in IMAGES:
        assert row.name.encode() in reply

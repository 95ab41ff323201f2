"""An image that is imported for Kubernetes is one that the kubelet finds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from dozen.compose import toolroot
from dozen.node.containers import CRI_NAMESPACE
from dozen.node.images import import_archive
from dozen.provider.machines import BootImage
from dozen.testing.nativeruntime import NativeRuntime
from dozen.testing.portal import Portal
from dozen.testing.toolbox import make_archive
from native.privileges import needs_root

pytestmark = needs_root


@pytest.fixture
def runtime(image: BootImage) -> Iterator[NativeRuntime]:
    assert image.tree
    with NativeRuntime(image.tree, "/etc/containerd/config.toml") as runtime:
        runtime.start()
        yield runtime


def test_the_kubelet_finds_what_was_imported(runtime: NativeRuntime, portal: Portal) -> None:
    archive = make_archive(toolroot.ensure().path / "usr/bin/busybox")

    async def chunks() -> AsyncIterator[bytes]:
        yield archive

    async def scenario() -> None:
        node = runtime.connect()
        pods = node.within(CRI_NAMESPACE)
        (name,) = await import_archive(pods, chunks())
        # Without a decoder: it is told by events, so it may take a moment.
        for _ in range(50):
            known = await node.channel.unary("/runtime.v1.ImageService/ListImages", b"")
            if name.encode() in known:
                break
            await asyncio.sleep(0.1)
        assert name.encode() in known
        await node.channel.close()

    portal.run(scenario(), 120)

"""What the composer and the node must agree on about prepared container images: names, places and marks."""

from __future__ import annotations

from collections.abc import Sequence

# The label of the file system that holds the cache.
LABEL = "IMAGECACHE"
# Within it: which images there are, a folder as containerd's own root is laid out, and network plugins, which run on
# the node itself.
LISTING = "/images.json"
CONTAINERD = "/containerd"
PLUGINS = "/cni"
# Within containerd's folder: its metadata, blobs, and unpacked layers.
METADATA = "io.containerd.metadata.v1.bolt"
BLOBS = "io.containerd.content.v1.content/blobs/sha256"
SNAPSHOTTER = "overlayfs"
SNAPSHOTS = f"io.containerd.snapshotter.v1.{SNAPSHOTTER}"
# How containerd's side of the kubelet marks the images that it looks after.
MANAGED = "io.cri-containerd.image"
# Of these, an image that is never collected for want of space.
PINNED = "io.cri-containerd.pinned"


def chain_ids(diff_ids: Sequence[str]) -> list[str]:
    """The name of each stack of layers (OCI image specification, "Layer ChainID"): what snapshots are called by."""
    import hashlib

    chains: list[str] = []
    for diff_id in diff_ids:
        both = f"{chains[-1]} {diff_id}" if chains else ""
        chains.append(f"sha256:{hashlib.sha256(both.encode()).hexdigest()}" if both else diff_id)
    return chains

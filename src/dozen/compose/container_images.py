"""The container images that a node brings along, as a table: which layers each has, and how it is run.

The names are upstream's: where there is a registry, the same configuration pulls the same names. Layers are shared: the
program that is all of Kubernetes is one layer of five images, so a node has it on the disk and in memory once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from dozen.machinery.kubernetes import versions

LOCAL = "/usr/local/bin"


class Layer(NamedTuple):
    """``programs``: path → program of `dozen.compose.components`; ``recipes``: folders of ``images/``, for what comes
    from packages.
    """

    name: str
    programs: Mapping[str, str] = {}
    links: Mapping[str, str] = {}
    recipes: tuple[str, ...] = ()


class ContainerImage(NamedTuple):
    """``layers`` from the lowest up; ``links``: path → target, in a layer of the image's own; ``command``: arguments
    of the entrypoint where a container says none."""

    name: str
    layers: tuple[str, ...]
    entrypoint: tuple[str, ...]
    links: Mapping[str, str] = {}
    user: str = ""
    pinned: bool = False
    command: tuple[str, ...] = ()


KUBE, ETCD, COREDNS, FLANNEL, CNI, PAUSE = "kube", "etcd", "coredns", "flannel", "cni", "pause"
BASE, TOOLS, NFT = "base", "tools", "nft"

PLUGINS = ("bandwidth", "bridge", "firewall", "flannel", "host-local", "loopback", "portmap")

LAYERS = (
    Layer(KUBE, {f"{LOCAL}/kube": "kube"}),
    Layer(ETCD, {f"{LOCAL}/etcd": "etcd"}, {f"{LOCAL}/etcdctl": "etcd", f"{LOCAL}/etcdutl": "etcd"}),
    Layer(COREDNS, {"/coredns": "coredns"}),
    Layer(FLANNEL, {"/opt/bin/flanneld": "flanneld", "/bin/cp": "tiny"}),
    Layer(CNI, {"/install": "tiny", **{f"/plugins/{name}": f"cni/{name}" for name in PLUGINS}}),
    Layer(PAUSE, {"/pause": "pause"}),
    Layer(BASE, recipes=("base",)),
    Layer(TOOLS, recipes=("loader", "mount", "util-linux", "e2fsprogs", "xfsprogs")),
    Layer(NFT, recipes=("loader", "nftables")),
)


def _component(name: str, image: str, *layers: str) -> ContainerImage:
    path = f"{LOCAL}/{name}"
    return ContainerImage(image, (KUBE, BASE, *layers), (path,), {path: "kube"})


IMAGES = (
    ContainerImage(versions.PAUSE_IMAGE, (PAUSE,), ("/pause",), user="65535:65535", pinned=True),
    _component("kubelet", versions.KUBELET_IMAGE, TOOLS),
    _component("kube-apiserver", versions.KUBE_APISERVER_IMAGE),
    _component("kube-controller-manager", versions.KUBE_CONTROLLER_MANAGER_IMAGE),
    _component("kube-scheduler", versions.KUBE_SCHEDULER_IMAGE),
    _component("kube-proxy", versions.KUBE_PROXY_IMAGE, NFT),
    ContainerImage(versions.ETCD_IMAGE, (ETCD, BASE), (f"{LOCAL}/etcd",)),
    ContainerImage(versions.COREDNS_IMAGE, (COREDNS, BASE), ("/coredns",), user="65532:65532"),
    ContainerImage(versions.FLANNEL_IMAGE, (FLANNEL, BASE, NFT), ("/opt/bin/flanneld",)),
    ContainerImage(versions.CNI_PLUGINS_IMAGE, (CNI,), ("/install",)),
)

"""What servers that the node asks, images that it runs and files for them say: HTTP, JSON, TOML and archives."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import tarfile
import tomllib
from typing import cast

from dozen.client import cgroups
from dozen.client.errors import ClientError
from dozen.machinery import kubeconfig, proxies, runtimeconfig
from dozen.machinery.kubernetes import cis, upgrades
from dozen.node import ocispec
from dozen.node.api.containers import find_network_namespace
from dozen.node.kubernetes.errors import read_status, refusal
from dozen.node.kubernetes.http import LINE_LIMIT, Connection, HttpError
from fuzz.target import Target, text


class Sink:
    """A writer that is written to in vain."""

    def write(self, data: bytes) -> None:
        pass

    async def drain(self) -> None:
        pass


def http_reply(data: bytes) -> None:
    """Two replies on one connection, as far as the first one ends by itself; a refusal is read."""

    async def ask() -> None:
        reader = asyncio.StreamReader(limit=LINE_LIMIT)
        reader.feed_data(data)
        reader.feed_eof()
        connection = Connection("here", reader, cast(asyncio.StreamWriter, Sink()))
        for _ in range(2):
            reply = await connection.request("GET", "/", {})
            body = await reply.read(1 << 20)
            if reply.status >= 400:
                str(refusal(reply.status, read_status(body)))
            if not connection.reusable:
                return

    asyncio.run(ask())


def image(data: bytes) -> None:
    """An image's configuration, whoever made it, and the container that comes of it."""
    try:
        found = json.loads(data)
    except ValueError:
        return
    if isinstance(found, dict):
        ocispec.build_spec(ocispec.parse_image_config(found), ocispec.Wish(args=("a",), env={"b": "c"}))


def runtime_part(data: bytes) -> None:
    """A part of containerd's configuration: what comes of it is TOML of the same content."""
    part = runtimeconfig.read_part(data.decode(errors="replace"))
    made = tomllib.loads(runtimeconfig.compose("version = 2\n", [data.decode(errors="replace")], "/base.json"))
    assert set(part) <= set(made)


def told(data: bytes) -> None:
    """What a cluster's programs say about themselves, in lines."""
    said = text(data)
    upgrades.removed_apis(said, upgrades.Version(1, 36, 0))
    cis.read_flags(said), find_network_namespace(data)


def proxy(data: bytes) -> None:
    url, _, rest = data.decode(errors="replace").partition("\n")
    said, _, exceptions = rest.partition("\n")
    proxies.choose_proxy(url, {"https_proxy": said, "HTTP_PROXY": said, "no_proxy": exceptions})


def archive(data: bytes) -> None:
    """Archives that a node gives: of its control groups, and of a kubeconfig."""
    for read in (cgroups.unpack, kubeconfig.unpack_kubeconfig):
        try:
            read(data)
        except (ClientError, kubeconfig.KubeconfigError):
            continue


def packed(name: str, content: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(made.getvalue(), mtime=0)


IMAGE = {
    "config": {"Entrypoint": ["/a"], "Cmd": ["b"], "Env": ["A=b"], "WorkingDir": "/w", "User": "1:2"},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:ab"]},
}
METRICS = b'apiserver_requested_deprecated_apis{group="a",resource="b",version="v1",removed_release="1.32"} 1\n'
REFUSAL = b'{"kind":"Status","code":404,"reason":"NotFound","message":"no"}'

TARGETS = (
    Target(
        "http-reply",
        http_reply,
        (HttpError,),
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\n\r\nrest",
            b"HTTP/1.1 100 A\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n",
            b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%s" % (len(REFUSAL), REFUSAL),
        ],
    ),
    Target("image-config", image, (ocispec.BadImage,), [json.dumps(IMAGE).encode()]),
    Target(
        "runtime-part",
        runtime_part,
        (runtimeconfig.BadPart,),
        [b'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\na = [1, {b = "c"}]\nd = 1979-05-27T07:32:00Z\n[x]\n'],
    ),
    Target("cluster-programs", told, (), [METRICS, b"kube-apiserver --a=b --c\n", b'{"linux":{"namespaces":[]}}']),
    Target("proxy", proxy, (ValueError,), [b"https://a.b:1/\nhttp://u:p@c:3128\n.d,10.0.0.0/8,e:443,*"]),
    Target("archive", archive, (), [packed("./cpu.max", b"max 100000\n")]),
)

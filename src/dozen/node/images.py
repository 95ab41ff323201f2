"""Images in containerd: bringing an archive in, and making an image ready to run.

An archive goes in through containerd's Transfer service in one call, which reads the bytes from a *stream* that was
opened before and tells how it goes through another. A stream's receiver says how many bytes it is ready for; no more
are sent, so an import holds one chunk, whatever the archive's size.
"""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from dozen.machinery.imagecache import MANAGED, chain_ids
from dozen.machinery.messages import message
from dozen.node.containers import CRI_NAMESPACE, Containerd, explain, method_path
from dozen.node.ocispec import BadImage, ImageConfig, parse_image_config
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.rpc.client import ClientCall

# One message through a stream. containerd's own client sends as much.
_CHUNK = 32 * 1024
_UNPACK_TIMEOUT = 1800.0
IMPORTED = "localhost/imported"
_INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class Image(NamedTuple):
    """What an image's name leads to: its configuration, and the descriptors of its layers, lowest first."""

    name: str
    config: ImageConfig
    config_digest: str
    layers: tuple[dict[str, Any], ...]


async def import_archive(node: Containerd, chunks: AsyncIterator[bytes]) -> list[str]:
    """Import an OCI or Docker archive and unpack it; gives the names that it holds. Raises RpcError."""
    base = f"dozen-{time.monotonic_ns()}"
    snapshotter = await node.choose_snapshotter()
    async with AsyncExitStack() as stack:
        data = await stack.enter_async_context(open_stream(node, f"{base}-data"))
        progress = await stack.enter_async_context(open_stream(node, f"{base}-progress"))
        source = message("containerd.types.transfer.ImageImportStream")(stream=f"{base}-data")
        transfer = asyncio.ensure_future(
            node.ask(
                "transfer",
                "Transfer",
                timeout=_UNPACK_TIMEOUT,
                source=pack(source),
                destination=pack(image_store(snapshotter)),
                options={"progress_stream": f"{base}-progress"},
            )
        )
        sending = asyncio.ensure_future(send_archive(data, chunks))
        saved: list[str] = []
        reading = asyncio.ensure_future(read_progress(progress, saved))
        try:
            await finish_transfer(transfer, sending)
            # The stream ends when everything has been told.
            await asyncio.wait({reading}, timeout=5)
        finally:
            for task in (transfer, sending, reading):
                task.cancel()
            await asyncio.gather(transfer, sending, reading, return_exceptions=True)
    if not saved:
        raise RpcError(Code.INVALID_ARGUMENT, "the archive holds no image")
    if node.namespace == CRI_NAMESPACE:
        await announce(node, saved)
    return saved


async def announce(node: Containerd, names: list[str]) -> None:
    """Make the kubelet's side of containerd see images: it follows events, and a transfer causes none."""
    for name in names:
        # Whole, although one label is all that changes: containerd 1.7 ends when the target is left out.
        image = (await node.ask("images", "Get", name=name)).image
        image.labels[MANAGED] = "managed"
        await node.ask("images", "Update", image=image, update_mask={"paths": [f"labels.{MANAGED}"]})


async def finish_transfer(transfer: asyncio.Future[Any], sending: asyncio.Future[None]) -> None:
    """Until the transfer has ended. It may end before everything was sent; an archive that breaks off ends it."""
    done, _ = await asyncio.wait({transfer, sending}, return_when=asyncio.FIRST_COMPLETED)
    if transfer not in done and (error := sending.exception()) is not None:
        raise error
    await transfer


def image_store(snapshotter: str) -> Any:
    """The destination: every image of the archive under its own name, unpacked. One that has only a tag, or nothing,
    is called after `IMPORTED` and that, or its digest.
    """
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    return message("containerd.types.transfer.ImageStore")(
        extra_references=[
            {
                "name": IMPORTED,
                "is_prefix": True,
                "allow_overwrite": True,
                "add_digest": True,
                "skip_named_digest": True,
            }
        ],
        unpacks=[{"platform": {"os": "linux", "architecture": architecture}, "snapshotter": snapshotter}],
    )


def pack(packed: Any) -> dict[str, Any]:
    """A message as fields of google.protobuf.Any; containerd wants the bare name as its type URL."""
    return {"type_url": packed.DESCRIPTOR.full_name, "value": packed.SerializeToString()}


@asynccontextmanager
async def open_stream(node: Containerd, id: str) -> AsyncIterator[ClientCall]:
    """A stream that other calls can refer to by its id."""
    try:
        async with node.channel.call(method_path("streaming", "Stream"), node.metadata) as call:
            init = message("containerd.services.streaming.v1.StreamInit")(id=id)
            await call.send(message("google.protobuf.Any")(**pack(init)).SerializeToString())
            if await call.recv() is None:
                raise RpcError(Code.UNAVAILABLE, "containerd ended a stream before it began")
            yield call
    except RpcError as error:
        raise explain(error) from None


async def send_archive(call: ClientCall, chunks: AsyncIterator[bytes]) -> None:
    """The bytes, never more than the receiver said that it is ready for."""
    any_class, data_class = message("google.protobuf.Any"), message("containerd.types.transfer.Data")
    update = message("containerd.types.transfer.WindowUpdate")
    window = 0
    async for chunk in chunks:
        start = 0
        while start < len(chunk):
            while window <= 0:
                credit = await call.recv()
                if credit is None:
                    return  # The receiver has what it wants.
                window += update.FromString(any_class.FromString(credit).value).update
            piece = chunk[start : start + min(window, _CHUNK)]
            await call.send(any_class(**pack(data_class(data=piece))).SerializeToString())
            window -= len(piece)
            start += len(piece)
    await call.end()


async def read_progress(call: ClientCall, saved: list[str]) -> None:
    """Collect the names of images as they are saved."""
    any_class, progress = message("google.protobuf.Any"), message("containerd.types.transfer.Progress")
    while (data := await call.recv()) is not None:
        event = progress.FromString(any_class.FromString(data).value)
        if event.event == "saved" and event.name not in saved:
            saved.append(event.name)


def full_name(name: str) -> str:
    """An image's name with all that people leave out: the registry, its part for everybody's images, the tag."""
    path, at, digest = name.partition("@")
    first, slash, _ = path.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        path = f"docker.io/{path}" if slash else f"docker.io/library/{path}"
    tagged = ":" in path.rpartition("/")[2]
    return f"{path}{at}{digest}" if at or tagged else f"{path}:latest"


async def find_image(node: Containerd, name: str) -> Image:
    """An image by name; also by what people leave out of it. Raises NOT_FOUND."""
    for candidate in dict.fromkeys((name, f"{name}:latest", full_name(name))):
        try:
            found = (await node.ask("images", "Get", name=candidate)).image
        except RpcError as error:
            if error.code is not Code.NOT_FOUND:
                raise
        else:
            return await read_image(node, candidate, found.target)
    raise RpcError(Code.NOT_FOUND, f"there is no image {name} in namespace {node.namespace}: import it first")


async def read_image(node: Containerd, name: str, target: Any) -> Image:
    """What a name's target leads to, for this machine's architecture; whoever made the image wrote what is read."""
    try:
        return await _read_image(node, name, target)
    except (BadImage, AttributeError, KeyError, TypeError) as error:
        raise RpcError(Code.DATA_LOSS, f"the image {name} is not of the form of one: {error}") from None


async def _read_image(node: Containerd, name: str, target: Any) -> Image:
    digest, kind = target.digest, target.media_type
    document = await read_json(node, digest)
    if kind in _INDEX_TYPES or "manifests" in document:
        digest = choose_manifest(document)
        document = await read_json(node, digest)
    config_digest = document["config"]["digest"]
    config = parse_image_config(await read_json(node, config_digest))
    return Image(name, config, config_digest, tuple(document.get("layers", ())))


def choose_manifest(index: dict[str, Any]) -> str:
    """The digest of the manifest for this machine: of its architecture, or one that does not say."""
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    for entry in index.get("manifests", ()):
        target = entry.get("platform")
        if target is None or (target.get("os") == "linux" and target.get("architecture") == architecture):
            return str(entry["digest"])
    raise RpcError(Code.FAILED_PRECONDITION, f"the image is not made for linux/{architecture}")


async def read_json(node: Containerd, digest: str) -> dict[str, Any]:
    """A blob that holds a JSON object."""
    try:
        return msgspec.json.decode(await node.read_blob(digest), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise RpcError(Code.DATA_LOSS, f"content {digest} is not what it should be: {error}") from None


async def measure_image(node: Containerd, target: Any) -> int:
    """Bytes of what an image's name leads to; of its topmost part alone where the rest is not here."""
    try:
        document = await read_json(node, target.digest)
        size = int(target.size)
        if "manifests" in document:
            digest = choose_manifest(document)
            size += sum(int(entry["size"]) for entry in document["manifests"] if entry["digest"] == digest)
            document = await read_json(node, digest)
        return size + sum(int(part["size"]) for part in (document["config"], *document.get("layers", ())))
    except (RpcError, KeyError, TypeError):
        return int(target.size)


async def unpack(node: Containerd, image: Image, snapshotter: str) -> str:
    """See that the image's layers are snapshots; gives the topmost one's name. ``node`` should hold a lease."""
    if len(image.layers) != len(image.config.diff_ids):
        raise RpcError(Code.DATA_LOSS, f"image {image.name} has not as many layers as its configuration says")
    parent = ""
    for chain, layer in zip(chain_ids(image.config.diff_ids), image.layers, strict=True):
        if not await has_snapshot(node, snapshotter, chain):
            await unpack_layer(node, snapshotter, parent, chain, layer)
        parent = chain
    if parent:
        # Keeps the snapshots for as long as the image.
        label = f"containerd.io/gc.ref.snapshot.{snapshotter}"
        await node.ask(
            "content",
            "Update",
            info={"digest": image.config_digest, "labels": {label: parent}},
            update_mask={"paths": [f"labels.{label}"]},
        )
    return parent


async def has_snapshot(node: Containerd, snapshotter: str, name: str) -> bool:
    """Whether a snapshot of that name is there."""
    try:
        await node.ask("snapshots", "Stat", snapshotter=snapshotter, key=name)
    except RpcError as error:
        if error.code is Code.NOT_FOUND:
            return False
        raise
    return True


async def unpack_layer(node: Containerd, snapshotter: str, parent: str, chain: str, layer: dict[str, Any]) -> None:
    """One layer on top of another, becoming the snapshot ``chain``."""
    key = f"extract-{time.monotonic_ns()} {chain}"
    mounts = (await node.ask("snapshots", "Prepare", snapshotter=snapshotter, key=key, parent=parent)).mounts
    try:
        descriptor = {"media_type": layer["mediaType"], "digest": layer["digest"], "size": layer["size"]}
        await node.ask("diff", "Apply", timeout=_UNPACK_TIMEOUT, diff=descriptor, mounts=mounts)
        await node.ask("snapshots", "Commit", snapshotter=snapshotter, name=chain, key=key)
    except RpcError as error:
        with suppress(RpcError):
            await node.ask("snapshots", "Remove", snapshotter=snapshotter, key=key)
        if error.code is not Code.ALREADY_EXISTS:
            raise

"""Images in containerd: List, Pull, Import and Remove, and the older ImageList and ImagePull."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Any

from dozen.machinery.messages import enum, message
from dozen.node.containers import CRI_NAMESPACE, SYSTEM_NAMESPACE, Containerd, containerd
from dozen.rpc.router import Router, decode_request
from dozen.rpc.servercall import ServerCall
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.node.api.ports import Machine

SERVICE, OLDER_SERVICE = "/machine.ImageService", "/machine.MachineService"


def register(router: Router, machine: Machine) -> None:
    """Serve the calls of this theme."""
    router.stream(f"{SERVICE}/List", "machine.ImageServiceListRequest", list_images)
    router.stream(f"{SERVICE}/Pull", "machine.ImageServicePullRequest", pull_image)
    router.bidi(f"{SERVICE}/Import", import_image)
    router.unary(f"{SERVICE}/Remove", "machine.ImageServiceRemoveRequest", remove_image)
    router.stream(f"{OLDER_SERVICE}/ImageList", "machine.ImageListRequest", list_images_as_before)
    router.unary(f"{OLDER_SERVICE}/ImagePull", "machine.ImagePullRequest", pull_image_as_before)


def find_containerd(instance: Any) -> Containerd:
    """The containerd that a request's ``containerd`` field means. Raises INVALID_ARGUMENT when it does not say."""
    names = enum("common.ContainerdNamespace")
    namespace = {names.NS_SYSTEM: SYSTEM_NAMESPACE, names.NS_CRI: CRI_NAMESPACE}.get(instance.namespace)
    if namespace is None:
        raise RpcError(Code.INVALID_ARGUMENT, "say which namespace of containerd is meant: NS_SYSTEM or NS_CRI")
    return containerd(namespace)


async def list_images(call: object, request: Any) -> AsyncIterator[Any]:
    """Every image of a namespace, in the order of their names."""
    from dozen.node.images import measure_image

    node = find_containerd(request.containerd)
    reply = message("machine.ImageServiceListResponse")
    for image in sorted(await node.list_images(), key=lambda image: image.name):
        yield reply(
            name=image.name,
            digest=image.target.digest,
            size=await measure_image(node, image.target),
            created_at=image.created_at,
            labels=image.labels,
        )


async def pull_image(call: object, request: Any) -> AsyncIterator[Any]:
    """How a pull goes, once a second for each part of the image, and at last the image's name with its digest."""
    from dozen.node import pulling

    node = find_containerd(request.containerd)
    if not request.image_ref:
        raise RpcError(Code.INVALID_ARGUMENT, "say which image to pull")
    reply = message("machine.ImageServicePullResponse")
    told: asyncio.Queue[list[pulling.Part] | None] = asyncio.Queue()
    pull = asyncio.ensure_future(pulling.pull_image(node, request.image_ref, told.put_nowait))
    pull.add_done_callback(lambda _: told.put_nowait(None))
    try:
        while (parts := await told.get()) is not None:
            for part in parts:
                progress = {"status": "DOWNLOADING", "offset": part.here, "total": part.size}
                yield reply(pull_progress={"layer_id": part.digest, "progress": progress})
        name = await pull
    finally:
        pull.cancel()
    digest = (await node.ask("images", "Get", name=name)).image.target.digest
    yield reply(name=name if "@" in name else f"{name}@{digest}")


async def list_images_as_before(call: object, request: Any) -> AsyncIterator[Any]:
    """What `list_images` says, to clients from before there was a service for it."""
    reply = message("machine.ImageListResponse")
    async for each in list_images(call, message("machine.ImageServiceListRequest")(containerd=_instance(request))):
        yield reply(name=each.name, digest=each.digest, size=each.size, created_at=each.created_at)


async def pull_image_as_before(call: object, request: Any) -> Any:
    """A pull whose end is all that is told."""
    wanted = {"containerd": _instance(request), "image_ref": request.reference}
    async for _ in pull_image(call, message("machine.ImageServicePullRequest")(**wanted)):
        pass
    return message("machine.ImagePullResponse")(messages=[{}])


def _instance(request: Any) -> dict[str, Any]:
    return {"driver": "CONTAINERD", "namespace": request.namespace}


async def import_image(call: ServerCall) -> None:
    """An archive from the caller: the first request says where to, the rest is the archive."""
    from dozen.node.images import import_archive

    name = "machine.ImageServiceImportRequest"
    first = decode_request(name, await call.recv() or b"")
    if first.WhichOneof("request") != "containerd":
        raise RpcError(Code.INVALID_ARGUMENT, "the first request of an import says which containerd it is for")
    node = find_containerd(first.containerd)

    async def chunks() -> AsyncGenerator[bytes, None]:
        while (data := await call.recv()) is not None:
            yield decode_request(name, data).image_chunk.bytes

    names = await import_archive(node, chunks())
    await call.send(message("machine.ImageServiceImportResponse")(name=names[0]).SerializeToString())


async def remove_image(call: object, request: Any) -> Any:
    """Forget a name."""
    node = find_containerd(request.containerd)
    if not request.image_ref:
        raise RpcError(Code.INVALID_ARGUMENT, "say which image to remove")
    await node.ask("images", "Delete", name=request.image_ref, sync=True)
    return message("google.protobuf.Empty")()

"""Container images on a node, and containers run from them to look around.

A node has two stores of images: its own (``system``) and Kubernetes' (``cri``). A debug container runs from an image
of the node's own store, with its input and output carried over the call.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

from dozen.client.machine import Node
from dozen.machinery.messages import enum, message
from dozen.rpc.status import Code, RpcError

SERVICE = "/machine.ImageService/"
RUN = "/machine.DebugService/ContainerRun"
NAMESPACES = {"system": "NS_SYSTEM", "cri": "NS_CRI"}
CHUNK = 256 << 10


def instance(namespace: str) -> Any:
    """Which of the node's stores is meant."""
    driver = enum("common.ContainerDriver").Value("CRI" if namespace == "cri" else "CONTAINERD")
    number = enum("common.ContainerdNamespace").Value(NAMESPACES[namespace])
    return message("common.ContainerdInstance")(driver=driver, namespace=number)


async def list_images(node: Node, namespace: str = "system") -> AsyncIterator[Any]:
    """Also of a node from before there was a service for images."""
    request = message("machine.ImageServiceListRequest")(containerd=instance(namespace))
    try:
        async for image in node.listen(SERVICE + "List", request):
            yield image
    except RpcError as error:
        if error.code is not Code.UNIMPLEMENTED:
            raise
        older = message("machine.ImageListRequest")(namespace=request.containerd.namespace)
        async for image in node.listen("ImageList", older):
            yield image


async def pull_image(node: Node, reference: str, namespace: str = "system") -> AsyncIterator[Any]:
    """Progress messages; the last one has the name that the image got."""
    request = message("machine.ImageServicePullRequest")(containerd=instance(namespace), image_ref=reference)
    async for step in node.listen(SERVICE + "Pull", request):
        yield step


async def remove_image(node: Node, reference: str, namespace: str = "system") -> None:
    request = message("machine.ImageServiceRemoveRequest")(containerd=instance(namespace), image_ref=reference)
    await node.ask(SERVICE + "Remove", request)


async def import_image(node: Node, chunks: Iterable[bytes], namespace: str = "system") -> str:
    """Hand over an OCI archive (a tar file). Gives the name of the image in it."""
    request = message("machine.ImageServiceImportRequest")
    async with node.connection.call(SERVICE + "Import", node=node.name) as call:
        await call.send(request(containerd=instance(namespace)).SerializeToString())
        for chunk in chunks:
            piece = request()
            piece.image_chunk.bytes = chunk
            await call.send(piece.SerializeToString())
        await call.end()
        reply = await call.recv()
        return str(message("machine.ImageServiceImportResponse").FromString(reply or b"").name)


async def run_container(
    node: Node,
    image: str,
    arguments: Iterable[str],
    *,
    keys: AsyncIterator[bytes],
    output: Callable[[bytes], None],
    environment: Mapping[str, str],
    size: tuple[int, int] | None = None,
    namespace: str = "system",
) -> int:
    """Run an image until its program ends; gives the exit code. ``size`` (columns, rows) asks for a terminal."""
    request = message("machine.DebugContainerRunRequest")
    response = message("machine.DebugContainerRunResponse")
    spec = _debug_spec(image, arguments, environment, tty=size is not None, namespace=namespace)
    async with node.connection.call(RUN, node=node.name) as call:
        await call.send(request(spec=spec).SerializeToString())
        if size is not None:
            resize = message("machine.DebugContainerTerminalResize")(width=size[0], height=size[1])
            await call.send(request(term_resize=resize).SerializeToString())

        async def feed() -> None:
            async for data in keys:
                await call.send(request(stdin_data=data).SerializeToString())
            await call.end()

        feeder = asyncio.create_task(feed())
        try:
            while (reply := await call.recv()) is not None:
                answer = response.FromString(reply)
                if answer.WhichOneof("resp") == "exit_code":
                    return int(answer.exit_code)
                output(answer.stdout_data)
        finally:
            feeder.cancel()
    return 0


def _debug_spec(
    image: str, arguments: Iterable[str], environment: Mapping[str, str], *, tty: bool, namespace: str
) -> Any:
    """What to run, with all that the node itself may do: such a container is there to look at the node."""
    kind = message("machine.DebugContainerRunRequestSpec")
    return kind(
        containerd=instance(namespace),
        image_name=image,
        args=list(arguments),
        env=dict(environment),
        profile=kind.PROFILE_PRIVILEGED,
        tty=tty,
    )

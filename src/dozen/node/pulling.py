"""Images that are not here yet: pulled through the runtime of pods, so that one set of rules about registries holds.

containerd's runtime interface knows mirrors, trust and credentials (`dozen.machinery.registries`); its own transfer
service knows none of them in the version that the node has. It pulls into Kubernetes' namespace. What is meant for the
node's own is taken over from there: blobs are stored once, so that is a matter of names, and the name that only the
pull needed is given back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from dozen.machinery.messages import method_types
from dozen.node.containers import CRI_NAMESPACE, Containerd, method_path
from dozen.node.images import Image, choose_manifest, find_image, full_name, read_json
from dozen.rpc.status import Code, RpcError

PROGRESS_PERIOD = 1.0
# Names in this "registry" are made on the node or come with its image: nobody could be asked for them.
LOCAL = "localhost/"
_GC = "containerd.io/gc.ref.content"


class Part(NamedTuple):
    """A blob on its way: its digest, bytes that are here, bytes in all (0: not known)."""

    digest: str
    here: int
    size: int


Tell = Callable[[list[Part]], None]


async def ensure_image(node: Containerd, name: str, tell: Tell | None = None) -> Image:
    """The image of that name, which is pulled when it is not here. Raises RpcError, which says what went wrong."""
    try:
        return await find_image(node, name)
    except RpcError as error:
        if error.code is not Code.NOT_FOUND:
            raise
    return await find_image(node, await pull_image(node, name, tell))


async def pull_image(node: Containerd, name: str, tell: Tell | None = None) -> str:
    """Bring an image into the node's namespace, whether or not it is here; gives its full name. Raises RpcError."""
    full = full_name(name)
    if full.startswith(LOCAL):
        raise RpcError(Code.NOT_FOUND, f"image {full} is not here, and no registry has it: import it first")
    pods = node.within(CRI_NAMESPACE)
    was_here = await _has_image(pods, full)
    if not was_here or node.namespace == CRI_NAMESPACE:
        await _pull(pods, full, tell)
    if node.namespace != CRI_NAMESPACE:
        await adopt_image(node, pods, full)
        if not was_here:
            with suppress(RpcError):
                await pods.ask("cri_images", "RemoveImage", image={"image": full})
    return full


async def _has_image(node: Containerd, name: str) -> bool:
    try:
        await node.ask("images", "Get", name=name)
    except RpcError as error:
        if error.code is Code.NOT_FOUND:
            return False
        raise
    return True


async def _pull(pods: Containerd, full: str, tell: Tell | None) -> None:
    telling = asyncio.ensure_future(_follow(pods, tell)) if tell is not None else None
    try:
        # containerd itself gives up when nothing arrives any more (its image_pull_progress_timeout).
        await pods.ask("cri_images", "PullImage", timeout=None, image={"image": full})
    except RpcError as error:
        raise RpcError(error.code, f"image {full} cannot be pulled: {_shorten(error.message, full)}") from None
    finally:
        if telling is not None:
            telling.cancel()


def _shorten(text: str, full: str) -> str:
    """The reason without containerd's repetitions of what was to be done."""
    for step in ("failed to pull and unpack image", "failed to resolve reference", "failed to do request"):
        text = text.removeprefix("rpc error: ").removeprefix(f'{step} "{full}": ').removeprefix(f"{step}: ")
    return text


async def _follow(pods: Containerd, tell: Tell) -> None:
    """Say again and again what is being written."""
    while True:
        await asyncio.sleep(PROGRESS_PERIOD)
        with suppress(RpcError):
            written = (await pods.ask("content", "ListStatuses")).statuses
            parts = [Part(each.ref[each.ref.find("sha256:") :], each.offset, each.total) for each in written]
            if parts:
                tell(parts)


def describe_progress(parts: list[Part]) -> str:
    """How far a pull is, in words."""
    here, size = sum(part.here for part in parts), sum(part.size for part in parts)
    return f"{here / 1e6:.1f} of {size / 1e6:.1f} MB of what is on its way ({len(parts)} at a time)"


async def adopt_image(node: Containerd, source: Containerd, name: str) -> None:
    """Give ``node``'s namespace an image that another namespace has. Raises RpcError."""
    found = (await source.ask("images", "Get", name=name)).image
    target = {"media_type": found.target.media_type, "digest": found.target.digest, "size": found.target.size}
    async with node.leased() as held:
        await _adopt_tree(held, source, target["digest"], target["size"])
        try:
            await held.ask("images", "Create", image={"name": name, "target": target})
        except RpcError as error:
            if error.code is not Code.ALREADY_EXISTS:
                raise
            await held.ask("images", "Update", image={"name": name, "target": target})


async def _adopt_tree(node: Containerd, source: Containerd, digest: str, size: int) -> None:
    """An index or manifest with what this machine needs below it; labels keep that alive as long as this."""
    document = await read_json(source, digest)
    labels: dict[str, str] = {}
    if "manifests" in document:
        chosen = choose_manifest(document)
        for number, entry in enumerate(document["manifests"]):
            if entry["digest"] == chosen:
                await _adopt_tree(node, source, chosen, entry["size"])
                labels[f"{_GC}.m.{number}"] = chosen
    else:
        parts = {"config": document["config"]}
        parts |= {f"l.{number}": layer for number, layer in enumerate(document.get("layers", ()))}
        for place, part in parts.items():
            await _adopt_blob(node, part["digest"], part["size"], {})
            labels[f"{_GC}.{place}"] = part["digest"]
    await _adopt_blob(node, digest, size, labels)


async def _adopt_blob(node: Containerd, digest: str, size: int, labels: dict[str, str]) -> None:
    """A blob that is in the store, for a namespace that has not got it: committed without a byte being written."""
    path = method_path("content", "Write")
    types = method_types(path)
    # An offset before the end would ask for the bytes to be written again.
    commit = types.request(
        action="COMMIT", ref=f"adopt-{digest}", total=size, expected=digest, offset=size, labels=labels
    )
    try:
        async with node.channel.call(path, node.metadata) as call:
            await call.send(commit.SerializeToString(), True)
            while await call.recv() is not None:
                pass
    except RpcError as error:
        if error.code is not Code.ALREADY_EXISTS:
            raise RpcError(error.code, f"content {digest} cannot be taken over: {error.message}") from None
        await _label(node, digest, labels)


async def _label(node: Containerd, digest: str, labels: dict[str, Any]) -> None:
    if labels:
        mask = {"paths": [f"labels.{name}" for name in labels]}
        await node.ask("content", "Update", info={"digest": digest, "labels": labels}, update_mask=mask)

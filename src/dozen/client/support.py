"""A support bundle: one archive with what is needed to find out from afar what is wrong with nodes and their cluster.

What to collect is a list of `Item`s: a path in the archive and how to get its content. An item that cannot be had
becomes a line in the archive's ``errors.txt`` and keeps no other. Secrets stay where they are: resources that are
sensitive are left out, and the machine configuration goes in with its keys and tokens replaced.
"""

from __future__ import annotations

import asyncio
import json
import time
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, BinaryIO, NamedTuple

from dozen.client.kubernetes import Kubernetes, KubernetesError
from dozen.client.machine import Node
from dozen.client.state import Definition, definitions, list_records
from dozen.machinery import yaml
from dozen.rpc.status import RpcError

ITEM_SECONDS = 30.0
EVENTS_SECONDS = 2.0
MACHINE_CONFIG = "MachineConfigs.config.talos.dev"
# Keys of the machine configuration whose values nobody else is to see, whatever they belong to.
SECRET_KEYS = frozenset(
    ("key", "token", "secret", "secretboxEncryptionSecret", "aescbcEncryptionSecret", "bootstraptoken", "trustdinfo",
     "password", "auth", "identityToken", "privateKey", "presharedKey", "passphrase"),
)  # fmt: skip
HIDDEN = "*** left out ***"
CLUSTER = {
    "nodes": "/api/v1/nodes",
    "pods-kube-system": "/api/v1/namespaces/kube-system/pods",
    "events-kube-system": "/api/v1/namespaces/kube-system/events",
    "daemonsets": "/apis/apps/v1/daemonsets",
    "deployments": "/apis/apps/v1/deployments",
    "certificatesigningrequests": "/apis/certificates.k8s.io/v1/certificatesigningrequests",
}


class Item(NamedTuple):
    """A file of the bundle."""

    path: str
    read: Callable[[], Awaitable[bytes]]


class Bundle:
    """Collects into a ZIP archive; ``say`` gets a line for each item."""

    def __init__(self, file: BinaryIO, say: Callable[[str], None]) -> None:
        self._archive = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED)
        self._say = say
        self.errors: list[str] = []

    async def add(self, items: list[Item]) -> None:
        """One after another: a node that is unwell is not to be overrun."""
        for item in items:
            try:
                content = await asyncio.wait_for(item.read(), ITEM_SECONDS)
            except (RpcError, KubernetesError, OSError, ValueError) as error:
                self.errors.append(f"{item.path}: {str(error) or type(error).__name__}")
                self._say(f"{item.path}: {str(error) or 'it took too long'}")
            else:
                self._archive.writestr(item.path, content)
                self._say(f"{item.path}: {len(content)} bytes")

    def close(self) -> None:
        """Write down what is missing, and end the archive."""
        head = time.strftime("collected %Y-%m-%dT%H:%M:%SZ\n", time.gmtime())
        self._archive.writestr("errors.txt", head + "".join(f"{line}\n" for line in self.errors))
        self._archive.close()


async def node_items(node: Node) -> list[Item]:
    """What there is of one node. Raises RpcError when it does not answer at all."""
    folder = node.label.replace("/", "_")
    ids = list((await node.ask("LogsContainers")).ids)
    known = [each for each in await definitions(node) if not each.sensitive or each.type == MACHINE_CONFIG]
    return [
        Item(f"{folder}/dmesg.log", lambda: _join(node.dmesg())),
        Item(f"{folder}/events.json", lambda: _events(node)),
        *(Item(f"{folder}/{name.lower()}.json", _asking(node, name)) for name in FIGURES),
        *(Item(f"{folder}/logs/{id}.log", _logging(node, id)) for id in ids),
        *(Item(f"{folder}/resources/{each.type}.yaml", _listing(node, each)) for each in known),
    ]


FIGURES = (
    "Version",
    "ServiceList",
    "Processes",
    "Mounts",
    "Memory",
    "Containers",
    "DiskStats",
    "LoadAvg",
    "SystemStat",
)


def cluster_items(kubernetes: Kubernetes) -> list[Item]:
    """What there is of the cluster."""
    return [Item(f"cluster/{name}.json", _getting(kubernetes, path)) for name, path in CLUSTER.items()]


def _getting(kubernetes: Kubernetes, path: str) -> Callable[[], Awaitable[bytes]]:
    return lambda: asyncio.to_thread(kubernetes.request, "GET", path)


def _asking(node: Node, method: str) -> Callable[[], Awaitable[bytes]]:
    async def read() -> bytes:
        from google.protobuf.json_format import MessageToDict

        reply = await node.ask(method)
        return json.dumps(MessageToDict(reply), indent=2, ensure_ascii=False).encode()

    return read


def _logging(node: Node, id: str) -> Callable[[], Awaitable[bytes]]:
    return lambda: _join(node.logs(id))


def _listing(node: Node, definition: Definition) -> Callable[[], Awaitable[bytes]]:
    async def read() -> bytes:
        found = list_records(node, definition.type, definition.namespace)
        documents = [
            {"id": each.id, "phase": each.phase, "version": each.version, "spec": show_spec(definition, each.spec)}
            async for each in found
        ]
        return yaml.dump_documents(documents).encode()

    return read


def show_spec(definition: Definition, spec: Any) -> Any:
    """A resource's content as it goes into the bundle. A configuration that is told as text is taken apart first."""
    if definition.type == MACHINE_CONFIG and isinstance(spec, str):
        return [without_secrets(yaml.plain(each)) for each in yaml.load_documents(spec, "configuration")]
    return without_secrets(spec)


async def _join(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def _events(node: Node) -> bytes:
    """All that the node remembers; the stream goes on, so it is read until nothing more comes."""
    from dozen.client.tracker import describe

    lines: list[str] = []
    stream = node.events(tail=-1)
    try:
        while True:
            event = await asyncio.wait_for(anext(stream), EVENTS_SECONDS)
            lines.append(json.dumps({"id": event.id, "actor": event.actor_id, "event": str(describe(event))}))
    except (TimeoutError, StopAsyncIteration):
        return "\n".join(lines).encode()


def without_secrets(data: Any) -> Any:
    """The same data with values of `SECRET_KEYS` replaced."""
    if isinstance(data, dict):
        return {
            name: HIDDEN if name in SECRET_KEYS and value else without_secrets(value) for name, value in data.items()
        }
    if isinstance(data, list):
        return [without_secrets(each) for each in data]
    if isinstance(data, str) and "-----BEGIN" in data and "PRIVATE KEY" in data:
        return HIDDEN
    return data

"""The node's own id: made once, kept on the volume STATE, so that the same machine is recognized after a reboot."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from dozen.machinery.resources import block, cluster
from dozen.node.configuration import STATE, STATE_DIRECTORY

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store

LOCAL = "local"
FILE = f"{STATE_DIRECTORY}/node-identity.yaml"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BYTES = 32
_KEY = "nodeId:"


class IdentityWatcher:
    """→ Identity. Until STATE is mounted a new id serves; one that is kept there takes its place."""

    name = "node-identity"
    outputs = (cluster.IDENTITY,)

    def __init__(self, store: Store, mode: str, file: str = FILE) -> None:
        self._store = store
        self._mode = mode
        self._file = file

    async def run(self, publish: Publisher) -> None:
        if self._mode != "container":
            await self._store.wait_for(block.VOLUME_STATUS, STATE, lambda volume: volume.spec.phase == "ready")
        node_id = await asyncio.to_thread(load_identity, self._file)
        publish.put(cluster.IDENTITY, LOCAL, cluster.IdentitySpec(node_id=node_id))


def load_identity(path: str) -> str:
    """The id in the file, which is made if it is missing. An id is 32 random bytes in base 62."""
    try:
        with open(path) as file:
            for line in file:
                if line.startswith(_KEY) and (found := line[len(_KEY) :].strip()):
                    return found
    except FileNotFoundError:
        pass
    made = encode(os.urandom(_BYTES))
    draft = f"{path}.new"
    with open(draft, "w") as file:
        file.write(f"{_KEY} {made}\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    return made


def encode(data: bytes) -> str:
    """Bytes as digits of base 62."""
    number, digits = int.from_bytes(data, "big"), []
    while number:
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits)) or "0"

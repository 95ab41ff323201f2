"""Rotating the authority of the machine API: another one takes its place, and nobody is locked out on the way.

Every node goes through four states, and no node enters the next one before all are in this one:

1. the new authority is *accepted* beside the old one, which still signs;
2. the new one signs, the old one is accepted beside it; nodes get new certificates by themselves;
3. the client has a new identity, and each node has been asked with it;
4. the old authority is not accepted any more.

An interruption leaves a cluster in which both are accepted. What a state changes in a configuration is a pure function.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Sequence
from typing import Any

from dozen.client.connection import Connection
from dozen.client.errors import ClientError
from dozen.client.machine import Node
from dozen.client.state import get_record
from dozen.machinery import pki, yaml
from dozen.machinery.config.clients import client_config
from dozen.machinery.pki import Keypair
from dozen.machinery.talosconfig import Context
from dozen.rpc.status import RpcError

CONFIG = ("MachineConfigs.config.talos.dev", "config", "v1alpha1")
# Nodes issue their certificates anew within a second or two; slow ones are emulated.
PATIENCE = 120.0
PAUSE = 1.0


def accept(machine: dict[str, Any], crt: str) -> None:
    """Trust an authority beside the one that signs."""
    accepted = machine.setdefault("acceptedCAs", [])
    if all(_decode(each["crt"]) != crt for each in accepted):
        accepted.append({"crt": _encode(crt)})


def sign_with(machine: dict[str, Any], new: Keypair) -> None:
    """Let another authority sign; the one before stays accepted. Only control planes have a key."""
    old = machine.get("ca") or {}
    if old.get("crt") and _decode(old["crt"]) != new.crt:
        accept(machine, _decode(old["crt"]))
    keyed = bool(old.get("key"))
    machine["ca"] = {"crt": _encode(new.crt), "key": _encode(new.key) if keyed else ""}
    drop(machine, new.crt)


def drop(machine: dict[str, Any], crt: str) -> None:
    """Trust an authority no longer beside the one that signs."""
    left = [each for each in machine.get("acceptedCAs") or () if _decode(each["crt"]) != crt]
    machine["acceptedCAs"] = left
    if not left:
        del machine["acceptedCAs"]


def change(text: str, work: Callable[[dict[str, Any]], None]) -> str:
    """A configuration with its part ``machine`` changed; its other documents stay as they are."""
    documents = [yaml.plain(each) for each in yaml.load_documents(text, "configuration")]
    for document in documents:
        if "machine" in document and "kind" not in document:
            work(document["machine"])
    return yaml.dump_documents(documents)


def _encode(pem: str) -> str:
    return base64.b64encode(pem.encode()).decode()


def _decode(text: str) -> str:
    return base64.b64decode(text).decode()


class Rotation:
    """One rotation. ``nodes`` are asked through the endpoints of ``context``; ``say`` gets a line for each step."""

    def __init__(self, context: Context, nodes: Sequence[str], say: Callable[[str], None], *, dry_run: bool) -> None:
        self._context, self._nodes, self._say, self._dry_run = context, list(nodes), say, dry_run

    async def run(self, name: str) -> Context:
        """The context of a new identity. Raises RpcError, ClientError."""
        old, new = self._context.ca, pki.new_ca()
        self._say("the new authority is accepted beside the old one")
        await self._change_all(self._context, lambda machine: accept(machine, new.crt))
        # From here on either may vouch for a node.
        both = _with(self._context, ca=f"{old.rstrip()}\n{new.crt}")
        self._say("the new authority signs, the old one is accepted")
        await self._change_all(both, lambda machine: sign_with(machine, new))
        identity = client_config(name, new, endpoints=self._context.endpoints, nodes=self._context.nodes).select()
        self._say("every node is asked with the new identity")
        if not self._dry_run:
            for node in self._nodes:
                await self._until_trusted(identity, node)
        self._say("the old authority is not accepted any more")
        await self._change_all(identity, lambda machine: drop(machine, old))
        return identity

    async def _change_all(self, context: Context, work: Callable[[dict[str, Any]], None]) -> None:
        async with Connection.from_context(context) as connection:
            for name in self._nodes:
                node = Node(connection, name)
                if self._dry_run:
                    self._say(f"  {node.label}: would be changed")
                    continue
                await self._change(node, work)
                self._say(f"  {node.label}: changed")

    async def _change(self, node: Node, work: Callable[[dict[str, Any]], None]) -> None:
        """Certificates may change under the calls, so that a connection breaks: then they are made again."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                spec = (await get_record(node, *CONFIG)).spec
                text = spec if isinstance(spec, str) else yaml.dump(spec)
                await node.apply_configuration(change(text, work), "NO_REBOOT")
            except RpcError as error:
                if time.monotonic() > deadline:
                    raise
                self._say(f"  {node.label}: {error.message}; once more")
                await asyncio.sleep(PAUSE)
            else:
                return

    async def _until_trusted(self, identity: Context, name: str) -> None:
        """Until the node shows a certificate of the new authority and lets one in."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                async with Connection.from_context(identity) as connection:
                    await Node(connection, name).version(timeout=10)
            except RpcError as error:
                if time.monotonic() > deadline:
                    step = "both authorities are accepted: run it again when the node is well"
                    raise ClientError(f"{name} is not reached with the new identity: {error.message}", step) from None
                await asyncio.sleep(PAUSE)
            else:
                return


def _with(context: Context, **fields: Any) -> Context:
    import msgspec

    return msgspec.structs.replace(context, **fields)

"""A node's API without a node: answers what it was told to, over a real socket, and remembers what it was asked.

Replies are kept by path. A reply is a message (sent once), a list (each sent in turn, for streams), an `RpcError`
(raised, also from within a list), or a function of the request that gives any of these. An awaitable in a list is
awaited and nothing is sent for it, so that a test can hold a stream open. What has no reply is UNIMPLEMENTED, as on a
node.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, NamedTuple

from dozen.machinery.messages import UnknownName, method_types
from dozen.rpc.server import Server, serve
from dozen.rpc.servercall import ServerCall
from dozen.rpc.status import Code, RpcError


class Asked(NamedTuple):
    """One call: its path, its requests (one unless the client streams) and its metadata."""

    path: str
    requests: list[Any]
    metadata: dict[str, str]

    @property
    def request(self) -> Any:
        return self.requests[0]

    @property
    def method(self) -> str:
        return self.path.rpartition("/")[2]


class FakeNode:
    """``replies``: path, or bare name of a method, → reply. Start it with `start`; ``address`` is then its endpoint."""

    def __init__(self) -> None:
        self.replies: dict[str, Any] = {}
        self.asked: list[Asked] = []
        self.address = ""
        self._server: Server | None = None

    async def start(self, socket: Path) -> None:
        self._server = await serve(self._handle, path=str(socket))
        self.address = f"unix:{socket}"

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.close()

    def methods(self) -> list[str]:
        """Names of the methods that were called, in order."""
        return [call.method for call in self.asked]

    async def _handle(self, call: ServerCall) -> None:
        try:
            types = method_types(call.path)
        except UnknownName as error:
            raise RpcError(Code.UNIMPLEMENTED, str(error)) from None
        requests = []
        while (data := await call.recv()) is not None:
            requests.append(types.request.FromString(data))
            if not types.client_streaming:
                break
        asked = Asked(call.path, requests, {name: str(value) for name, value in call.metadata})
        self.asked.append(asked)
        await self._answer(call, self._reply_to(asked))

    def _reply_to(self, asked: Asked) -> Any:
        reply = self.replies.get(asked.path, self.replies.get(asked.method))
        if reply is None:
            raise RpcError(Code.UNIMPLEMENTED, f"nobody has said what {asked.path} answers")
        return reply(asked.request) if inspect.isfunction(reply) or inspect.ismethod(reply) else reply

    async def _answer(self, call: ServerCall, reply: Any) -> None:
        for each in reply if isinstance(reply, list) else [reply]:
            if isinstance(each, RpcError):
                raise each
            if inspect.isawaitable(each):
                await each
            else:
                await call.send(each.SerializeToString())

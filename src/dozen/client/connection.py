"""A connection to nodes: the endpoints of a context, one identity, one call per node.

A call goes to an *endpoint* and is meant for a *node*: the endpoint's API proxy forwards it there when the metadata
``node`` names another machine. Without a node the endpoint itself answers. Endpoints are tried in turn: one that does
not answer is passed over for a while, and the call goes to the next as long as nothing of it was answered.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from dozen.client.errors import ClientError
from dozen.machinery.messages import method_types
from dozen.machinery.talosconfig import Context
from dozen.rpc.client import Channel, ClientCall
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    import ssl

PORT = 50000
HTTPS_PORT = 443
CONNECT_SECONDS = 10.0


def endpoint_address(text: str) -> str:
    """``host:port`` of an endpoint as people write it; port 50000, or 443 behind ``https://``. Raises ClientError."""
    rest = text.strip()
    port = PORT
    if rest.startswith("https://"):
        rest, port = rest[8:].partition("/")[0], HTTPS_PORT
    if rest.count(":") > 1 and not rest.startswith("["):
        rest = f"[{rest}]"
    host, colon, tail = rest.rpartition(":") if not rest.endswith("]") else (rest, "", "")
    if not colon:
        host, tail = rest, str(port)
    if not host.strip("[]") or not tail.isdigit() or not 0 < int(tail) < 65536:
        raise ClientError(f'"{text}" is not an endpoint', "write host, host:port or https://host")
    return f"{host}:{tail}"


class Connection:
    """Calls to the nodes behind some endpoints. Make it with `from_context` or `insecure`; close it when done."""

    def __init__(
        self,
        endpoints: Sequence[str],
        tls: ssl.SSLContext | None,
        *,
        cluster: str = "",
        connect_timeout: float = CONNECT_SECONDS,
        inspect: Callable[[bytes], str] | None = None,
    ) -> None:
        if not endpoints:
            raise ClientError("there is no endpoint to connect to", "name one with --endpoints or in the context")
        self.endpoints = tuple(endpoints)
        self._channels = [
            Channel(_address(each), tls=tls, connect_timeout=connect_timeout, inspect=inspect) for each in endpoints
        ]
        self._first = 0
        self._common = [("runtime", "Talos"), *([("context", cluster)] if cluster else [])]

    @classmethod
    def from_context(
        cls, context: Context, *, endpoints: Sequence[str] = (), connect_timeout: float = CONNECT_SECONDS
    ) -> Connection:
        """With the context's identity. Raises ClientError when that cannot be used."""
        from dozen.rpc.tls import client_context

        if not context.ca or not context.identity:
            raise ClientError(
                "the context has no certificates to identify with", "merge a complete talosconfig into yours"
            )
        try:
            tls = client_context(context.ca.encode(), context.crt.encode(), context.key.encode())
        except (OSError, ValueError) as error:
            raise ClientError(f"the context's certificates cannot be used: {error}", "get a new talosconfig") from None
        return cls(endpoints or context.endpoints, tls, cluster=context.cluster, connect_timeout=connect_timeout)

    @classmethod
    def insecure(
        cls, endpoint: str, *, fingerprints: Sequence[str] = (), connect_timeout: float = CONNECT_SECONDS
    ) -> Connection:
        """To a node in maintenance: nobody is verified on either side, unless the node's key is to be one of those
        with these fingerprints (SHA-256 of the public key's info, base64)."""
        from dozen.rpc.tls import client_context

        inspect = _one_of(fingerprints) if fingerprints else None
        tls = client_context(None, verify=False)
        return cls([endpoint], tls, connect_timeout=connect_timeout, inspect=inspect)

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()

    async def unary(self, path: str, request: Any = b"", *, node: str = "", timeout: float | None = None) -> Any:
        """One message there, one back; ``request`` defaults to an empty one. Raises RpcError."""
        types = method_types(path)
        for channel, last in self._in_turn():
            try:
                return await channel.unary(path, request, types.response, self._metadata(node), timeout)
            except RpcError as error:
                if last or not _unreached(error):
                    raise
        raise AssertionError("there is always a last endpoint")

    async def stream(
        self, path: str, request: Any = b"", *, node: str = "", timeout: float | None = None
    ) -> AsyncIterator[Any]:
        """One message there, many back."""
        types = method_types(path)
        for channel, last in self._in_turn():
            answered = False
            try:
                async for reply in channel.server_stream(path, request, types.response, self._metadata(node), timeout):
                    answered = True
                    yield reply
                return
            except RpcError as error:
                if answered or last or not _unreached(error):
                    raise

    @asynccontextmanager
    async def call(self, path: str, *, node: str = "", timeout: float | None = None) -> AsyncIterator[ClientCall]:
        """Any call, for those where both sides stream."""
        for channel, last in self._in_turn():
            pending = channel.call(path, self._metadata(node), timeout)
            try:
                call = await pending.__aenter__()
            except RpcError as error:
                if last or not _unreached(error):
                    raise
                continue
            try:
                yield call
            finally:
                call.cancel()
            return

    def _metadata(self, node: str) -> list[tuple[str, str]]:
        return [*self._common, ("node", node)] if node else self._common

    def _in_turn(self) -> Any:
        """(channel, whether it is the last) from the first that is not known to be down."""
        count, start = len(self._channels), self._first
        for step in range(count):
            self._first = (start + step) % count
            yield self._channels[self._first], step == count - 1


def _one_of(fingerprints: Sequence[str]) -> Callable[[bytes], str]:
    """A check of a server's certificate by its key."""

    def inspect(certificate: bytes) -> str:
        from dozen.machinery.pki import CERTIFICATE_LABEL, key_fingerprint, to_pem

        found = key_fingerprint(to_pem(CERTIFICATE_LABEL, certificate))
        return "" if found in fingerprints else f"its key has the fingerprint {found}, which is not the expected one"

    return inspect


def _address(endpoint: str) -> str:
    return endpoint if endpoint.startswith("unix:") else endpoint_address(endpoint)


def _unreached(error: RpcError) -> bool:
    """Whether the call got nowhere, so that another endpoint may be asked."""
    return error.code == Code.UNAVAILABLE

"""HTTP/1.1 as a client speaks it, on asyncio: one connection, one request at a time, bodies as they come.

The node asks the Kubernetes API and downloads manifests. The standard library's client blocks a thread for every open
watch and imports the e-mail package for its headers; what is needed of RFC 9112 fits on two pages.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

    from dozen.machinery.proxies import Proxy

# A line of a reply longer than this is nothing that a server we ask would send, bytes.
LINE_LIMIT = 64 * 1024
HEADERS_LIMIT = 200
CHUNK = 64 * 1024
NO_BODY = (204, 304)


class HttpError(OSError):
    """The peer does not speak HTTP, or stopped in the middle of it."""


class Response:
    """The head of a reply; the body is read from the connection, once. ``headers`` have lower-case names."""

    def __init__(self, status: int, headers: Sequence[tuple[str, str]], connection: Connection) -> None:
        self.status = status
        self.headers = headers
        self._connection = connection
        self._chunked = self.header("transfer-encoding").lower() == "chunked"
        length = self.header("content-length")
        if length and not length.isdigit():
            raise HttpError(f"the reply's Content-Length is {length!r}")
        self._length = 0 if status in NO_BODY else int(length) if length else None

    def header(self, name: str) -> str:
        """The last value of a header, empty when it is not there."""
        return next((value for key, value in reversed(self.headers) if key == name), "")

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    async def body(self) -> AsyncIterator[bytes]:
        """The content in pieces. A connection that ends too early raises HttpError."""
        reader = self._connection.reader
        if self._chunked:
            async for piece in _read_chunks(reader):
                yield piece
        elif self._length is None:
            while piece := await reader.read(CHUNK):
                yield piece
        else:
            async for piece in _read_exactly(reader, self._length):
                yield piece
        # Only what was read to its end leaves a connection on which the next reply begins at its beginning.
        self._connection.reusable = self._ends_by_itself and self.header("connection").lower() != "close"

    async def read(self, limit: int = 64 << 20) -> bytes:
        """The whole content. Raises HttpError when it is longer than ``limit`` bytes."""
        pieces, size = [], 0
        async for piece in self.body():
            size += len(piece)
            if size > limit:
                raise HttpError(f"the reply is longer than {limit} bytes")
            pieces.append(piece)
        return b"".join(pieces)

    @property
    def _ends_by_itself(self) -> bool:
        return self._chunked or self._length is not None


class Connection:
    """One connection to a server. Not for several requests at a time; ``reusable`` says whether another may follow."""

    def __init__(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.host = host
        self.reader = reader
        self.reusable = True
        self._writer = writer

    @classmethod
    async def open(
        cls, host: str, port: int, tls: ssl.SSLContext | None, *, server_name: str = "", timeout: float = 10.0
    ) -> Connection:
        """Connect. Raises OSError (ssl.SSLError is one) and TimeoutError."""
        # Not by wait_for: before Python 3.12 it loses the cancelling of a caller whose time is up in the same moment.
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(
                host, port, ssl=tls, server_hostname=(server_name or host) if tls else None, limit=LINE_LIMIT
            )
        return cls(f"[{host}]" if ":" in host else host, reader, writer)

    @classmethod
    async def open_through(
        cls, proxy: Proxy, host: str, port: int, tls: ssl.SSLContext | None, *, timeout: float = 10.0
    ) -> Connection:
        """Connect by way of a proxy. With TLS it only passes bytes on (RFC 9110, 9.3.6); without, it takes requests.

        Raises OSError and TimeoutError.
        """
        connection = await cls.open(proxy.host, proxy.port, None, timeout=timeout)
        shown = f"[{host}]" if ":" in host else host
        connection.host = shown if port in (80, 443) else f"{shown}:{port}"
        if tls is None:
            return connection
        try:
            connection.host = f"{shown}:{port}"
            credentials = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
            reply = await asyncio.wait_for(connection.request("CONNECT", connection.host, credentials), timeout)
            if reply.status != 200:
                raise HttpError(f"the proxy {proxy.host}:{proxy.port} answered with HTTP status {reply.status}")
            await asyncio.wait_for(connection._writer.start_tls(tls, server_hostname=host), timeout)
        except BaseException:
            connection.close()
            raise
        return connection

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
        """Send a request and read the head of its reply. Raises OSError."""
        self.reusable = False
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body or method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(body)}")
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError("a line break in a header")
        self._writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        await self._writer.drain()
        status = await self._read_status()
        while 100 <= status < 200:  # informational: the reply proper is behind it
            await self._read_headers()
            status = await self._read_status()
        return Response(status, await self._read_headers(), self)

    def close(self) -> None:
        """Let go at once: a farewell in TLS tells the peer nothing that the end of the connection does not."""
        with contextlib.suppress(RuntimeError):  # the loop may be gone already
            self._writer.transport.abort()

    async def _read_status(self) -> int:
        line = await _read_line(self.reader)
        version, _, rest = line.partition(b" ")
        if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
            raise HttpError("the reply is not HTTP")
        return int(rest[:3])

    async def _read_headers(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        while line := await _read_line(self.reader):
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon or len(found) == HEADERS_LIMIT:
                raise HttpError("the reply's headers are not HTTP")
            found.append((name.strip().lower(), value.strip()))
        return found


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    try:
        line = await reader.readline()
    except ValueError:
        raise HttpError(f"the reply has a line of more than {LINE_LIMIT} bytes") from None
    if not line.endswith(b"\n"):
        raise HttpError("the connection ended before the reply")
    return line.rstrip(b"\r\n")


async def _read_chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        size = (await _read_line(reader)).partition(b";")[0].strip()
        try:
            length = int(size, 16)
        except ValueError:
            raise HttpError("a chunk of the reply has no size") from None
        if length == 0:
            while await _read_line(reader):
                pass  # trailers
            return
        async for piece in _read_exactly(reader, length):
            yield piece
        await _read_line(reader)


async def _read_exactly(reader: asyncio.StreamReader, length: int) -> AsyncIterator[bytes]:
    """That many bytes in pieces, as they come."""
    while length:
        piece = await reader.read(min(length, CHUNK))
        if not piece:
            raise HttpError("the connection ended in the middle of a reply")
        length -= len(piece)
        yield piece

"""What apid and trustd have in common: a program without rights that speaks TLS with strangers.

machined writes its certificate into a directory that only this program may read; until there is one it waits, and it
reads it again when it changes. It serves until it is told to stop, and then lets what it is doing come to an end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from dozen.node.apid_credentials import Credentials
from dozen.rpc.limits import Limits
from dozen.rpc.server import Server, serve
from dozen.rpc.servercall import ServerCall

# Between looks for the first certificate: while the node starts, when each moment counts, and from then on.
_SOON, _LATER = 0.01, 0.5
_START_SECONDS = 10.0
_BIND_TRIES, _BIND_PAUSE = 20, 0.25
_GRACE = 2.0


class Handler(Protocol):
    """Answers every call, and has connections of its own to close."""

    async def __call__(self, call: ServerCall) -> None: ...
    async def close(self) -> None: ...


async def run(
    name: str,
    read: Callable[[logging.Logger], Credentials],
    open_handler: Callable[[Credentials, logging.Logger], Handler],
    port: int,
    limits: Mapping[str, int],
) -> int:
    """Serve until SIGTERM. The result is the exit code: 1 when the port cannot be had."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="level=%(levelname)s logger=%(name)s %(message)s")
    log = logging.getLogger(name)
    credentials = read(log)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGHUP, credentials.refresh)
    if not credentials.loaded:
        rehearse()
    if not await wait_for_certificate(credentials, stop, log):
        return 0
    handler = open_handler(credentials, log)
    try:
        server = await listen(handler, credentials, log, port, limits)
    except OSError as error:
        log.error("cannot listen port=%d error=%s", port, error)
        return 1
    log.info("serving port=%d", port)
    await stop.wait()
    await server.close(_GRACE)
    await handler.close()
    return 0


async def wait_for_certificate(credentials: Credentials, stop: asyncio.Event, log: logging.Logger) -> bool:
    """True when there is something to serve with, False when told to stop before."""
    began = time.monotonic()
    if not credentials.refresh():
        log.info("waiting for certificates directory=%s", credentials.directory)
    # Nobody but machined, with a signal, could say that they are there, and it does not know whether we listen yet.
    while not credentials.loaded and not stop.is_set():
        await asyncio.sleep(_SOON if time.monotonic() - began < _START_SECONDS else _LATER)
        credentials.refresh()
    return not stop.is_set()


def rehearse() -> None:
    """Load what TLS needs while there is nothing to serve with yet: later somebody waits for it."""
    import asyncio.sslproto

    from dozen.rpc.tls import server_context

    with contextlib.suppress(OSError):
        server_context(b"", b"", None)
    _ = asyncio.sslproto.SSLProtocol


async def listen(
    handler: Handler, credentials: Credentials, log: logging.Logger, port: int, limits: Mapping[str, int]
) -> Server:
    """On all addresses. A predecessor may hold the port for another moment; OSError when it is not let go."""
    for tries in range(_BIND_TRIES):
        try:
            return await serve(handler, port=port, tls=credentials.server_context, limits=Limits(**limits), log=log)
        except OSError:
            if tries == _BIND_TRIES - 1:
                raise
        await asyncio.sleep(_BIND_PAUSE)
    raise AssertionError("unreachable")

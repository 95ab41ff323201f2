"""trustd: the door that joining nodes come through, on control planes, port 50001.

A worker has no authority's key; it asks a control plane to sign its certificate and shows the machine token instead of
a certificate of its own. trustd speaks TLS with strangers and therefore may do nothing: it holds neither the
authority's key nor the token. It passes this one call on to a socket of machined, which checks the token and signs
(`dozen.node.trust`), and refuses every other.
"""

from __future__ import annotations

from dozen.node import doors
from dozen.node.apid_credentials import Credentials
from dozen.rpc.client import Channel
from dozen.rpc.limits import KIB, MIB
from dozen.rpc.proxy import forward, forwarded_fields
from dozen.rpc.servercall import ServerCall
from dozen.rpc.status import Code, RpcError

DIRECTORY = "/system/run/trustd"
TRUST_SOCKET = "/system/run/machined/trust.sock"
PORT = 50001
CERTIFICATE = "/securityapi.SecurityService/Certificate"

# A request is a kilobyte; whoever sends more, or keeps many calls open, is no node.
LIMITS = {
    "max_message": 64 * KIB,
    "stream_window": 64 * KIB,
    "connection_window": 64 * KIB,
    "max_streams": 4,
    "max_connections": 64,
    "unread_budget": 1 * MIB,
}
_MACHINED_PATIENCE = 5.0


class Trustd:
    """The handler of every call."""

    def __init__(self, socket: str = TRUST_SOCKET) -> None:
        self._machined = Channel(f"unix:{socket}", wait=_MACHINED_PATIENCE, name="machined")

    async def __call__(self, call: ServerCall) -> None:
        if call.path != CERTIFICATE:
            raise RpcError(Code.UNIMPLEMENTED, f"trustd serves {CERTIFICATE} alone; the machine API is on port 50000")
        token = call.metadata.get("token") or ""
        await forward(call, self._machined, forwarded_fields(call, ("token",), [("token", token)]))

    async def close(self) -> None:
        await self._machined.close()


class ServerOnly(Credentials):
    """Files as apid has them, of which only the server's are there: whoever joins has no certificate to be asked for.

    Written by machined; read again when they change.
    """

    def _read(self, name: str) -> bytes | None:
        return b"maintenance" if name == "mode" else super()._read(name)


async def run() -> int:
    """Serve until SIGTERM. The result is the exit code: 1 when the port cannot be had."""
    return await doors.run("trustd", lambda log: ServerOnly(DIRECTORY, log), lambda *_: Trustd(), PORT, LIMITS)

"""machined's side of trustd: checks the token of whoever joins, and signs the certificate.

On a socket of its own, which trustd alone can open beside root, and which serves this one call: whoever took trustd
over could ask for nothing else.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dozen.machinery.resources import config
from dozen.node.configuration import parse
from dozen.node.services.catalogue import TRUSTD_UID
from dozen.node.trustd import CERTIFICATE, TRUST_SOCKET
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.engine.store import Store
    from dozen.node.machine import Machine
    from dozen.rpc.servercall import ServerCall


async def serve_trust_socket(machine: Machine) -> None:
    """Listen; on a node that is no control plane every call is refused."""
    from dozen.rpc.server import serve

    os.makedirs(os.path.dirname(TRUST_SOCKET), exist_ok=True)
    machine.trust_server = await serve(Signer(machine.store), path=TRUST_SOCKET)
    os.chown(TRUST_SOCKET, 0, TRUSTD_UID)
    os.chmod(TRUST_SOCKET, 0o660)


class Signer:
    """The handler of the socket's calls."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(self, call: ServerCall) -> None:
        if call.path != CERTIFICATE:
            raise RpcError(Code.UNIMPLEMENTED, f"only {CERTIFICATE} is served here")
        data = await call.recv()
        await call.send(self.answer(call.metadata.get("token") or "", data or b""))

    def answer(self, token: str, data: bytes) -> bytes:
        """The serialized CertificateResponse. UNAUTHENTICATED for another token, INVALID_ARGUMENT for no request."""
        import hmac

        from dozen.machinery import pki
        from dozen.machinery.config import effective
        from dozen.machinery.csr import sign_request
        from dozen.machinery.messages import message
        from dozen.rpc.router import decode_request

        active = self._store.find(config.MACHINE_CONFIG, config.ACTIVE)
        given = parse(active.spec.text) if active is not None else None
        issuer = effective.issuing_ca(given) if given is not None else None
        if given is None or issuer is None or given.machine is None:
            raise RpcError(Code.FAILED_PRECONDITION, "this node is no control plane and signs nothing")
        expected = given.machine.token.reveal()
        if not expected or not hmac.compare_digest(token.encode(), expected.encode()):
            raise RpcError(Code.UNAUTHENTICATED, "the token is not this cluster's: compare machine.token of both nodes")
        request = decode_request("securityapi.CertificateRequest", data)
        try:
            certificate = sign_request(issuer, request.csr.decode("ascii", "replace"))
        except pki.PkiError as error:
            raise RpcError(Code.INVALID_ARGUMENT, str(error)) from None
        ca = "".join(effective.accepted_cas(given))
        reply = message("securityapi.CertificateResponse")(ca=ca.encode(), crt=certificate.encode())
        return bytes(reply.SerializeToString())

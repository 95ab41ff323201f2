"""A worker's side: makes a key, and has a control plane sign the certificate for it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dozen.machinery.config.scalars import host_of
from dozen.node.trustd import CERTIFICATE, PORT
from dozen.rpc.client import Channel
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.engine.store import Store
    from dozen.machinery.config import Config
    from dozen.machinery.pki import Keypair

TIMEOUT = 10.0

log = logging.getLogger("dozen.trust")


def signers(given: Config, store: Store) -> list[str]:
    """Hosts where trustd may be: the cluster's endpoint, and control planes that discovery knows."""
    from dozen.machinery.config import effective
    from dozen.node.etcd.peers import discovered

    return [host for host in dict.fromkeys((host_of(effective.cluster_endpoint(given)), *discovered(store))) if host]


async def ask_for_certificate(
    given: Config, hosts: Sequence[str], addresses: Sequence[str], dns: Sequence[str], port: int = PORT
) -> tuple[Keypair, tuple[str, ...]]:
    """The certificate with its key, and the authorities to accept. RpcError with the last host's refusal."""
    from dozen.machinery.config import effective
    from dozen.machinery.csr import make_request
    from dozen.machinery.messages import message
    from dozen.machinery.pki import Keypair, certificates, to_pem
    from dozen.rpc.tls import client_context

    accepted = effective.accepted_cas(given)
    tls = client_context("".join(accepted).encode())
    key, request = make_request(addresses, dns)
    token = given.machine.token.reveal() if given.machine else ""
    refusal = RpcError(Code.UNAVAILABLE, "no control plane is known to ask for a certificate")
    for host in hosts:
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        async with Channel(address, tls=tls, server_name=host, connect_timeout=TIMEOUT, name="trustd") as channel:
            try:
                reply = await channel.unary(
                    CERTIFICATE,
                    message("securityapi.CertificateRequest")(csr=request.encode()),
                    message("securityapi.CertificateResponse"),
                    [("token", token)],
                    TIMEOUT,
                )
            except RpcError as error:
                log.info("no certificate from trustd at host=%s: %s", host, error)
                refusal = error
                continue
        found = tuple(to_pem("CERTIFICATE", each) for each in certificates(reply.ca.decode("ascii")))
        return Keypair(reply.crt.decode("ascii"), key), tuple(dict.fromkeys((*accepted, *found)))
    raise refusal

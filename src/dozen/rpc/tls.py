"""TLS contexts for gRPC: version 1.3, ALPN "h2", no session tickets, keys as the machine API writes them.

The machine API labels Ed25519 keys ``ED25519 PRIVATE KEY`` although they are PKCS#8; OpenSSL reads them as ``PRIVATE
KEY`` only. Python's ssl loads keys from files only. So a key with the foreign label goes through an anonymous file in
memory, never through a file system.
"""

from __future__ import annotations

import os
import ssl

_FOREIGN_LABEL = b"ED25519 PRIVATE KEY-----"
_LABEL = b"PRIVATE KEY-----"


def server_context(certificate: bytes, key: bytes, accepted_cas: bytes | None) -> ssl.SSLContext:
    """All PEM. With ``accepted_cas`` a client must show a certificate that one of them signed; without, none is asked.

    Raises ssl.SSLError (an OSError) for what OpenSSL cannot read.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    # A resumed session would skip the check of the client's certificate against renewed authorities.
    context.num_tickets = 0
    _load_pair(context, certificate, key)
    if accepted_cas is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=accepted_cas.decode("ascii"))
    return context


def client_context(
    cas: bytes | None,
    certificate: bytes | None = None,
    key: bytes | None = None,
    *,
    verify: bool = True,
    protocol: str = "h2",
) -> ssl.SSLContext:
    """All PEM. ``verify`` False accepts any server (a node in maintenance has no authority to be checked against).
    ``protocol`` is spoken inside, in ALPN's words."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols([protocol])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if cas is not None:
        context.load_verify_locations(cadata=cas.decode("ascii"))
    if certificate is not None and key is not None:
        _load_pair(context, certificate, key)
    return context


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    return context


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    both = certificate.rstrip() + b"\n" + key.replace(_FOREIGN_LABEL, _LABEL)
    memory = os.memfd_create("key", os.MFD_CLOEXEC)
    try:
        os.write(memory, both)
        context.load_cert_chain(f"/proc/self/fd/{memory}")
    finally:
        os.close(memory)

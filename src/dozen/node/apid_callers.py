"""From a client's certificate to its roles.

TLS has checked that an accepted authority signed the certificate. What TLS does not check, and the machine API asks
for: every certificate of the chain that is not an authority's is for client authentication and for nothing else. The
roles are the organizations in the client's own certificate. A caller with the role os:impersonator speaks for someone
else, and tells that one's roles in metadata: that is how one node's apid forwards a call to another's.
"""

from __future__ import annotations

from collections.abc import Sequence

from dozen.machinery import x509
from dozen.machinery.roles import Role
from dozen.rpc.status import Code, RpcError

CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"


def read_roles(chain: Sequence[bytes]) -> tuple[str, ...]:
    """Roles of a verified chain (DER, leaf first). UNAUTHENTICATED when its certificates are not a client's."""
    if not chain:
        raise RpcError(Code.UNAUTHENTICATED, "a client certificate is required")
    try:
        certificates = [x509.read(der) for der in chain]
    except ValueError as error:
        raise RpcError(Code.UNAUTHENTICATED, f"client certificate is not readable: {error}") from error
    leaf = certificates[0]
    if leaf.is_ca:
        raise RpcError(Code.UNAUTHENTICATED, "an authority's certificate is not a client's")
    for certificate in certificates:
        if not certificate.is_ca and certificate.usages != (CLIENT_AUTH,):
            raise RpcError(Code.UNAUTHENTICATED, "client certificate is not for client authentication alone")
    return tuple(dict.fromkeys(name for name in leaf.subject.organizations if name))


def effective_roles(own: tuple[str, ...], told: Sequence[str]) -> tuple[str, ...]:
    """Roles to act with: one's own, or those that an impersonator tells."""
    if Role.IMPERSONATOR not in own:
        return own
    # Proxies on the way may have joined repeated values (RFC 9110, section 5.3).
    roles = dict.fromkeys(role.strip() for value in told for role in value.split(",") if role.strip())
    return tuple(roles) or own

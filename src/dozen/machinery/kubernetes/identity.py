"""Whose a kubelet's client certificate is."""

from __future__ import annotations

from collections.abc import Iterable

from dozen.machinery import pki
from dozen.machinery.kubernetes.serving import NODE_PREFIX


def is_identity_of(pem: str, nodename: str, authorities: Iterable[str]) -> bool:
    """Whether a certificate (PEM) is that node's and of one of the authorities (PEM), as far as it says so itself.

    Its age does not matter: the kubelet sees to that. A text that is no certificate is nobody's.
    """
    try:
        own = pki.certificate(pem)
        issuers = [pki.certificate(each) for each in authorities]
    except pki.PkiError:
        return False
    return own.subject.common_name == f"{NODE_PREFIX}{nodename}" and any(
        issuer.subject_der == own.issuer_der
        # Authorities of two clusters have the same name; what tells them apart is the identifier of the key.
        and (not own.authority_key_id or own.authority_key_id == issuer.subject_key_id)
        for issuer in issuers
    )

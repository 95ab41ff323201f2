"""How machines become nodes: the token they first present, and the rights to ask for a certificate and to renew it.

A kubelet without a certificate presents the bootstrap token and is then in the group ``system:bootstrappers:nodes``. It
may file a request for a client certificate, which the controller-manager signs on its own. With the certificate it is
in ``system:nodes`` and may renew. Nothing else comes with the token.
"""

from __future__ import annotations

import base64

from dozen.machinery.kubernetes.manifests.pieces import binding, group, system_object
from dozen.machinery.kubernetes.objects import Object

JOINING = "system:bootstrappers:nodes"
NODES = "system:nodes"
_REQUESTS = "system:certificates.k8s.io:certificatesigningrequests"


def bootstrap_token(token: str) -> tuple[Object, ...]:
    """The Secret that makes ``id.secret`` a token; nothing when the cluster has none. It does not expire."""
    id, _, secret = token.partition(".")
    if not id or not secret:
        return ()
    data = {
        "token-id": id,
        "token-secret": secret,
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": JOINING,
    }
    # Under `data` and not `stringData`: the latter is never there when read, so every apply would look like a change.
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}
    name = f"bootstrap-token-{id}"
    return (system_object("v1", "Secret", name, type="bootstrap.kubernetes.io/token", data=encoded),)


def first_certificates() -> Object:
    """Who joins may file a request."""
    return binding("system-bootstrap-node-bootstrapper", "system:node-bootstrapper", group(JOINING))


def approval_of_first_certificates() -> Object:
    """Requests for a node's client certificate by one who joins are approved by the controller-manager."""
    return binding("system-bootstrap-approve-node-client-csr", f"{_REQUESTS}:nodeclient", group(JOINING))


def renewal() -> Object:
    """A node's request for its own client certificate is approved."""
    return binding("system-bootstrap-node-renewal", f"{_REQUESTS}:selfnodeclient", group(NODES))

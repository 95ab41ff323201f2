"""Configurations for clients of the machine API: who they are, and whom they ask. Nodes and people make them."""

from __future__ import annotations

from collections.abc import Sequence

from dozen.machinery import pki, talosconfig
from dozen.machinery.pki import Keypair


def client_config(
    name: str,
    ca: Keypair,
    *,
    endpoints: Sequence[str] = (),
    nodes: Sequence[str] = (),
    roles: Sequence[str] = ("os:admin",),
    lifetime: int = pki.ADMIN_LIFETIME,
) -> talosconfig.Talosconfig:
    """A client configuration with one context and a fresh certificate of the given roles."""
    identity = pki.client_certificate(ca, roles, lifetime)
    context = talosconfig.Context(
        endpoints=tuple(endpoints), nodes=tuple(nodes), ca=ca.crt, crt=identity.crt, key=identity.key
    )
    return talosconfig.Talosconfig(name, {name: context})

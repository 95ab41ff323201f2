"""Judging a kubelet's request for its serving certificate: the one that it shows to those who want logs or a shell.

Kubernetes leaves the approval to whoever knows the nodes. Here a request is approved when the node asks for itself and
for nothing but the names and addresses of its own Node object, none of which another node has. It is denied when it can
never become right, and otherwise left to wait: a node that has just registered learns its addresses a moment later.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from dozen.machinery.addresses import canonical_address, unpack_address
from dozen.machinery.csr import CertificateRequest, read_request
from dozen.machinery.der import DerError
from dozen.machinery.kubernetes.objects import Object
from dozen.machinery.pki import from_pem

SIGNER = "kubernetes.io/kubelet-serving"
NODE_PREFIX = "system:node:"
NODES_GROUP = "system:nodes"
_USAGES = frozenset(("digital signature", "key encipherment", "server auth"))


class Decision(StrEnum):
    """What is to happen to a request."""

    APPROVE = "Approved"
    DENY = "Denied"
    WAIT = "Waiting"


class Verdict(NamedTuple):
    """A decision and why."""

    decision: Decision
    reason: str


def is_pending(request: Object) -> bool:
    """Whether nobody has decided on the request yet."""
    conditions = (request.get("status") or {}).get("conditions") or ()
    return not any(each.get("type") in ("Approved", "Denied", "Failed") for each in conditions)


def judge(request: Object, nodes: Mapping[str, Object]) -> Verdict:
    """Decide on a CertificateSigningRequest of signer `SIGNER`; ``nodes`` are all Node objects by name."""
    spec = request["spec"]
    if spec.get("signerName") != SIGNER:
        return Verdict(Decision.WAIT, f"its signer is {spec.get('signerName')}, which is not decided on here")
    name = str(spec.get("username", "")).removeprefix(NODE_PREFIX)
    if f"{NODE_PREFIX}{name}" != spec.get("username") or NODES_GROUP not in (spec.get("groups") or ()):
        return _deny(f"{spec.get('username')} is not a node")
    usages = set(spec.get("usages") or ())
    if "server auth" not in usages or usages - _USAGES:
        return _deny(f"the usages {', '.join(sorted(usages))} are not those of a server")
    try:
        names = _names(str(spec.get("request", "")))
    except (DerError, ValueError, binascii.Error) as error:
        return _deny(f"the request cannot be read: {error}")
    if names.common_name != spec["username"] or set(names.organizations) != {NODES_GROUP}:
        return _deny(f"{spec['username']} asks for a certificate of {names.common_name or 'nobody'}")
    if not names.dns and not names.addresses:
        return _deny("no name and no address is asked for")
    return _judge_names(name, names, nodes)


def _judge_names(name: str, names: CertificateRequest, nodes: Mapping[str, Object]) -> Verdict:
    wanted = {each.lower() for each in names.dns} | {unpack_address(address) for address in names.addresses}
    for other, node in nodes.items():
        if other != name and (taken := wanted & _known(node)):
            return _deny(f"{', '.join(sorted(taken))} belongs to node {other}")
    if name not in nodes:
        return Verdict(Decision.WAIT, f"node {name} has not registered yet")
    if missing := wanted - _known(nodes[name]):
        return Verdict(Decision.WAIT, f"node {name} does not have {', '.join(sorted(missing))}")
    return Verdict(Decision.APPROVE, f"node {name} asks for its own names and addresses")


def _deny(reason: str) -> Verdict:
    return Verdict(Decision.DENY, reason)


def _names(encoded: str) -> CertificateRequest:
    blocks = from_pem(base64.b64decode(encoded, validate=True).decode("ascii"))
    if len(blocks) != 1 or blocks[0][0] not in ("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"):
        raise ValueError("it is not one certificate request in PEM")
    return read_request(blocks[0][1])


def _known(node: Object) -> set[str]:
    """A node's names and addresses, each in the one way in which it is written here."""
    said = (node.get("status") or {}).get("addresses") or ()
    return {_canonical(str(each.get("address", ""))) for each in said}


def _canonical(text: str) -> str:
    try:
        return canonical_address(text)
    except ValueError:
        return text.lower()

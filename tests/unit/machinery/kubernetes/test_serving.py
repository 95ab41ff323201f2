"""Which requests for serving certificates are approved, which are denied, and which wait."""

from __future__ import annotations

import base64
import ipaddress
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dozen.machinery import csr
from dozen.machinery.der import DerError
from dozen.machinery.kubernetes.serving import SIGNER, Decision, is_pending, judge

KEY = ec.generate_private_key(ec.SECP256R1())
NAME = "system:node:one"


def make_request(
    common: str = NAME,
    organizations: tuple[str, ...] = ("system:nodes",),
    dns: tuple[str, ...] = ("one",),
    addresses: tuple[str, ...] = ("10.0.0.1",),
    others: tuple[x509.GeneralName, ...] = (),
) -> x509.CertificateSigningRequest:
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
    subject.append(x509.NameAttribute(NameOID.COMMON_NAME, common))
    names: list[x509.GeneralName] = [x509.DNSName(each) for each in dns]
    names += [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
    names += others
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(KEY, hashes.SHA256())


def pem(request: x509.CertificateSigningRequest) -> str:
    return base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()


def asked(made: x509.CertificateSigningRequest | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "spec": {
            "signerName": SIGNER,
            "username": NAME,
            "groups": ["system:nodes", "system:authenticated"],
            "usages": ["digital signature", "server auth"],
            "request": pem(made or make_request()),
            **spec,
        }
    }


def node(*addresses: str) -> dict[str, Any]:
    return {"status": {"addresses": [{"type": "InternalIP", "address": each} for each in addresses]}}


NODES = {"one": node("10.0.0.1", "One", "fd00::1"), "two": node("10.0.0.2", "two")}


def decide(request: dict[str, Any], nodes: dict[str, Any] = NODES) -> str:
    return judge(request, nodes).decision


def test_a_node_gets_its_own_names_and_addresses() -> None:
    verdict = judge(asked(), NODES)
    assert verdict.decision is Decision.APPROVE
    assert decide(asked(make_request(addresses=("10.0.0.1", "fd00:0::1")))) is Decision.APPROVE


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (asked(username="system:serviceaccount:default:x"), "is not a node"),
        (asked(username="kubernetes-admin"), "is not a node"),
        (asked(groups=["system:authenticated"]), "is not a node"),
        (asked(usages=["client auth"]), "are not those of a server"),
        (asked(usages=["server auth", "client auth"]), "are not those of a server"),
        (asked(make_request(common="system:node:two")), "asks for a certificate of system:node:two"),
        (asked(make_request(organizations=("system:masters",))), "asks for a certificate of"),
        (asked(make_request(organizations=("system:nodes", "system:masters"))), "asks for a certificate of"),
        (asked(make_request(dns=(), addresses=())), "no name and no address"),
        (asked(make_request(addresses=("10.0.0.1", "10.0.0.2"))), "10.0.0.2 belongs to node two"),
        (asked(make_request(dns=("TWO",))), "two belongs to node two"),
        (asked(make_request(others=(x509.UniformResourceIdentifier("spiffe://x"),))), "cannot be read"),
        (asked(request="!"), "cannot be read"),
        (asked(request=base64.b64encode(b"hello").decode()), "not one certificate request"),
    ],
)
def test_what_can_never_become_right_is_denied_with_the_reason(request_: dict[str, Any], reason: str) -> None:
    verdict = judge(request_, NODES)
    assert verdict.decision is Decision.DENY
    assert reason in verdict.reason


@pytest.mark.parametrize(
    ("request_", "nodes"),
    [
        (asked(), {}),
        (asked(make_request(addresses=("10.0.0.9",))), NODES),
        (asked(make_request(dns=("api.example.org",))), NODES),
        (asked(signerName="example.org/mine"), NODES),
    ],
)
def test_what_may_become_right_waits(request_: dict[str, Any], nodes: dict[str, Any]) -> None:
    assert decide(request_, nodes) is Decision.WAIT


@pytest.mark.parametrize(
    ("conditions", "pending"),
    [([], True), ([{"type": "Approved"}], False), ([{"type": "Denied"}], False), ([{"type": "Other"}], True)],
)
def test_a_request_is_pending_until_somebody_decided(conditions: list[Any], pending: bool) -> None:
    assert is_pending({"status": {"conditions": conditions}}) is pending


def test_a_request_is_read_whole() -> None:
    found = csr.read_request(make_request().public_bytes(serialization.Encoding.DER))
    assert found == (NAME, ("system:nodes",), ("one",), (b"\x0a\x00\x00\x01",))


@pytest.mark.parametrize("cut", [1, 10, 40, 100])
def test_a_request_that_is_cut_short_is_refused(cut: int) -> None:
    data = make_request().public_bytes(serialization.Encoding.DER)
    with pytest.raises(DerError):
        csr.read_request(data[:-cut])

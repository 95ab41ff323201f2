"""Joining with a token: a worker's request, trustd in between, machined's signature."""

from __future__ import annotations

import asyncio
import logging
import socket as socket_module
from pathlib import Path

import pytest

from dozen.engine.store import Store
from dozen.machinery import pki
from dozen.machinery.config import generate, load
from dozen.machinery.csr import make_request, sign_request
from dozen.machinery.messages import message
from dozen.machinery.resources import config
from dozen.node.trust.asking import ask_for_certificate, signers
from dozen.node.trust.signing import Signer
from dozen.node.trustd import Trustd
from dozen.rpc.client import Channel
from dozen.rpc.server import serve
from dozen.rpc.status import Code, RpcError
from dozen.rpc.tls import client_context, server_context

BUNDLE = generate("test", "https://127.0.0.1:6443")
CA = BUNDLE.secrets.os


def store_with(text: str) -> Store:
    store = Store()
    store.put(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text), owner="test")
    return store


def test_a_request_becomes_a_certificate_for_its_names_and_serving_alone() -> None:
    key, request = make_request(["10.0.0.7", "fd00::7"], ["worker-1"])
    made = pki.certificate(sign_request(CA, request))
    assert made.dns == ("worker-1",)
    assert made.addresses == (bytes([10, 0, 0, 7]), pki.address_bytes("fd00::7"))
    assert made.usages == ("1.3.6.1.5.5.7.3.1",)
    assert made.subject.organizations == ()
    assert pki.matches(pki.Keypair(sign_request(CA, request), key))


def test_the_library_reads_our_request() -> None:
    from cryptography import x509

    _, request = make_request(["10.0.0.7"], ["worker-1"])
    found = x509.load_pem_x509_csr(request.encode())
    assert found.is_signature_valid
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["worker-1"]


@pytest.mark.parametrize(
    "text", ["", "nonsense", CA.crt, "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"]
)
def test_what_is_no_request_is_refused(text: str) -> None:
    with pytest.raises(pki.PkiError):
        sign_request(CA, text)


@pytest.mark.parametrize(
    ("text", "token", "code"),
    [
        (BUNDLE.controlplane, "wrong", Code.UNAUTHENTICATED),
        (BUNDLE.controlplane, "", Code.UNAUTHENTICATED),
        (BUNDLE.controlplane, "ü", Code.UNAUTHENTICATED),
        (BUNDLE.worker, BUNDLE.secrets.machine_token, Code.FAILED_PRECONDITION),
        (BUNDLE.controlplane, BUNDLE.secrets.machine_token, Code.INVALID_ARGUMENT),
    ],
)
def test_refusals(text: str, token: str, code: Code) -> None:
    with pytest.raises(RpcError) as caught:
        Signer(store_with(text)).answer(token, message("securityapi.CertificateRequest")().SerializeToString())
    assert caught.value.code is code


def test_a_worker_gets_its_certificate_through_trustd(tmp_path: Path) -> None:
    async def scenario() -> None:
        socket = str(tmp_path / "trust.sock")
        machined = await serve(Signer(store_with(BUNDLE.controlplane)), path=socket)
        own = pki.server_certificate(CA, ["127.0.0.1"])
        trustd = Trustd(socket)
        tls = server_context(own.crt.encode(), own.key.encode(), None)
        listener = socket_module.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        door = await serve(trustd, sock=listener, tls=tls, log=logging.getLogger("test"))
        worker = load(BUNDLE.worker)
        hosts = signers(worker, Store())
        assert hosts == ["127.0.0.1"]
        pair, accepted = await ask_for_certificate(worker, hosts, ["10.0.0.7"], ["worker-1"], port)
        assert pki.matches(pair)
        assert accepted == (CA.crt,)
        stranger = load(BUNDLE.worker.replace(BUNDLE.secrets.machine_token, "abcdef.0123456789abcdef"))
        with pytest.raises(RpcError, match=r"compare machine\.token"):
            await ask_for_certificate(stranger, hosts, ["10.0.0.7"], [], port)
        async with Channel(f"127.0.0.1:{port}", tls=client_context(CA.crt.encode())) as channel:
            with pytest.raises(RpcError, match="port 50000") as caught:
                await channel.unary("/machine.MachineService/Version", b"")
            assert caught.value.code is Code.UNIMPLEMENTED
        await door.close(0)
        await trustd.close()
        await machined.close(0)

    asyncio.run(asyncio.wait_for(scenario(), 20))

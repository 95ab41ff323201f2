"""Certificates for Kubernetes: what every implementation of keys makes is what a cryptography library accepts."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509 as library
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from dozen.machinery import certificates, pki

LAUNCHER = Path(__file__).parents[3] / "launcher"
MODULE = """
#define PY_SSIZE_T_CLEAN
#include "crypto.h"
#define ROW(name) {#name, dozen_##name, METH_VARARGS, ""}
static PyMethodDef functions[] = {ROW(key_generate), ROW(key_public), ROW(key_sign), {NULL, NULL, 0, NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "launcher_keys", "", -1, functions, 0, 0, 0, 0};
PyMODINIT_FUNC PyInit_launcher_keys(void) { return PyModule_Create(&definition); }
"""


class LauncherKeys:
    """The launcher's functions, compiled into a module for the interpreter that runs the tests."""

    def __init__(self, module: Any) -> None:
        self.generate = module.key_generate
        self.public_key = module.key_public
        self.sign = module.key_sign


def compile_launcher(folder: Path) -> certificates.Keys:
    headers = Path(sysconfig.get_paths()["include"])
    compiler = shutil.which("gcc")
    if compiler is None or not (headers / "Python.h").exists():
        pytest.skip("no compiler, or no headers of Python")
    source, target = folder / "keys.c", folder / "launcher_keys.so"
    source.write_text(MODULE)
    words = [compiler, "-std=gnu17", "-O1", "-fPIC", "-shared", f"-I{headers}", f"-I{LAUNCHER}"]
    subprocess.run([*words, str(LAUNCHER / "crypto.c"), str(source), "-o", str(target)], check=True)
    spec = importlib.util.spec_from_file_location("launcher_keys", target)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return LauncherKeys(module)


@pytest.fixture(scope="module", params=["library", "launcher"])
def keys(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    found = compile_launcher(tmp_path_factory.mktemp("launcher")) if request.param == "launcher" else None
    certificates.use(found)
    yield
    certificates.use(None)


def authority(kind: str) -> pki.Keypair:
    if kind == "ed25519":
        return pki.new_ca()
    key: Any = ec.generate_private_key(ec.SECP256R1())
    if kind == "rsa":
        key = rsa.generate_private_key(65537, 2048)
    name = library.Name([library.NameAttribute(NameOID.ORGANIZATION_NAME, "kubernetes")])
    now = datetime.now(UTC)
    certificate = (
        library.CertificateBuilder(name, name, key.public_key(), library.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(library.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(library.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8 if kind == "ec-pkcs8" else serialization.PrivateFormat.TraditionalOpenSSL
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return pki.Keypair(certificate.public_bytes(serialization.Encoding.PEM).decode(), pem.decode())


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("kind", ["ec", "ec-pkcs8", "rsa", "ed25519"])
def test_every_kind_of_authority_signs(kind: str) -> None:
    ca = authority(kind)
    certificates.check_authority(ca, "cluster.ca")
    pair = certificates.issue(
        ca,
        "system:node:n1",
        organizations=("system:nodes",),
        usages=certificates.BOTH,
        names=("10.0.0.1", "n1.example", "fd00::1", "10.0.0.1", "", "ü"),
        lifetime=3600,
    )
    read = library.load_pem_x509_certificate(pair.crt.encode())
    parent = library.load_pem_x509_certificate(ca.crt.encode())
    read.verify_directly_issued_by(parent)
    assert certificates.matches(pair)
    assert not certificates.matches(pki.Keypair(pair.crt, certificates.new_key()))
    assert [each.rfc4514_string() for each in read.subject.rdns] == ["O=system:nodes", "CN=system:node:n1"]
    names = read.extensions.get_extension_for_class(library.SubjectAlternativeName).value
    assert [str(each.value) for each in names] == ["n1.example", "10.0.0.1", "fd00::1"]
    ours = read.extensions.get_extension_for_class(library.AuthorityKeyIdentifier).value.key_identifier
    assert ours == parent.extensions.get_extension_for_class(library.SubjectKeyIdentifier).value.digest


@pytest.mark.usefixtures("keys")
def test_a_certificate_does_not_outlive_its_authority() -> None:
    ca = authority("ec")
    pair = certificates.issue(ca, "x", lifetime=pki.YEAR)
    assert pki.certificate(pair.crt).not_after == pki.certificate(ca.crt).not_after


@pytest.mark.usefixtures("keys")
def test_the_public_half_of_a_key_is_what_the_library_says() -> None:
    pem = certificates.new_key()
    assert pem.startswith("-----BEGIN EC PRIVATE KEY-----\n")
    key = serialization.load_pem_private_key(pem.encode(), None)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    assert certificates.public_pem(pem).encode() == key.public_key().public_bytes(serialization.Encoding.PEM, form)


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda ca: pki.Keypair(ca.crt, certificates.new_key()), "cluster.ca: the key is not the certificate's"),
        (lambda ca: pki.Keypair(ca.crt, "nothing"), "cluster.ca: expected a PEM private key, found none"),
        (
            lambda ca: pki.Keypair(ca.crt, pki.to_pem(certificates.EC_LABEL, b"junk")),
            "cluster.ca: the private key cannot be read: .*",
        ),
        (
            lambda ca: certificates.issue(ca, "leaf", lifetime=60),
            "cluster.ca: the certificate is not an authority's",
        ),
    ],
    ids=["another key", "no key", "junk", "no authority"],
)
def test_an_authority_that_cannot_sign_is_told_from_one_that_can(spoil: Any, complaint: str) -> None:
    with pytest.raises(pki.PkiError, match=f"^{complaint}$"):
        certificates.check_authority(spoil(authority("ec")), "cluster.ca")

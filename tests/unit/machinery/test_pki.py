"""Certificates: what we write is what a cryptography library reads, and what we read is what one writes."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509 as library
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from dozen.machinery import der, pki, x509

NOW = 1_800_000_000


@pytest.fixture(scope="module")
def ca() -> pki.Keypair:
    return pki.new_ca(now=NOW)


def parsed(pair: pki.Keypair) -> library.Certificate:
    return library.load_pem_x509_certificate(pair.crt.encode())


def extension(certificate: library.Certificate, kind: Any) -> Any:
    return certificate.extensions.get_extension_for_class(kind)


def test_authority(ca: pki.Keypair) -> None:
    certificate = parsed(ca)
    certificate.verify_directly_issued_by(certificate)
    assert certificate.version is library.Version.v3
    assert [attribute.value for attribute in certificate.subject] == ["talos"]
    assert certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert certificate.not_valid_before_utc == datetime.fromtimestamp(NOW - pki.BACKDATE, UTC)
    assert certificate.not_valid_after_utc == datetime.fromtimestamp(NOW + pki.CA_LIFETIME, UTC)
    assert extension(certificate, library.BasicConstraints).critical
    assert extension(certificate, library.BasicConstraints).value.ca
    usage = extension(certificate, library.KeyUsage).value
    assert usage.key_cert_sign
    assert usage.crl_sign


def test_server_certificate(ca: pki.Keypair) -> None:
    pair = pki.server_certificate(ca, ["10.0.0.1", "2001:db8::1"], ["node", "*.example"], 3600, now=NOW)
    certificate = parsed(pair)
    certificate.verify_directly_issued_by(parsed(ca))
    assert list(extension(certificate, library.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    names = extension(certificate, library.SubjectAlternativeName).value
    assert names.get_values_for_type(library.DNSName) == ["node", "*.example"]
    assert names.get_values_for_type(library.IPAddress) == list(map(ipaddress.ip_address, ("10.0.0.1", "2001:db8::1")))
    assert not extension(certificate, library.BasicConstraints).value.ca
    assert extension(certificate, library.AuthorityKeyIdentifier).value.key_identifier == (
        extension(parsed(ca), library.SubjectKeyIdentifier).value.digest
    )


def test_client_certificate_carries_roles_in_order(ca: pki.Keypair) -> None:
    certificate = parsed(pki.client_certificate(ca, ["os:reader", "os:admin"], now=NOW))
    organizations = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert [each.value for each in organizations] == ["os:reader", "os:admin"]
    assert list(extension(certificate, library.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_keys_are_pkcs8_under_their_own_label(ca: pki.Keypair) -> None:
    assert ca.key.startswith("-----BEGIN ED25519 PRIVATE KEY-----\n")
    key = serialization.load_pem_private_key(pki.tls_key(ca.key).encode(), None)
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    assert key.private_bytes_raw() == pki.seed_of(ca.key) == pki.seed_of(pki.tls_key(ca.key))
    written = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert written == x509.private_key(key.private_bytes_raw())


def test_a_certificate_never_outlives_its_authority(ca: pki.Keypair) -> None:
    pair = pki.client_certificate(ca, ["os:admin"], 2 * pki.CA_LIFETIME, now=NOW)
    assert pki.certificate(pair.crt).not_after == pki.certificate(ca.crt).not_after


def test_reading_agrees_with_the_library(ca: pki.Keypair) -> None:
    pair = pki.server_certificate(ca, ["10.0.0.1"], ["node"], common_name="node", now=NOW)
    mine, theirs = pki.certificate(pair.crt), parsed(pair)
    assert mine.serial == theirs.serial_number
    assert mine.subject == x509.Name((), "node")
    assert mine.issuer == x509.Name(("talos",), "")
    assert mine.issuer_der == theirs.issuer.public_bytes()
    assert mine.not_after == theirs.not_valid_after_utc.timestamp()
    assert (mine.dns, mine.addresses) == (("node",), (bytes((10, 0, 0, 1)),))
    assert mine.usages == (x509.SERVER_AUTH,)
    assert not mine.is_ca
    assert pki.fingerprint(pair.crt) == theirs.fingerprint(hashes.SHA256()).hex()


def test_reads_what_others_write() -> None:
    """An ECDSA certificate with a printable string, a far end and extensions that are not of interest."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = library.Name(
        [
            library.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            library.NameAttribute(NameOID.ORGANIZATION_NAME, "os:admin"),
            library.NameAttribute(NameOID.COMMON_NAME, "Jürgen"),
        ]
    )
    certificate = (
        library.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(datetime(1990, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2090, 2, 28, 1, 2, 3, tzinfo=UTC))
        .add_extension(library.CRLNumber(3), critical=False)
        .add_extension(library.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=True)
        .sign(key, hashes.SHA256())
    )
    mine = x509.read(certificate.public_bytes(serialization.Encoding.DER))
    assert mine.subject == x509.Name(("os:admin",), "Jürgen")
    assert mine.not_before == datetime(1990, 1, 1, tzinfo=UTC).timestamp()
    assert mine.not_after == datetime(2090, 2, 28, 1, 2, 3, tzinfo=UTC).timestamp()
    assert mine.usages == (x509.CLIENT_AUTH,)
    with pytest.raises(der.DerError, match="not an Ed25519 key"):
        _ = mine.raw_key


def test_a_key_that_is_not_the_certificates_is_noticed(ca: pki.Keypair) -> None:
    other = pki.new_ca()
    assert pki.matches(ca)
    assert not pki.matches(pki.Keypair(ca.crt, other.key))
    with pytest.raises(pki.PkiError, match="not a CA certificate for its key"):
        pki.client_certificate(pki.Keypair(ca.crt, other.key), ["os:admin"])
    leaf = pki.client_certificate(ca, ["os:admin"])
    with pytest.raises(pki.PkiError, match="not a CA certificate"):
        pki.client_certificate(leaf, ["os:admin"])


def test_refusals(ca: pki.Keypair) -> None:
    with pytest.raises(pki.PkiError, match="at least one role"):
        pki.client_certificate(ca, [])
    with pytest.raises(pki.PkiError, match='"node" is not an IP address'):
        pki.server_certificate(ca, ["node"])
    with pytest.raises(pki.PkiError, match="found none"):
        pki.certificate("nothing")
    with pytest.raises(pki.PkiError, match="has no end"):
        pki.from_pem(ca.crt.partition("-----END")[0])
    with pytest.raises(pki.PkiError, match="not base64"):
        pki.from_pem(ca.crt.replace("MII", "M$I", 1))
    with pytest.raises(pki.PkiError, match="private key, found none"):
        pki.seed_of(ca.crt)


def test_no_private_key_in_repr(ca: pki.Keypair) -> None:
    assert "PRIVATE" not in repr(ca)


def test_another_primitive_can_be_used() -> None:
    class Recorder:
        def public_key(self, seed: bytes) -> bytes:
            return seed[::-1]

        def sign(self, seed: bytes, message: bytes) -> bytes:
            return bytes(64)

    pki.use(Recorder())
    try:
        pair = pki.new_ca()
        assert pki.certificate(pair.crt).raw_key == pki.seed_of(pair.key)[::-1]
    finally:
        pki.use(None)


@given(st.binary(max_size=300))
def test_reading_strangers_bytes_ends_in_a_der_error_or_not_at_all(data: bytes) -> None:
    with pytest.raises((der.DerError, ValueError)):
        x509.read(data)


@given(st.data())
def test_a_damaged_certificate_is_read_or_refused(data: st.DataObject) -> None:
    whole = bytearray(pki.certificates(CERTIFICATE)[0])
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    try:
        x509.read(bytes(whole))
    except ValueError:
        return


CERTIFICATE = pki.server_certificate(pki.new_ca(), ["10.0.0.1"], ["node"]).crt


@given(st.integers(0, 2**127))
def test_integers_are_read_back(value: int) -> None:
    assert der.read_integer(der.read_whole(der.integer(value), der.INTEGER)) == value


@given(st.integers(-631152000, 253402300799))
def test_moments_are_read_back(seconds: int) -> None:
    element, _ = der.read_one(der.moment(seconds))
    assert der.read_moment(element) == seconds


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x80\x00\x00",
        b"\x30\x81\x01\x00",
        b"\x30\x82\x00\x81" + bytes(129),
        b"\x30\x02\x00",
        b"\x30\x00\x00",
        b"\x1f\x01\x00",
        b"\x31\x00",
    ],
)
def test_what_der_forbids(data: bytes) -> None:
    with pytest.raises(der.DerError):
        der.read_whole(data, der.SEQUENCE)

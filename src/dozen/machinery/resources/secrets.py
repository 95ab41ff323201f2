"""Keys and certificates. All of it is for administrators only."""

from __future__ import annotations

from dozen.machinery.resource import Kind, Sensitivity
from dozen.machinery.resources.spec import Spec


class PemCertificate(Spec):
    """A certificate, PEM."""

    crt: bytes = b""

    WIRE = "1 crt bytes"


class PemPair(Spec):
    """A certificate and its key, PEM."""

    crt: bytes = b""
    key: bytes = b""

    WIRE = "1 crt bytes, 2 key bytes"


class APICertsSpec(Spec):
    """Certificates of the machine API; id ``api``."""

    accepted_cas: tuple[PemCertificate, ...] = ()
    client: PemPair = PemPair()
    server: PemPair = PemPair()
    skip_verifying_client_cert: bool = False

    WIRE = "4 acceptedCAs [PemCertificate], 2 client PemPair, 3 server PemPair, 5 skipVerifyingClientCert bool"


API_CERTIFICATE = Kind(
    "ApiCertificates.secrets.talos.dev",
    "secrets",
    APICertsSpec,
    "ApiCertificate",
    aliases=("apicertificate", "ac", "acs"),
    sensitivity=Sensitivity.SENSITIVE,
)


class CertSANSpec(Spec):
    """Names that go into the node's certificates."""

    ips: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    fqdn: str = ""

    WIRE = "1 ips [addr], 2 dnsNames [string], 3 fqdn string"


CERT_SAN = Kind(
    "CertSANs.secrets.talos.dev",
    "secrets",
    CertSANSpec,
    "CertSAN",
    aliases=("certsan", "csan", "csans"),
    sensitivity=Sensitivity.SENSITIVE,
)


class OSRootSpec(Spec):
    """The root of trust of the machine API; id ``os``."""

    issuing_ca: PemPair = PemPair()
    accepted_cas: tuple[PemCertificate, ...] = ()
    cert_san_ips: tuple[str, ...] = ()
    cert_san_dns_names: tuple[str, ...] = ()
    token: str = ""

    WIRE = """
        1 issuingCA PemPair, 5 acceptedCAs [PemCertificate], 2 certSANIPs [addr], 3 certSANDNSNames [string],
        4 token string
    """


OS_ROOT_SECRET = Kind(
    "OSRootSecrets.secrets.talos.dev",
    "secrets",
    OSRootSpec,
    "OSRootSecret",
    aliases=("osrootsecret", "osrs"),
    sensitivity=Sensitivity.SENSITIVE,
)

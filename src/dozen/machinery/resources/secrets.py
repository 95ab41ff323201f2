"""Keys and certificates. All of it is for administrators only."""

from __future__ import annotations

from collections.abc import Mapping

from dozen.machinery.resource import NO_LABELS, Kind, Sensitivity
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


class PemKey(Spec):
    """A key alone, PEM."""

    key: bytes = b""

    WIRE = "1 key bytes"


class Url(Spec):
    """A URL, as text."""

    full_path: str = ""

    WIRE = "1 fullPath string"


class KubernetesRootSpec(Spec):
    """The roots of trust of Kubernetes and what its certificates are made from; id ``k8s``; control planes only."""

    name: str = ""
    endpoint: Url = Url()
    local_endpoint: Url = Url()
    cert_sans: tuple[str, ...] = ()
    api_server_ips: tuple[str, ...] = ()
    dns_domain: str = ""
    issuing_ca: PemPair = PemPair()
    accepted_cas: tuple[PemCertificate, ...] = ()
    aggregator_ca: PemPair = PemPair()
    accepted_aggregator_cas: tuple[PemCertificate, ...] = ()
    service_account: PemKey = PemKey()
    service_account_accepted_keys: tuple[PemKey, ...] = ()
    issuer_url: str = ""
    accepted_issuers: tuple[str, ...] = ()
    api_audiences: tuple[str, ...] = ()
    aes_cbc_encryption_secret: str = ""
    bootstrap_token_id: str = ""
    bootstrap_token_secret: str = ""
    secretbox_encryption_secret: str = ""
    etcd_encryption_config: Mapping[str, object] = NO_LABELS

    WIRE = """
        1 name string, 2 endpoint Url, 3 local_endpoint Url, 4 certSANs [string], 14 apiServerIPs [addr],
        6 dnsDomain string, 7 issuingCA PemPair, 15 acceptedCAs [PemCertificate], 9 aggregatorCA PemPair,
        17 acceptedAggregatorCAs [PemCertificate], 8 serviceAccount PemKey, 18 serviceAccountAcceptedKeys [PemKey],
        19 issuerURL string, 20 acceptedIssuers [string], 21 apiAudiences [string], 10 aesCBCEncryptionSecret string,
        11 bootstrapTokenID string, 12 bootstrapTokenSecret string, 13 secretboxEncryptionSecret string,
        16 etcdEncryptionConfig json
    """


KUBERNETES = "k8s"

KUBERNETES_ROOT = Kind(
    "KubernetesRootSecrets.secrets.talos.dev",
    "secrets",
    KubernetesRootSpec,
    "KubernetesRootSecret",
    aliases=("kubernetesrootsecret", "krs"),
    sensitivity=Sensitivity.SENSITIVE,
)


class KubernetesCertsSpec(Spec):
    """Kubeconfigs of the control plane's own programs, certificates inside; id ``k8s-certs``."""

    scheduler_kubeconfig: str = ""
    controller_manager_kubeconfig: str = ""
    localhost_admin_kubeconfig: str = ""
    admin_kubeconfig: str = ""

    WIRE = """
        4 schedulerKubeconfig string, 5 controllerManagerKubeconfig string, 6 localhostAdminKubeconfig string,
        7 adminKubeconfig string
    """


KUBERNETES_CERTS_ID = "k8s-certs"

KUBERNETES_CERTS = Kind(
    "KubernetesSecrets.secrets.talos.dev",
    "secrets",
    KubernetesCertsSpec,
    "KubernetesSecret",
    aliases=("kubernetessecret", "ks"),
    sensitivity=Sensitivity.SENSITIVE,
)


class KubernetesDynamicCertsSpec(Spec):
    """The API server's certificates, made anew when the node's names change; id ``k8s-dynamic-certs``."""

    api_server: PemPair = PemPair()
    api_server_kubelet_client: PemPair = PemPair()
    front_proxy: PemPair = PemPair()

    WIRE = "1 apiServer PemPair, 2 apiServerKubeletClient PemPair, 3 frontProxy PemPair"


KUBERNETES_DYNAMIC_CERTS_ID = "k8s-dynamic-certs"

KUBERNETES_DYNAMIC_CERTS = Kind(
    "KubernetesDynamicCerts.secrets.talos.dev",
    "secrets",
    KubernetesDynamicCertsSpec,
    "KubernetesDynamicCert",
    aliases=("kubernetesdynamiccert", "kdc", "kdcs"),
    sensitivity=Sensitivity.SENSITIVE,
)


class KubeletSecretsSpec(Spec):
    """What a kubelet joins with; id ``kubelet``."""

    endpoint: Url = Url()
    endpoint_tls_server_name: str = ""
    accepted_cas: tuple[PemCertificate, ...] = ()
    bootstrap_token_id: str = ""
    bootstrap_token_secret: str = ""

    WIRE = """
        1 endpoint Url, 6 endpointTLSServerName string omit, 5 acceptedCAs [PemCertificate],
        3 bootstrapTokenID string, 4 bootstrapTokenSecret string
    """


KUBELET = "kubelet"

KUBELET_SECRETS = Kind(
    "KubeletSecrets.secrets.talos.dev",
    "secrets",
    KubeletSecretsSpec,
    "KubeletSecret",
    aliases=("kubeletsecret", "ks"),
    sensitivity=Sensitivity.SENSITIVE,
)


class KubeletClientSpec(Spec):
    """A control plane's kubelet's first identity: a kubeconfig with a certificate inside; id ``kubelet``."""

    kubeconfig: str = ""

    WIRE = "1 kubeconfig string"


KUBELET_CLIENT = Kind(
    "KubeletClients.secrets.dozen",
    "secrets",
    KubeletClientSpec,
    "KubeletClient",
    aliases=("kubeletclient",),
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


ETCD = "etcd"


class EtcdRootSpec(Spec):
    """The root of trust of etcd; id ``etcd``."""

    etcd_ca: PemPair = PemPair()

    WIRE = "1 etcdCA PemPair"


ETCD_ROOT = Kind(
    "EtcdRootSecrets.secrets.talos.dev",
    "secrets",
    EtcdRootSpec,
    "EtcdRootSecret",
    aliases=("etcdrootsecret", "ers"),
    sensitivity=Sensitivity.SENSITIVE,
)


class EtcdCertsSpec(Spec):
    """Certificates of this node's member, of its administrator (the node itself) and of the API server; id ``etcd``."""

    etcd: PemPair = PemPair()
    etcd_peer: PemPair = PemPair()
    etcd_admin: PemPair = PemPair()
    etcd_api_server: PemPair = PemPair()

    WIRE = "1 etcd PemPair, 2 etcdPeer PemPair, 3 etcdAdmin PemPair, 4 etcdAPIServer PemPair"


ETCD_CERTS = Kind(
    "EtcdSecrets.secrets.talos.dev",
    "secrets",
    EtcdCertsSpec,
    "EtcdSecret",
    aliases=("etcdsecret", "es"),
    sensitivity=Sensitivity.SENSITIVE,
)


class TrustdCertsSpec(Spec):
    """What trustd serves with; id ``trustd``."""

    accepted_cas: tuple[PemCertificate, ...] = ()
    server: PemPair = PemPair()

    WIRE = "3 acceptedCAs [PemCertificate], 2 server PemPair"


TRUSTD_CERTIFICATE = Kind(
    "TrustdCertificates.secrets.talos.dev",
    "secrets",
    TrustdCertsSpec,
    "TrustdCertificate",
    aliases=("trustdcertificate", "tc", "tcs"),
    sensitivity=Sensitivity.SENSITIVE,
)

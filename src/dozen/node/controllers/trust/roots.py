"""The configuration's authorities, keys and tokens as resources, for everything that makes or writes certificates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from dozen.machinery.addresses import is_address
from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources import config, secrets
from dozen.node.configuration import complete

if TYPE_CHECKING:
    from dozen.machinery.config import Config
    from dozen.machinery.config.kubernetes_secrets import Authority

OS = "os"
LOCAL = "127.0.0.1"


class RootsController:
    """MachineConfig → OSRoot, KubeletSecrets and, on a control plane, EtcdRoot and KubernetesRoot."""

    name = "trust-roots"
    inputs = (Input(config.MACHINE_CONFIG, config.ACTIVE),)
    outputs = (secrets.OS_ROOT_SECRET, secrets.ETCD_ROOT, secrets.KUBERNETES_ROOT, secrets.KUBELET_SECRETS)

    def plan(self, view: View) -> Iterable[Step]:
        given = complete(view)
        if given is None:
            return
        yield Put(secrets.OS_ROOT_SECRET, OS, _os_root(given))
        if given.cluster is None:
            return
        # The kubelet's files are made differently on a control plane, which its root tells: so the root comes first.
        if given.machine_type == "controlplane":
            yield from _control_plane(given)
        yield Put(secrets.KUBELET_SECRETS, secrets.KUBELET, _kubelet(given))


def _os_root(given: Config) -> secrets.OSRootSpec:
    from dozen.machinery.config import effective

    own, machine = effective.issuing_ca(given), given.machine
    sans = tuple(str(each) for each in machine.cert_sans) if machine else ()
    return secrets.OSRootSpec(
        issuing_ca=secrets.PemPair(crt=own.crt.encode(), key=own.key.encode()) if own else secrets.PemPair(),
        accepted_cas=_certificates(effective.accepted_cas(given)),
        cert_san_ips=tuple(each for each in sans if is_address(each)),
        cert_san_dns_names=tuple(each for each in sans if not is_address(each)),
        token=machine.token.reveal() if machine and machine.token else "",
    )


def _control_plane(given: Config) -> Iterator[Step]:
    from dozen.machinery.config import kubernetes_secrets

    etcd = kubernetes_secrets.etcd_ca(given)
    if etcd.key:
        yield Put(secrets.ETCD_ROOT, secrets.ETCD, secrets.EtcdRootSpec(etcd_ca=_pair(etcd)))
    if kubernetes_secrets.kubernetes_ca(given).key:
        yield Put(secrets.KUBERNETES_ROOT, secrets.KUBERNETES, kubernetes_root(given))


def kubernetes_root(given: Config) -> secrets.KubernetesRootSpec:
    """All that a control plane's Kubernetes trusts and signs with."""
    from dozen.machinery.config import effective, kubernetes, kubernetes_secrets

    ca, aggregator = kubernetes_secrets.kubernetes_ca(given), kubernetes_secrets.aggregator_ca(given)
    accounts, encryption = kubernetes_secrets.service_accounts(given), kubernetes_secrets.encryption(given)
    token_id, _, token_secret = kubernetes.bootstrap_token(given).reveal().partition(".")
    return secrets.KubernetesRootSpec(
        name=effective.cluster_name(given) or "kubernetes",
        endpoint=secrets.Url(full_path=effective.cluster_endpoint(given)),
        local_endpoint=secrets.Url(full_path=f"https://{LOCAL}:{kubernetes.local_api_port(given)}"),
        cert_sans=kubernetes.api_server(given).cert_sans,
        api_server_ips=kubernetes.api_service_addresses(given),
        dns_domain=kubernetes.network(given).dns_domain,
        issuing_ca=_pair(ca),
        accepted_cas=_certificates((ca.crt, *ca.accepted)),
        aggregator_ca=_pair(aggregator),
        accepted_aggregator_cas=_certificates((aggregator.crt, *aggregator.accepted)),
        service_account=secrets.PemKey(key=accounts.key.reveal().encode()),
        service_account_accepted_keys=tuple(secrets.PemKey(key=each.encode()) for each in accounts.accepted_keys),
        issuer_url=accounts.issuer,
        accepted_issuers=accounts.accepted_issuers,
        api_audiences=accounts.audiences,
        aes_cbc_encryption_secret=encryption.aescbc.reveal(),
        bootstrap_token_id=token_id,
        bootstrap_token_secret=token_secret,
        secretbox_encryption_secret=encryption.secretbox.reveal(),
        etcd_encryption_config=encryption.document,
    )


def _kubelet(given: Config) -> secrets.KubeletSecretsSpec:
    from dozen.machinery.config import effective, kubernetes, kubernetes_secrets

    ca = kubernetes_secrets.kubernetes_ca(given)
    token_id, _, token_secret = kubernetes.bootstrap_token(given).reveal().partition(".")
    return secrets.KubeletSecretsSpec(
        endpoint=secrets.Url(full_path=effective.cluster_endpoint(given)),
        accepted_cas=_certificates((ca.crt, *ca.accepted)),
        bootstrap_token_id=token_id,
        bootstrap_token_secret=token_secret,
    )


def _pair(authority: Authority) -> secrets.PemPair:
    return secrets.PemPair(crt=authority.crt.encode(), key=authority.key.reveal().encode())


def _certificates(pems: Iterable[str]) -> tuple[secrets.PemCertificate, ...]:
    return tuple(secrets.PemCertificate(crt=pem.encode()) for pem in dict.fromkeys(pems) if pem)

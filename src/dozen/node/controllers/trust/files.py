"""Keys and certificates as files, where the programs of the control plane and the kubelet look for them.

A file belongs to root and to the group of the program that reads it. Keys come before certificates and everything
before the status, so that who waits for the status finds all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256

from dozen.machinery.effects.files import WriteFile
from dozen.machinery.kubeconfig import parse as parse_kubeconfig
from dozen.machinery.kubeconfig import read_kubeconfig, render, render_kubeconfig, with_server
from dozen.machinery.kubernetes import paths, versions
from dozen.machinery.plan import Input, Put, Shared, Step, View
from dozen.machinery.resources import config, secrets
from dozen.machinery.resources.kubernetes import SECRETS_STATUS, STATIC_PODS, SecretsStatusSpec
from dozen.node.configuration import parse


class StaticPodSecretsController:
    """Certificates and keys → the files of the three programs → SecretsStatus."""

    name = "static-pod-secrets"
    inputs = (
        Input(secrets.KUBERNETES_ROOT, secrets.KUBERNETES),
        Input(secrets.KUBERNETES_CERTS, secrets.KUBERNETES_CERTS_ID),
        Input(secrets.KUBERNETES_DYNAMIC_CERTS, secrets.KUBERNETES_DYNAMIC_CERTS_ID),
        Input(secrets.ETCD_ROOT, secrets.ETCD),
        Input(secrets.ETCD_CERTS, secrets.ETCD),
    )
    outputs = (Shared(SECRETS_STATUS),)

    def plan(self, view: View) -> Iterable[Step]:
        root = view.get(secrets.KUBERNETES_ROOT, secrets.KUBERNETES)
        certs = view.get(secrets.KUBERNETES_CERTS, secrets.KUBERNETES_CERTS_ID)
        dynamic = view.get(secrets.KUBERNETES_DYNAMIC_CERTS, secrets.KUBERNETES_DYNAMIC_CERTS_ID)
        etcd_root, etcd = view.get(secrets.ETCD_ROOT, secrets.ETCD), view.get(secrets.ETCD_CERTS, secrets.ETCD)
        if root is None or certs is None or dynamic is None or etcd_root is None or etcd is None:
            return
        ca = etcd_root.spec.etcd_ca.crt.decode()
        yield from _api_server(root.spec, dynamic.spec, ca, etcd.spec.etcd_api_server)
        yield from _controller_manager(root.spec, certs.spec.controller_manager_kubeconfig)
        yield from _client("kube-scheduler", certs.spec.scheduler_kubeconfig, root.spec, versions.SCHEDULER_UID)
        for id, parts in read_once(root.spec, ca).items():
            version = sha256(b"\0".join(parts)).hexdigest()[:16]
            yield Put(SECRETS_STATUS, id, SecretsStatusSpec(ready=True, version=version))


def read_once(root: secrets.KubernetesRootSpec, etcd_ca: str) -> dict[str, list[bytes]]:
    """Who → what it reads only when it starts. A certificate that is renewed is in none of these."""
    accepted = [each.crt for each in root.accepted_cas]
    account = root.service_account.key
    accounts = [account, *(each.key for each in root.service_account_accepted_keys)]
    found = {
        paths.APISERVER: [*accounts, *accepted, etcd_ca.encode()],
        paths.CONTROLLER_MANAGER: [account, root.issuing_ca.crt, *accepted],
        paths.SCHEDULER: accepted,
    }
    return {**found, STATIC_PODS: [part for parts in found.values() for part in parts]}


def _api_server(
    root: secrets.KubernetesRootSpec, certs: secrets.KubernetesDynamicCertsSpec, etcd_ca: str, etcd: secrets.PemPair
) -> Iterator[Step]:
    from dozen.machinery.certificates import public_pem

    accounts = [public_pem(root.service_account.key.decode())]
    accounts += [_public(each.key.decode()) for each in root.service_account_accepted_keys]
    files = {
        "etcd-client-ca.crt": etcd_ca,
        **_pair_files("etcd-client", etcd),
        "ca.crt": _joined(root.accepted_cas),
        **_pair_files("apiserver", certs.api_server),
        **_pair_files("apiserver-kubelet-client", certs.api_server_kubelet_client),
        "service-account.pub": "".join(accounts),
        "service-account.key": root.service_account.key.decode(),
        "aggregator-ca.crt": _joined(root.accepted_aggregator_cas),
        **_pair_files("front-proxy-client", certs.front_proxy),
    }
    yield from _files("kube-apiserver", files, versions.APISERVER_UID)


def _controller_manager(root: secrets.KubernetesRootSpec, kubeconfig: str) -> Iterator[Step]:
    program, uid = "kube-controller-manager", versions.CONTROLLER_MANAGER_UID
    files = {
        # The one that signs; the other holds all that pods are to trust.
        "ca.key": root.issuing_ca.key.decode(),
        "ca.crt": root.issuing_ca.crt.decode(),
        "root-ca.crt": _joined(root.accepted_cas),
        "service-account.key": root.service_account.key.decode(),
    }
    yield from _files(program, files, uid)
    yield from _client(program, kubeconfig, root, uid)


def _client(program: str, kubeconfig: str, root: secrets.KubernetesRootSpec, uid: int) -> Iterator[Step]:
    """A kubeconfig that names its certificate's files: they are read again after a renewal, what is inside is not."""
    access = read_kubeconfig(kubeconfig)
    server = root.local_endpoint.full_path
    text = render_kubeconfig(root.name, server, access.ca.decode(), program, files=("client.crt", "client.key"))
    files = {"client.key": access.key.decode(), "client.crt": access.certificate.decode(), "kubeconfig": text}
    yield from _files(program, files, uid)


class KubeletFilesController:
    """KubeletSecrets and, on a control plane, the kubelet's first certificate → its files → SecretsStatus."""

    name = "kubelet-identity-files"
    inputs = (
        Input(secrets.KUBELET_SECRETS, secrets.KUBELET),
        Input(secrets.KUBELET_CLIENT, secrets.KUBELET),
        Input(secrets.KUBERNETES_ROOT, secrets.KUBERNETES),
        Input(config.MACHINE_CONFIG, config.ACTIVE),
    )
    outputs = (Shared(SECRETS_STATUS),)

    def plan(self, view: View) -> Iterable[Step]:
        joining = view.get(secrets.KUBELET_SECRETS, secrets.KUBELET)
        if joining is None:
            return
        spec, ca = joining.spec, _joined(joining.spec.accepted_cas)
        yield WriteFile(paths.on_node(paths.KUBELET_CA), ca, 0o444)
        if view.get(secrets.KUBERNETES_ROOT, secrets.KUBERNETES) is not None:
            client = view.get(secrets.KUBELET_CLIENT, secrets.KUBELET)
            if client is None:
                return
            text, path = client.spec.kubeconfig, paths.CONTROL_PLANE_KUBECONFIG
        else:
            token = f"{spec.bootstrap_token_id}.{spec.bootstrap_token_secret}"
            text = render_kubeconfig("local", spec.endpoint.full_path, ca, "kubelet", token=token)
            path = paths.BOOTSTRAP_KUBECONFIG
        server, name = balanced_server(view)
        if server:
            text = render(with_server(parse_kubeconfig(text), server, name))
        yield WriteFile(paths.on_node(path), text, 0o400)
        version = sha256(f"{ca}{server}{name}".encode()).hexdigest()[:16]
        yield Put(SECRETS_STATUS, secrets.KUBELET, SecretsStatusSpec(ready=True, version=version))


def balanced_server(view: View) -> tuple[str, str]:
    """The URL and name by which a kubelet is to reach API servers, empty where there is no such way."""
    from dozen.machinery.config import kubernetes

    active = view.get(config.MACHINE_CONFIG, config.ACTIVE)
    if active is None:
        return "", ""
    given = parse(active.spec.text)
    server = kubernetes.kube_prism_server(given)
    return server, kubernetes.kube_prism_server_name(given) if server else ""


def _files(program: str, files: dict[str, str], uid: int) -> Iterator[Step]:
    for name, content in files.items():
        yield WriteFile(paths.secret(program, name), content, 0o440, gid=uid)


def _pair_files(stem: str, pair: secrets.PemPair) -> dict[str, str]:
    return {f"{stem}.key": pair.key.decode(), f"{stem}.crt": pair.crt.decode()}


def _joined(certificates: Iterable[secrets.PemCertificate]) -> str:
    return "".join(each.crt.decode().rstrip("\n") + "\n" for each in certificates)


def _public(pem: str) -> str:
    """People give either half of a key whose tokens are still to be accepted."""
    from dozen.machinery.certificates import PUBLIC_LABEL, public_pem

    return pem if PUBLIC_LABEL in pem else public_pem(pem)

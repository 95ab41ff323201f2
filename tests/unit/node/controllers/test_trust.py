"""From a configuration to certificates and files: who may call whom, by which names, and when it is made anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from cryptography import x509 as library
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from dozen.engine.store import Store
from dozen.machinery import certificates, pki
from dozen.machinery.config import generate
from dozen.machinery.effects.files import WriteFile
from dozen.machinery.kubeconfig import read_kubeconfig
from dozen.machinery.kubernetes import paths, versions
from dozen.machinery.plan import Put
from dozen.machinery.resources import config, kubernetes, network, secrets
from dozen.machinery.resources.time import TIME_STATUS, TimeStatusSpec
from dozen.node.controllers.trust import files, issuers, jobs, roots
from dozen.testing.controllers import Bench, PlainView
from dozen.testing.issuing import Told, late_issuers

BUNDLE = generate("test", "https://api.example.com:6443", sans=("127.0.0.1",))
NAMES = jobs.NodeNames("n1", ("n1", "n1.example", "127.0.0.1", "::1", "localhost", "10.0.0.5"))
STORY: dict[Any, tuple[str, Any]] = {
    network.HOSTNAME_STATUS: ("hostname", network.HostnameStatusSpec(hostname="n1", domainname="example")),
    network.NODE_ADDRESS: ("current", network.NodeAddressSpec(addresses=("10.0.0.5/24", "10.244.0.1/24"))),
    kubernetes.NODENAME: ("nodename", kubernetes.NodenameSpec(nodename="n1")),
}


def roots_of(text: str) -> dict[str, Any]:
    view = PlainView((config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text)))
    steps = list(roots.RootsController().plan(view))
    assert all(isinstance(step, Put) for step in steps)
    return {step.kind.display: step.spec for step in steps}  # type: ignore[union-attr]


ROOTS = roots_of(BUNDLE.controlplane)
ROOT = ROOTS["KubernetesRootSecret"]
CONTROL_PLANE = (paths.APISERVER, paths.CONTROLLER_MANAGER, paths.SCHEDULER)


def made_by(issue: Callable[[Any, float], issuers.Made], material: Any) -> Any:
    [(_, _, spec)] = issue(material, 3600.0)
    return spec


def read(pem: bytes) -> library.Certificate:
    return library.load_pem_x509_certificate(pem)


def who(pem: bytes) -> str:
    return read(pem).subject.rfc4514_string()


def names_in(pem: bytes) -> set[str]:
    return {
        str(each.value) for each in read(pem).extensions.get_extension_for_class(library.SubjectAlternativeName).value
    }


def usages_in(pem: bytes) -> set[Any]:
    return set(read(pem).extensions.get_extension_for_class(library.ExtendedKeyUsage).value)


def test_a_worker_learns_whom_to_trust_and_a_token_but_no_key() -> None:
    found = roots_of(BUNDLE.worker)
    assert set(found) == {"OSRootSecret", "KubeletSecret"}
    kubelet = found["KubeletSecret"]
    assert kubelet.endpoint.full_path == "https://api.example.com:6443"
    assert f"{kubelet.bootstrap_token_id}.{kubelet.bootstrap_token_secret}" == BUNDLE.secrets.bootstrap_token
    assert [each.crt.decode() for each in kubelet.accepted_cas] == [BUNDLE.secrets.kubernetes.crt]
    assert found["OSRootSecret"].issuing_ca == secrets.PemPair()


def test_a_control_plane_gets_every_root() -> None:
    assert set(ROOTS) == {"OSRootSecret", "KubeletSecret", "EtcdRootSecret", "KubernetesRootSecret"}
    assert ROOTS["OSRootSecret"].token == BUNDLE.secrets.machine_token
    assert ROOT.api_server_ips == ("10.96.0.1",)
    assert ROOT.local_endpoint.full_path == "https://127.0.0.1:6443"
    assert ROOT.service_account.key.decode() == BUNDLE.secrets.service_account


def test_the_api_server_is_who_everybody_calls_it() -> None:
    made = made_by(jobs.issue_api_server, (ROOT, NAMES))
    service = {"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
    outside = {"api.example.com", "127.0.0.1", "10.96.0.1"}
    assert names_in(made.api_server.crt) == {*NAMES.all, *service, *outside}
    assert usages_in(made.api_server.crt) == {ExtendedKeyUsageOID.SERVER_AUTH}
    read(made.api_server.crt).verify_directly_issued_by(read(ROOT.issuing_ca.crt))
    read(made.front_proxy.crt).verify_directly_issued_by(read(ROOT.aggregator_ca.crt))
    assert who(made.front_proxy.crt) == "CN=front-proxy-client"
    assert who(made.api_server_kubelet_client.crt) == "CN=apiserver-kubelet-client"


def test_etcd_s_members_serve_and_call() -> None:
    made = made_by(jobs.issue_etcd, (ROOTS["EtcdRootSecret"], NAMES))
    for each in (made.etcd, made.etcd_peer):
        assert usages_in(each.crt) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
        assert names_in(each.crt) == set(NAMES.all)
        read(each.crt).verify_directly_issued_by(read(ROOTS["EtcdRootSecret"].etcd_ca.crt))
    for each in (made.etcd_admin, made.etcd_api_server):
        assert usages_in(each.crt) == {ExtendedKeyUsageOID.CLIENT_AUTH}


@pytest.mark.parametrize(
    ("field", "subject", "host"),
    [
        ("scheduler_kubeconfig", "CN=system:kube-scheduler", "127.0.0.1"),
        ("controller_manager_kubeconfig", "CN=system:kube-controller-manager", "127.0.0.1"),
        ("localhost_admin_kubeconfig", "CN=machined,O=system:masters", "127.0.0.1"),
        ("admin_kubeconfig", "CN=admin,O=system:masters", "api.example.com"),
    ],
)
def test_kubeconfigs_say_where_and_who(field: str, subject: str, host: str) -> None:
    made = made_by(jobs.issue_kubeconfigs, ROOT)
    access = read_kubeconfig(getattr(made, field))
    assert (access.host, access.port, who(access.certificate)) == (host, 6443, subject)
    assert certificates.matches(pki.Keypair(access.certificate.decode(), access.key.decode()))
    lives = pki.certificate(access.certificate.decode()).not_after - time.time()
    assert lives == pytest.approx(3600, abs=60)


def test_an_authority_without_its_key_is_named() -> None:
    other = secrets.PemPair(crt=ROOT.issuing_ca.crt, key=ROOT.aggregator_ca.key)
    with pytest.raises(pki.PkiError, match=r"^cluster\.ca: the key is not the certificate's$"):
        jobs.authority(other, "cluster.ca")


def control_plane_view() -> PlainView:
    view = PlainView((secrets.KUBERNETES_ROOT, secrets.KUBERNETES, ROOT))
    view.add(secrets.ETCD_ROOT, secrets.ETCD, ROOTS["EtcdRootSecret"])
    view.add(secrets.ETCD_CERTS, secrets.ETCD, made_by(jobs.issue_etcd, (ROOTS["EtcdRootSecret"], NAMES)))
    dynamic = made_by(jobs.issue_api_server, (ROOT, NAMES))
    view.add(secrets.KUBERNETES_DYNAMIC_CERTS, secrets.KUBERNETES_DYNAMIC_CERTS_ID, dynamic)
    made = made_by(jobs.issue_kubeconfigs, ROOT)
    view.add(secrets.KUBERNETES_CERTS, secrets.KUBERNETES_CERTS_ID, made)
    return view


def test_programs_find_their_files_and_nobody_else_can_read_them() -> None:
    *steps, status = files.StaticPodSecretsController().plan(control_plane_view())
    assert isinstance(status, Put)
    assert status.spec == kubernetes.SecretsStatusSpec(ready=True, version=status.spec.version)  # type: ignore[attr-defined]
    written = {step.path.removeprefix(f"{paths.SECRETS}/"): step for step in steps if isinstance(step, WriteFile)}
    uids = {
        "kube-apiserver": versions.APISERVER_UID,
        "kube-controller-manager": versions.CONTROLLER_MANAGER_UID,
        "kube-scheduler": versions.SCHEDULER_UID,
    }
    assert all((step.mode, step.gid) == (0o440, uids[name.partition("/")[0]]) for name, step in written.items())
    assert {name for name in written if name.startswith("kube-scheduler/")} == {
        "kube-scheduler/kubeconfig",
        "kube-scheduler/client.crt",
        "kube-scheduler/client.key",
    }
    public = serialization.load_pem_public_key(written["kube-apiserver/service-account.pub"].content.encode())
    private = serialization.load_pem_private_key(BUNDLE.secrets.service_account.encode(), None)
    assert public == private.public_key()
    kubeconfig = written["kube-controller-manager/kubeconfig"].content
    assert "client-certificate: client.crt\n" in kubeconfig
    assert "client-key-data" not in kubeconfig


def test_what_programs_read_only_once_makes_another_version_and_a_renewal_does_not() -> None:
    def version(view: PlainView) -> str:
        *_, status = files.StaticPodSecretsController().plan(view)
        assert isinstance(status, Put)
        return str(status.spec.version)  # type: ignore[attr-defined]

    assert version(control_plane_view()) == version(control_plane_view())
    other = msgspec.structs.replace(ROOT, service_account=secrets.PemKey(key=certificates.new_key().encode()))
    changed = control_plane_view().add(secrets.KUBERNETES_ROOT, secrets.KUBERNETES, other)
    assert version(changed) != version(control_plane_view())


@pytest.mark.parametrize("missing", ["KubernetesSecret", "EtcdSecret"])
def test_nothing_is_written_before_everything_is_there(missing: str) -> None:
    full, view = control_plane_view(), PlainView()
    for kind, id in (
        (secrets.KUBERNETES_ROOT, secrets.KUBERNETES),
        (secrets.ETCD_ROOT, secrets.ETCD),
        (secrets.ETCD_CERTS, secrets.ETCD),
        (secrets.KUBERNETES_CERTS, secrets.KUBERNETES_CERTS_ID),
        (secrets.KUBERNETES_DYNAMIC_CERTS, secrets.KUBERNETES_DYNAMIC_CERTS_ID),
    ):
        found = full.get(kind, id)
        assert found is not None
        if kind.display != missing:
            view.add(kind, id, found.spec)
    assert list(files.StaticPodSecretsController().plan(view)) == []


def test_a_worker_s_kubelet_begins_with_the_token() -> None:
    view = PlainView((secrets.KUBELET_SECRETS, secrets.KUBELET, roots_of(BUNDLE.worker)["KubeletSecret"]))
    ca, kubeconfig, status = files.KubeletFilesController().plan(view)
    assert isinstance(ca, WriteFile)
    assert isinstance(kubeconfig, WriteFile)
    assert (ca.path, ca.content) == ("/system/etc/kubernetes/pki/ca.crt", BUNDLE.secrets.kubernetes.crt)
    assert (kubeconfig.path, kubeconfig.mode) == ("/system/etc/kubernetes/bootstrap-kubeconfig", 0o400)
    assert read_kubeconfig(kubeconfig.content).token == BUNDLE.secrets.bootstrap_token
    assert isinstance(status, Put)
    assert status.id == "kubelet"


@pytest.mark.parametrize("text", [BUNDLE.worker, BUNDLE.controlplane])
def test_kubelets_take_the_node_s_own_way_to_api_servers_where_there_is_one(text: str) -> None:
    document = "---\napiVersion: v1alpha1\nkind: KubePrismConfig\nport: 7445\ntlsServerName: api.test\n"
    view = PlainView((secrets.KUBELET_SECRETS, secrets.KUBELET, ROOTS["KubeletSecret"]))
    if text == BUNDLE.controlplane:
        view.add(secrets.KUBERNETES_ROOT, secrets.KUBERNETES, ROOT)
        view.add(secrets.KUBELET_CLIENT, secrets.KUBELET, made_by(jobs.issue_kubelet, (ROOT, "n1")))
    *_, before = files.KubeletFilesController().plan(view)
    view.add(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text + document))
    _, kubeconfig, after = files.KubeletFilesController().plan(view)
    assert isinstance(kubeconfig, WriteFile)
    access = read_kubeconfig(kubeconfig.content)
    assert (access.host, access.port, access.server_name) == ("127.0.0.1", 7445, "api.test")
    assert before != after, "the kubelet reads it only when it starts"


def test_a_control_plane_s_kubelet_begins_with_a_certificate() -> None:
    view = PlainView((secrets.KUBELET_SECRETS, secrets.KUBELET, ROOTS["KubeletSecret"]))
    view.add(secrets.KUBERNETES_ROOT, secrets.KUBERNETES, ROOT)
    assert len(list(files.KubeletFilesController().plan(view))) == 1  # the authority; the certificate is being made
    view.add(secrets.KUBELET_CLIENT, secrets.KUBELET, made_by(jobs.issue_kubelet, (ROOT, "n1")))
    _, kubeconfig, status = files.KubeletFilesController().plan(view)
    assert isinstance(kubeconfig, WriteFile)
    assert kubeconfig.path == "/system/etc/kubernetes/kubeconfig-kubelet"
    access = read_kubeconfig(kubeconfig.content)
    assert who(access.certificate) == "CN=system:node:n1,O=system:nodes"
    assert access.token == ""
    assert isinstance(status, Put)


def test_addresses_of_pods_are_not_the_node_s() -> None:
    store = Store()
    for kind, (id, spec) in STORY.items():
        store.put(kind, id, spec, owner="test")
    store.put(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=BUNDLE.controlplane), owner="test")
    assert jobs.node_names(store) == NAMES


def after(store: Store, *changes: Callable[[], object]) -> tuple[list[int], Told]:
    """How often the job for etcd has issued after each of the changes."""
    return asyncio.run(follow(store, *changes))


class Publishing:
    """Collects what a watcher publishes."""

    def __init__(self) -> None:
        self.specs: list[Any] = []

    def put(self, kind: Any, id: str, spec: Any) -> None:
        self.specs.append(spec)


async def follow(store: Store, *changes: Callable[[], object]) -> tuple[list[int], Told]:
    told, publish = Told(), Publishing()
    task = asyncio.create_task(issuers.Issuer(jobs.JOBS[0], store, told).run(publish))  # type: ignore[arg-type]
    counts = []
    for change in changes:
        change()
        for _ in range(3):
            await asyncio.sleep(0)
        counts.append(len(publish.specs))
    task.cancel()
    return counts, told


def prepared() -> Store:
    store = Store()
    for kind, (id, spec) in STORY.items():
        store.put(kind, id, spec, owner="test")
    store.put(secrets.ETCD_ROOT, secrets.ETCD, ROOTS["EtcdRootSecret"], owner="test")
    return store


def test_certificates_wait_for_the_clock_and_are_made_anew_when_it_jumps_or_a_name_changes() -> None:
    store = prepared()

    def clock(**fields: Any) -> Callable[[], object]:
        return lambda: store.put(TIME_STATUS, "node", TimeStatusSpec(**fields), owner="test")

    def rename() -> None:
        store.put(network.HOSTNAME_STATUS, "hostname", network.HostnameStatusSpec(hostname="n2"), owner="test")

    def nothing() -> None: ...

    counts, _ = after(
        store, nothing, clock(), clock(synced=True), clock(synced=True), rename, clock(synced=True, epoch=1)
    )
    assert counts == [0, 0, 1, 1, 2, 3]


def test_half_a_life_later_certificates_are_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    store = prepared()
    store.put(TIME_STATUS, "node", TimeStatusSpec(synced=True, sync_disabled=True), owner="test")
    now = time.time()

    def later(seconds: float) -> Callable[[], object]:
        def change() -> None:
            monkeypatch.setattr(time, "time", lambda: now + seconds)
            # Something that the job listens to, but that changes nothing for it.
            store.put(
                network.NODE_ADDRESS,
                "default",
                network.NodeAddressSpec(addresses=(f"10.0.0.{seconds:.0f}/8",)),
                owner="test",
            )

        return change

    counts, _ = after(store, later(1), later(issuers.DAY / 2 - 60), later(issuers.DAY / 2 + 60))
    assert counts == [1, 1, 2]


def test_an_authority_that_cannot_sign_is_a_problem_until_there_is_another() -> None:
    store = prepared()
    store.put(TIME_STATUS, "node", TimeStatusSpec(sync_disabled=True), owner="test")

    def root(pair: secrets.PemPair) -> Callable[[], object]:
        return lambda: store.put(secrets.ETCD_ROOT, secrets.ETCD, secrets.EtcdRootSpec(etcd_ca=pair), owner="test")

    broken = root(secrets.PemPair(crt=ROOTS["EtcdRootSecret"].etcd_ca.crt, key=b"no key"))
    counts, told = after(store, broken)
    assert counts == [0]
    assert told.problems == {"etcd-certificates": "cluster.etcd.ca: expected a PEM private key, found none"}
    counts, told = after(store, broken, root(ROOTS["EtcdRootSecret"].etcd_ca))
    assert (counts, told.problems) == ([0, 1], {})


def test_a_control_plane_gets_all_of_its_files_from_its_configuration() -> None:
    asyncio.run(all_of_its_files())


async def all_of_its_files() -> None:
    told = Told()
    controllers = (roots.RootsController(), files.StaticPodSecretsController(), files.KubeletFilesController())
    # The issuers are made before the bench whose store they use.
    bench = Bench(*controllers, watchers=late_issuers(lambda: bench.store, told))
    async with bench:
        for kind, (id, spec) in STORY.items():
            bench.put(kind, id, spec)
        bench.put(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=BUNDLE.controlplane))
        bench.put(TIME_STATUS, "node", TimeStatusSpec(synced=True))
        await bench.settle()
        status = bench.store.find(kubernetes.SECRETS_STATUS, kubernetes.STATIC_PODS)
        assert status is not None
        assert status.spec.ready
        written = {step.path for step in bench.effects if isinstance(step, WriteFile)}
        assert "/system/secrets/kubernetes/kube-apiserver/apiserver.crt" in written
        assert "/system/etc/kubernetes/kubeconfig-kubelet" in written
        assert told.problems == {}


@pytest.mark.parametrize(
    ("field", "value", "changed"),
    [
        ("service_account", secrets.PemKey(key=b"another"), {"kube-apiserver", "kube-controller-manager"}),
        ("accepted_cas", (secrets.PemCertificate(crt=b"another"),), {*CONTROL_PLANE}),
        # These are read again by whoever uses them.
        ("accepted_aggregator_cas", (secrets.PemCertificate(crt=b"another"),), set()),
    ],
)
def test_programs_start_anew_for_what_they_read_only_once(field: str, value: object, changed: set[str]) -> None:
    root = ROOT
    before = files.read_once(root, "authority of etcd")
    after = files.read_once(msgspec.structs.replace(root, **{field: value}), "authority of etcd")
    assert {id for id in CONTROL_PLANE if before[id] != after[id]} == changed
    assert (before[kubernetes.STATIC_PODS] != after[kubernetes.STATIC_PODS]) == bool(changed)
    other = files.read_once(root, "another")
    assert [id for id in CONTROL_PLANE if before[id] != other[id]] == ["kube-apiserver"]

"""Who a node is to its callers, and whom it lets in."""

from __future__ import annotations

import pytest

from dozen.machinery.config import generate
from dozen.machinery.effects.files import RemoveFile, WriteFile
from dozen.machinery.plan import Put
from dozen.machinery.resources import config, network, runtime, secrets
from dozen.node.controllers import identity
from dozen.node.controllers.identity import ApiServiceController
from dozen.testing.controllers import PlainView

BUNDLE = generate("test", "https://10.0.0.1:6443", sans=("127.0.0.1", "api.example.com"))


def test_a_control_plane_signs_with_the_cluster_s_authority_and_asks_callers() -> None:
    trust = identity.read_trust(BUNDLE.controlplane)
    assert trust.issuer is not None
    assert trust.accepted == (trust.issuer.crt,)
    assert trust.verify


def test_a_worker_has_no_key_to_sign_with_but_asks_callers_all_the_same() -> None:
    trust = identity.read_trust(BUNDLE.worker)
    assert trust.issuer is None
    assert trust.accepted == identity.read_trust(BUNDLE.controlplane).accepted
    assert trust.verify


def test_documents_without_the_main_one_leave_a_node_in_maintenance() -> None:
    text = "apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: n1\n"
    assert identity.read_trust(text) == identity.MAINTENANCE


def test_only_a_node_without_configuration_lets_strangers_in() -> None:
    assert not identity.MAINTENANCE.verify
    assert identity.MAINTENANCE.accepted == ()


@pytest.mark.parametrize(("skip", "mode"), [(True, "maintenance"), (False, "configured")])
def test_apid_is_told_its_mode_and_gets_the_certificate_last(skip: bool, mode: str) -> None:
    spec = secrets.APICertsSpec(
        accepted_cas=() if skip else (secrets.PemCertificate(crt=b"CA"),),
        server=secrets.PemPair(crt=b"CRT", key=b"KEY"),
        skip_verifying_client_cert=skip,
    )
    view = PlainView((secrets.API_CERTIFICATE, identity.API, spec))
    files = {step.path.rpartition("/")[2]: step.content for step in plan_files(view)}
    assert [step for step in identity.IdentityFilesController().plan(view) if isinstance(step, RemoveFile)] == [
        RemoveFile("/system/run/apid/client.pem"),
        RemoveFile("/system/run/apid/client.key"),
    ]
    assert files == {"mode": mode, **({} if skip else {"ca.pem": "CA"}), "server.key": "KEY", "server.pem": "CRT"}
    assert list(files)[-1] == "server.pem"


@pytest.mark.parametrize("maintenance", [True, False])
def test_how_apid_serves_is_told(maintenance: bool) -> None:
    spec = secrets.APICertsSpec(skip_verifying_client_cert=maintenance)
    told = runtime.APIServiceConfigSpec(
        listen_address=":50000",
        node_routing_disabled=maintenance,
        readonly_role_mode=maintenance,
        skip_verifying_client_cert=maintenance,
    )
    plan = list(ApiServiceController().plan(PlainView((secrets.API_CERTIFICATE, "api", spec))))
    assert plan == [Put(runtime.API_SERVICE_CONFIG, "apid", told)]
    assert list(ApiServiceController().plan(PlainView())) == []


def plan_files(view: PlainView) -> list[WriteFile]:
    steps = [step for step in identity.IdentityFilesController().plan(view) if isinstance(step, WriteFile)]
    assert all(step.mode == 0o440 for step in steps)
    return steps


def test_a_control_plane_s_apid_gets_a_key_before_its_certificate_and_trustd_its_own() -> None:
    pair = secrets.PemPair(crt=b"CRT", key=b"KEY")
    spec = secrets.APICertsSpec(accepted_cas=(secrets.PemCertificate(crt=b"CA"),), server=pair, client=pair)
    view = PlainView(
        (secrets.API_CERTIFICATE, identity.API, spec),
        (secrets.TRUSTD_CERTIFICATE, identity.TRUSTD, secrets.TrustdCertsSpec(server=pair)),
    )
    assert [(step.path, step.gid) for step in plan_files(view)] == [
        ("/system/run/apid/mode", 50),
        ("/system/run/apid/ca.pem", 50),
        ("/system/run/apid/client.key", 50),
        ("/system/run/apid/client.pem", 50),
        ("/system/run/apid/server.key", 50),
        ("/system/run/apid/server.pem", 50),
        ("/system/run/trustd/server.key", 51),
        ("/system/run/trustd/server.pem", 51),
    ]


def test_the_certificate_names_every_way_to_the_node() -> None:
    view = PlainView(
        (config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=BUNDLE.controlplane)),
        (network.HOSTNAME_STATUS, "hostname", network.HostnameStatusSpec(hostname="n1", domainname="lan")),
        (network.NODE_ADDRESS, "accumulative", network.NodeAddressSpec(addresses=("10.0.2.15/24", "fd00::5/64"))),
    )
    (step,) = identity.CertSansController().plan(view)
    assert isinstance(step, Put)
    # The endpoint's address is among the names of the configuration.
    assert step.spec.ips == ("127.0.0.1", "::1", "10.0.2.15", "fd00::5", "10.0.0.1")
    assert step.spec.dns_names == ("n1", "n1.lan", "api.example.com")


@pytest.mark.parametrize("document", [True, False])
def test_the_certificate_names_the_service_by_which_pods_call_a_control_plane(document: bool) -> None:
    said = "---\napiVersion: v1alpha1\nkind: KubeTalosAPIAccessConfig\n" if document else ""
    view = PlainView(
        (config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=BUNDLE.controlplane + said)),
        (network.HOSTNAME_STATUS, "hostname", network.HostnameStatusSpec(hostname="n1", domainname="example.org")),
    )
    (step,) = identity.CertSansController().plan(view)
    assert isinstance(step, Put)
    assert isinstance(step.spec, secrets.CertSANSpec)
    assert step.spec.fqdn == "n1.example.org"
    names = {"talos", "talos.default", "talos.default.svc", "talos.default.svc.cluster.local"}
    assert names.intersection(step.spec.dns_names) == (names if document else set())

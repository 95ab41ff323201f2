"""Which member of etcd a node is: from configuration, name and addresses."""

from __future__ import annotations

import pytest

from dozen.machinery.config import generate
from dozen.machinery.plan import Put
from dozen.machinery.resources import config, etcd, network, secrets
from dozen.node.controllers.etcd.files import EtcdFilesController
from dozen.node.controllers.etcd.member import EtcdConfigController, EtcdSpecController
from dozen.testing.controllers import PlainView

BUNDLE = generate("test", "https://10.0.0.1:6443")


def plan_spec(addresses: tuple[str, ...], default: str = "", **wanted: tuple[str, ...]) -> etcd.EtcdSpec:
    exclude = ("10.244.0.0/16", "10.96.0.0/12")
    settings = etcd.EtcdConfigSpec(
        image="etcd:v1", advertise_exclude_subnets=exclude, listen_exclude_subnets=exclude, **wanted
    )
    view = PlainView(
        (etcd.ETCD_CONFIG, etcd.ID, settings),
        (network.HOSTNAME_STATUS, "hostname", network.HostnameStatusSpec(hostname="cp-1")),
        (network.NODE_ADDRESS, "routed", network.NodeAddressSpec(addresses=addresses)),
        (network.NODE_ADDRESS, "default", network.NodeAddressSpec(addresses=(default,) if default else ())),
    )
    (step,) = EtcdSpecController().plan(view)
    assert isinstance(step, Put)
    return step.spec  # type: ignore[return-value]


def test_only_a_control_plane_has_a_member() -> None:
    def plan(text: str) -> list[object]:
        view = PlainView((config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text)))
        return list(EtcdConfigController().plan(view))

    assert plan(BUNDLE.worker) == []
    (step,) = plan(BUNDLE.controlplane)
    assert isinstance(step, Put)
    assert step.spec.image == "registry.k8s.io/etcd:v3.6.16"
    assert step.spec.advertise_exclude_subnets == ("10.244.0.0/16", "10.96.0.0/12")


def test_the_node_s_default_address_is_advertised_and_all_are_listened_on() -> None:
    spec = plan_spec(("10.0.0.9/24", "10.0.0.1/24"), default="10.0.0.1/24")
    assert spec.name == "cp-1"
    assert spec.advertised_addresses == ("10.0.0.1",)
    assert spec.listen_peer_addresses == spec.listen_client_addresses == ("0.0.0.0",)


def test_addresses_of_pods_are_no_way_to_a_member() -> None:
    assert plan_spec(("10.244.0.1/24", "10.0.0.1/24")).advertised_addresses == ("10.0.0.1",)


def test_an_ipv6_node_listens_on_both_families() -> None:
    assert plan_spec(("fd00::1/64",)).listen_peer_addresses == ("::",)


@pytest.mark.parametrize(
    ("valid", "advertised"),
    [
        (("10.0.0.0/24",), ("10.0.0.1",)),
        (("!10.0.0.0/24",), ("192.168.1.1",)),
        (("10.0.0.0/24", "192.168.0.0/16"), ("10.0.0.1", "192.168.1.1")),
    ],
)
def test_subnets_choose_what_is_advertised(valid: tuple[str, ...], advertised: tuple[str, ...]) -> None:
    addresses = ("10.0.0.1/24", "192.168.1.1/24")
    assert plan_spec(addresses, advertise_valid_subnets=valid).advertised_addresses == advertised


def test_subnets_choose_where_to_listen_and_the_loopback_stays_for_the_api_server() -> None:
    spec = plan_spec(("10.0.0.1/24", "192.168.1.1/24"), listen_valid_subnets=("10.0.0.0/24",))
    assert spec.listen_peer_addresses == ("10.0.0.1",)
    assert spec.listen_client_addresses == ("10.0.0.1", "127.0.0.1")


def test_keys_come_before_certificates_and_readiness_last() -> None:
    pair = secrets.PemPair(crt=b"CRT", key=b"KEY")
    view = PlainView(
        (secrets.ETCD_CERTS, secrets.ETCD, secrets.EtcdCertsSpec(etcd=pair, etcd_peer=pair, etcd_admin=pair)),
        (secrets.ETCD_ROOT, secrets.ETCD, secrets.EtcdRootSpec(etcd_ca=secrets.PemPair(crt=b"CA"))),
    )
    *files, last = EtcdFilesController().plan(view)
    assert [(str(each).split()[1].rpartition("/")[2], each.mode) for each in files] == [  # type: ignore[union-attr]
        ("ca.crt", 0o440),
        ("server.key", 0o440),
        ("server.crt", 0o440),
        ("peer.key", 0o440),
        ("peer.crt", 0o440),
        ("admin.key", 0o400),
        ("admin.crt", 0o400),
    ]
    assert last == Put(etcd.PKI_STATUS, etcd.ID, etcd.PKIStatusSpec(ready=True, version="1"))

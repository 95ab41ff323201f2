"""The configuration in short answers, and the platform's where it says nothing."""

from __future__ import annotations

from typing import Any

import pytest

from dozen.machinery.config import generate
from dozen.machinery.plan import Put
from dozen.machinery.resources import config, settings
from dozen.machinery.resources.link import (
    BondMaster,
    BridgeMaster,
    BridgeVlan,
    Stp,
    Vlan,
    VrfMaster,
    Wireguard,
    WireguardPeer,
)
from dozen.node.controllers.settings import SettingsController
from dozen.testing.controllers import PlainView

TEXT = generate("c", "https://10.0.0.1:6443").worker
PLATFORM = settings.NetworkSettings(
    links=(settings.LinkSettings(name="eth0", dhcp=True),), name_servers=("10.0.0.53",), fallback_hostname="n1"
)


def plan(documents: str | None, platform: settings.NetworkSettings | None = None) -> dict[str, Any]:
    view = PlainView()
    if documents is not None:
        text = TEXT + "".join(f"---\napiVersion: v1alpha1\n{each}" for each in documents.split("---\n") if each)
        view.add(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text))
    if platform is not None:
        view.add(settings.PLATFORM_NETWORK, settings.NETWORK, platform)
    return {step.kind.display: step.spec for step in SettingsController().plan(view) if isinstance(step, Put)}


def test_the_type_of_a_machine_is_known_with_its_configuration() -> None:
    assert plan("")["MachineType"].type == "worker"
    assert "MachineType" not in plan(None)


@pytest.mark.parametrize("documents", [None, ""])
def test_the_platform_says_what_the_configuration_does_not(documents: str | None) -> None:
    found = plan(documents, PLATFORM)["NetworkSettings"]
    assert (found.links, found.name_servers, found.fallback_hostname) == (PLATFORM.links, ("10.0.0.53",), "n1")


def test_the_configuration_comes_first() -> None:
    found = plan(
        "kind: ResolverConfig\nnameservers: [{address: 10.9.9.9}]\n---\nkind: DHCPv4Config\nname: eth1\n", PLATFORM
    )
    network = found["NetworkSettings"]
    assert network.name_servers == ("10.9.9.9",)
    assert [link.name for link in network.links] == ["eth1", "eth0"]


def test_documents_about_links() -> None:
    link = (
        "kind: LinkConfig\nname: eth0\nmtu: 1400\naddresses: [{address: 10.0.0.5/24}]\n"
        "routes: [{destination: 10.9.0.0/16, gateway: 10.0.0.1, metric: 5}]\n"
    )
    lease = "kind: DHCPv4Config\nname: eth0\nrouteMetric: 77\n"
    (found,) = plan(f"{link}---\n{lease}")["NetworkSettings"].links
    assert found == settings.LinkSettings(
        name="eth0",
        addresses=("10.0.0.5/24",),
        routes=(settings.RouteSettings(network="10.9.0.0/16", gateway="10.0.0.1", metric=5),),
        dhcp=True,
        dhcp_metric=77,
        mtu=1400,
    )


def test_a_document_about_dhcpv6() -> None:
    both = (
        "kind: DHCPv6Config\nname: eth0\nrouteMetric: 77\nignoreHostname: true\nclientIdentifier: duid\n"
        "duidRaw: 00:02:aa\n---\nkind: DHCPv4Config\nname: eth0\n---\nkind: DHCPv6Config\nname: eth1\n"
    )
    found = links_of(both)
    assert found["eth0"].dhcp
    assert found["eth0"].dhcp6 == settings.DHCP6Settings(
        metric=77, identifier="duid", duid="00:02:aa", ignore_hostname=True
    )
    assert (found["eth1"].dhcp, found["eth1"].dhcp6) == (False, settings.DHCP6Settings())


def links_of(documents: str) -> dict[str, settings.LinkSettings]:
    return {link.name: link for link in plan(documents)["NetworkSettings"].links}


KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            "kind: VLANConfig\nname: v0\nvlanID: 5\nparent: eth0\nvlanMode: 802.1ad\n",
            {"kind": "vlan", "parent": "eth0", "vlan": Vlan(vlan_id=5, vlan_protocol="802.1ad")},
        ),
        (
            "kind: BondConfig\nname: b0\nlinks: [eth0, eth1]\nbondMode: 802.3ad\nmiimon: 100\nnumPeerNotif: 0\n"
            "hardwareAddr: 02:00:00:00:00:01\n",
            {
                "kind": "bond",
                "links": ("eth0", "eth1"),
                "hardware_addr": "02:00:00:00:00:01",
                "bond_master": BondMaster(mode="802.3ad", miimon=100, num_peer_notif=0),
            },
        ),
        (
            "kind: BridgeConfig\nname: br0\nlinks: [eth0]\nstp: {enabled: true}\nvlan: {filtering: true}\n",
            {
                "kind": "bridge",
                "links": ("eth0",),
                "bridge_master": BridgeMaster(stp=Stp(enabled=True), vlan=BridgeVlan(filtering_enabled=True)),
            },
        ),
        ("kind: DummyLinkConfig\nname: d0\n", {"kind": "dummy"}),
        (
            'kind: VRFConfig\nname: vrf0\nlinks: [eth0]\ntable: "100"\n',
            {"kind": "vrf", "links": ("eth0",), "vrf_master": VrfMaster(table="100")},
        ),
        (
            f"kind: WireguardConfig\nname: wg0\nprivateKey: {KEY}\nlistenPort: 51820\npeers:\n"
            f"  - {{publicKey: {KEY}, allowedIPs: [10.1.0.0/16], persistentKeepaliveInterval: 25s}}\n",
            {
                "kind": "wireguard",
                "wireguard": Wireguard(
                    private_key=KEY,
                    listen_port=51820,
                    peers=(
                        WireguardPeer(
                            public_key=KEY,
                            allowed_ips=("10.1.0.0/16",),
                            persistent_keepalive_interval=25_000_000_000,
                        ),
                    ),
                ),
            },
        ),
    ],
)
def test_documents_about_links_made_of_software(document: str, expected: dict[str, Any]) -> None:
    (found,) = plan(f"{document}up: false\nmulticast: true\n")["NetworkSettings"].links
    assert found.logical == settings.LogicalLink(**expected)
    assert (found.up, found.multicast) == (False, True)


def test_a_pair_is_two_links() -> None:
    found = links_of(
        "kind: VethConfig\nname: left\npeer: {name: right, mtu: 1300}\n---\nkind: DHCPv4Config\nname: left\n"
    )
    assert {
        name: link.logical.veth.peer_name for name, link in found.items() if link.logical and link.logical.veth
    } == {
        "left": "right",
        "right": "left",
    }
    assert (found["left"].dhcp, found["right"].mtu) == (True, 1300)


def test_what_documents_say_of_routes() -> None:
    found = links_of(
        "kind: LinkConfig\nname: eth0\naddresses: [{address: 10.0.0.5/24}, {address: 10.1.0.5/24, routePriority: 7}]\n"
        'routes: [{destination: 10.9.0.0/16, table: "100"}]\n'
    )["eth0"]
    assert found.address_priorities == (0, 7)
    assert found.routes[0].table == "100"


INTERFACES = """
- interface: eth0
  vlans: [{vlanId: 5, dhcp: true, vip: {ip: 10.0.0.9}}]
- deviceSelector: {driver: virtio*}
  vlans: [{vlanId: 6, addresses: [10.6.0.1/24]}]
- interface: bond0
  bond:
    deviceSelectors: [{hardwareAddr: "52:*"}]
    mode: balance-xor
    arpValidate: filter_active
    xmitHashPolicy: vlan+srcmac
    tlbDynamicLb: 0
    arpIpTarget: [10.0.0.1]
- interface: br0
  bridge: {interfaces: [eth5], stp: {enabled: true}}
- interface: eth6
  bridgePort: {master: br0}
- interface: d0
  dummy: true
"""


def interfaces_of(text: str) -> list[settings.LinkSettings]:
    """What interfaces of the main document say."""
    import yaml as reader

    given = reader.safe_load(TEXT)
    given["machine"].setdefault("network", {})["interfaces"] = reader.safe_load(text)
    view = PlainView((config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=reader.safe_dump(given))))
    specs = {step.kind.display: step.spec for step in SettingsController().plan(view) if isinstance(step, Put)}
    return list(specs["NetworkSettings"].links)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("said", "dhcp", "dhcp6"),
    [
        ("dhcp: true", True, None),
        ("dhcp: true, dhcpOptions: {ipv6: true}", True, settings.DHCP6Settings(metric=1024)),
        (
            "dhcp: true, dhcpOptions: {ipv4: false, ipv6: true, routeMetric: 5, duidv6: 00020000aabb}",
            False,
            settings.DHCP6Settings(metric=5, identifier="duid", duid="00020000aabb"),
        ),
        ("dhcp: true, dhcpOptions: {ipv6: false, duidv6: 00020000aabb}", True, None),
        ("dhcp: false, dhcpOptions: {ipv6: true}", False, None),
        ("dhcpOptions: {ipv6: true}", False, None),
    ],
)
def test_dhcpv6_is_asked_for_by_name(said: str, dhcp: bool, dhcp6: settings.DHCP6Settings | None) -> None:
    """On an interface and on a VLAN alike."""
    interface, vlan, inside = interfaces_of(
        f"- {{interface: eth0, {said}}}\n- {{interface: eth1, vlans: [{{vlanId: 5, {said}}}]}}"
    )
    assert (interface.dhcp, interface.dhcp6) == (inside.dhcp, inside.dhcp6) == (dhcp, dhcp6)
    assert (vlan.dhcp, vlan.dhcp6) == (False, None)


def test_interfaces_of_the_main_document() -> None:
    found = interfaces_of(INTERFACES)
    assert [link.name for link in found] == ["eth0", "eth0.5", "", "", "bond0", "br0", "eth6", "d0"]
    named, selected = found[1], found[3]
    assert (named.dhcp, named.virtual_addresses) == (True, ("10.0.0.9",))
    assert named.logical == settings.LogicalLink(kind="vlan", parent="eth0", vlan=Vlan(vlan_id=5))
    chosen = settings.LinkSelector(driver="virtio*")
    assert selected.logical == settings.LogicalLink(kind="vlan", parent_selector=chosen, vlan=Vlan(vlan_id=6))
    assert selected.selector is None
    assert found[4].logical == settings.LogicalLink(
        kind="bond",
        link_selectors=(settings.LinkSelector(hardware_addr="52:*"),),
        bond_master=BondMaster(
            mode="balance-xor",
            arp_validate="filter-active",
            xmit_hash_policy="5",
            tlb_logical_lb=0,
            arp_ip_targets=("10.0.0.1",),
        ),
    )
    assert found[6].bridge == "br0"
    assert found[7].logical == settings.LogicalLink(kind="dummy")

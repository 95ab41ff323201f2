"""Links made of software: what they should be, and what the kernel is told about it."""

from __future__ import annotations

from typing import Any

import pytest

from dozen.machinery.effects.links import ChangeLink, JoinLink, MakeLink, RemoveLink, SetWireguard
from dozen.machinery.effects.network import AcceptRouters, SetLink
from dozen.machinery.plan import Put
from dozen.machinery.resource import Phase
from dozen.machinery.resources.link import (
    LINK_SPEC,
    LINK_STATUS,
    BondMaster,
    BondSlave,
    BridgeMaster,
    BridgeSlave,
    BridgeVlan,
    LinkSpec,
    LinkStatusSpec,
    Stp,
    Veth,
    Vlan,
    VrfMaster,
    Wireguard,
)
from dozen.machinery.resources.settings import (
    NETWORK,
    NETWORK_SETTINGS,
    LinkSelector,
    LinkSettings,
    LogicalLink,
    NetworkSettings,
)
from dozen.node.controllers.network.links import LinkController, LinkSpecController
from dozen.node.controllers.network.logical import settle_bond
from dozen.node.controllers.network.matching import name_vlan
from dozen.node.controllers.network.operators import OperatorController
from dozen.node.controllers.network.tunnels import TunnelController
from dozen.testing.controllers import PlainView

UP = "UP,BROADCAST,MULTICAST"


def link(index: int, flags: str = UP, **fields: Any) -> LinkStatusSpec:
    return LinkStatusSpec(index=index, flags=flags, mtu=1500, **fields)


ETH0 = link(2, hardware_addr="52:54:00:00:00:01", permanent_addr="52:54:00:00:00:01")


def view(*entries: LinkSettings, **links: LinkStatusSpec) -> PlainView:
    found = PlainView((NETWORK_SETTINGS, NETWORK, NetworkSettings(links=entries)))
    for name, status in links.items():
        found.add(LINK_STATUS, name, status)
    for step in list(LinkSpecController().plan(found)):
        assert isinstance(step, Put)
        found.add(step.kind, step.id, step.spec)
    return found


def effects(seen: PlainView) -> list[object]:
    return [effect for step in LinkController().plan(seen) for effect in step.effects]  # type: ignore[union-attr]


def spec(seen: PlainView, name: str) -> LinkSpec:
    found = seen.get(LINK_SPEC, name)
    assert found is not None
    return found.spec


def vlan(number: int = 5, parent: str = "eth0", **fields: Any) -> LinkSettings:
    return LinkSettings(name="v0", logical=LogicalLink(kind="vlan", parent=parent, vlan=Vlan(vlan_id=number)), **fields)


def bond(*members: str, **fields: Any) -> LinkSettings:
    return LinkSettings(name="bond0", logical=LogicalLink(kind="bond", links=members, bond_master=BondMaster(**fields)))


def bridge(*members: str) -> LinkSettings:
    return LinkSettings(name="br0", logical=LogicalLink(kind="bridge", links=members, bridge_master=BridgeMaster()))


def test_a_vlan_waits_for_its_parent() -> None:
    assert effects(view(vlan())) == []
    seen = view(vlan(), eth0=ETH0)
    assert effects(seen) == [MakeLink(spec(seen, "v0"))]
    assert spec(seen, "v0") == LinkSpec(
        name="v0", logical=True, up=True, kind="vlan", parent_name="eth0", vlan=Vlan(vlan_id=5), layer="configuration"
    )


def test_a_vlan_comes_up_when_its_parent_is() -> None:
    there = link(3, "BROADCAST", kind="vlan", link_index=2, vlan=Vlan(vlan_id=5))
    assert effects(view(vlan(), eth0=ETH0, v0=there)) == [AcceptRouters("v0"), SetLink("v0")]
    resting = LinkSettings(name="eth0", up=False)
    assert effects(view(vlan(), resting, eth0=link(2, "BROADCAST"), v0=there)) == []


@pytest.mark.parametrize(
    "there",
    [
        link(3, kind="vlan", link_index=2, vlan=Vlan(vlan_id=6)),
        link(3, kind="vlan", link_index=2, vlan=Vlan(vlan_id=5, vlan_protocol="802.1ad")),
        link(3, kind="vlan", link_index=9, vlan=Vlan(vlan_id=5)),
        link(3, kind="dummy"),
    ],
    ids=["another number", "another protocol", "another parent", "another kind"],
)
def test_what_cannot_change_is_made_anew(there: LinkStatusSpec) -> None:
    seen = view(vlan(), eth0=ETH0, v0=there)
    assert effects(seen) == [RemoveLink("v0"), MakeLink(spec(seen, "v0"))]


def test_a_physical_link_is_never_removed() -> None:
    seen = view(LinkSettings(name="eth0", logical=LogicalLink(kind="dummy")), eth0=ETH0)
    assert effects(seen) == [MakeLink(spec(seen, "eth0"))]  # whose runner complains
    seen.add(LINK_SPEC, "eth0", spec(seen, "eth0"), Phase.TEARING_DOWN)
    assert effects(seen) == []


def test_a_link_goes_with_its_configuration() -> None:
    there = link(3, kind="vlan", link_index=2, vlan=Vlan(vlan_id=5))
    seen = view(vlan(), eth0=ETH0, v0=there)
    assert effects(seen) == []
    seen.add(LINK_SPEC, "v0", spec(seen, "v0"), Phase.TEARING_DOWN)
    assert effects(seen) == [RemoveLink("v0")]


def test_a_vlan_on_a_selected_link_is_named_for_it() -> None:
    chosen = LinkSelector(hardware_addr="52:54:*")
    made = LogicalLink(kind="vlan", parent_selector=chosen, vlan=Vlan(vlan_id=7))
    # the VLAN has the address of its parent: no reason to put a VLAN on it
    there = link(3, kind="vlan", link_index=2, vlan=Vlan(vlan_id=7), hardware_addr="52:54:00:00:00:01")
    seen = view(LinkSettings(logical=made), eth0=ETH0, **{"eth0.7": there})
    assert spec(seen, "eth0.7").parent_name == "eth0"
    assert effects(seen) == []
    assert name_vlan("averylongname12", made) == "averylongname.7"


def test_members_join_and_a_bond_wants_them_down() -> None:
    seen = view(bond("eth0"), eth0=ETH0, bond0=link(3, kind="bond", bond_master=BondMaster()))
    assert effects(seen) == [JoinLink("eth0", "bond0", down=True)]
    assert spec(seen, "eth0").bond_slave == BondSlave(master_name="bond0", slave_index=0)
    seen = view(bridge("eth0"), eth0=ETH0, br0=link(3, kind="bridge", bridge_master=BridgeMaster(Stp(), BridgeVlan())))
    assert effects(seen) == [JoinLink("eth0", "br0")]
    assert spec(seen, "eth0").bridge_slave == BridgeSlave(master_name="br0")


def test_members_are_freed_by_who_took_them() -> None:
    ours = link(3, kind="bridge", bridge_master=BridgeMaster(Stp(), BridgeVlan()))
    assert effects(view(bridge(), eth0=link(2, master_index=3), br0=ours)) == [JoinLink("eth0", "")]
    assert effects(view(eth0=link(2, master_index=3), cni0=link(3, kind="bridge"))) == []


def test_a_port_may_name_its_bridge() -> None:
    seen = view(bridge(), LinkSettings(name="eth0", bridge="br0"), eth0=ETH0)
    assert spec(seen, "eth0").bridge_slave == BridgeSlave(master_name="br0")


def test_members_do_not_ask_for_leases() -> None:
    def operators(*entries: LinkSettings) -> list[str]:
        return [step.id for step in OperatorController().plan(view(*entries, eth0=ETH0)) if isinstance(step, Put)]

    assert operators() == ["dhcp4/eth0"]
    assert operators(bond("eth0")) == []
    assert operators(vlan()) == ["dhcp4/eth0"]


@pytest.mark.parametrize(
    ("wanted", "present", "done"),
    [
        ({"miimon": 200}, {"miimon": 100}, ["ChangeLink"]),
        ({"mode": "802.3ad"}, {}, ["RemoveLink", "MakeLink"]),
        ({"mode": "802.3ad", "lacp_rate": "fast"}, {"mode": "802.3ad", "miimon": 100}, ["RemoveLink", "MakeLink"]),
        ({"mode": "802.3ad"}, {"mode": "802.3ad", "miimon": 100}, []),
        ({"miimon": 100, "updelay": 250}, {"miimon": 100, "updelay": 200}, []),
        ({"primary": "eth0"}, {}, []),
        ({}, {"ad_actor_sys_prio": 0}, []),
    ],
    ids=["live", "mode", "rate", "as the kernel has it", "rounded", "no member yet", "told in one mode only"],
)
def test_parameters_of_a_bond(wanted: dict[str, Any], present: dict[str, Any], done: list[str]) -> None:
    seen = view(bond(**wanted), eth0=ETH0, bond0=link(3, kind="bond", bond_master=BondMaster(**present)))
    assert [type(effect).__name__ for effect in effects(seen)] == done


def test_the_first_choice_is_told_once_it_is_a_member() -> None:
    there = link(3, kind="bond", bond_master=BondMaster())
    seen = view(bond("eth0", primary="eth0"), eth0=link(2, master_index=3), bond0=there)
    assert effects(seen) == [ChangeLink(spec(seen, "bond0"), there)]


def test_a_bond_is_settled_as_the_kernel_would() -> None:
    settled = settle_bond(BondMaster(mode="balance-alb", updelay=250))
    assert (settled.miimon, settled.updelay) == (100, 200)
    assert settle_bond(BondMaster(updelay=250)).updelay == 0


def test_a_table_has_one_name() -> None:
    made = LogicalLink(kind="vrf", vrf_master=VrfMaster(table="254"))
    seen = view(LinkSettings(name="vrf0", logical=made))
    assert spec(seen, "vrf0").vrf_master == VrfMaster(table="main")
    there = link(3, kind="vrf", vrf_master=VrfMaster(table="100"))
    seen = view(LinkSettings(name="vrf0", logical=made), vrf0=there)
    assert effects(seen) == [RemoveLink("vrf0"), MakeLink(spec(seen, "vrf0"))]


@pytest.mark.parametrize(("peer", "again"), [("right", False), ("", False), ("other", True), ("gone", False)])
def test_a_pair_is_made_anew_for_another_end(peer: str, again: bool) -> None:
    made = LogicalLink(kind="veth", veth=Veth(peer_name="right"))
    there = link(3, kind="veth", veth=Veth(peer_name=peer))
    seen = view(LinkSettings(name="left", logical=made), left=there, right=link(4), other=link(5))
    assert (RemoveLink("left") in effects(seen)) is again


@pytest.mark.parametrize(
    ("entry", "there", "done"),
    [
        (LinkSettings(name="eth0", up=False), ETH0, [SetLink("eth0", up=False)]),
        (LinkSettings(name="eth0", up=False), link(2, ""), []),
        (LinkSettings(name="eth0", multicast=False), ETH0, [SetLink("eth0", multicast=False)]),
        (LinkSettings(name="eth0", multicast=True), ETH0, []),
        (LinkSettings(name="eth0", multicast=True), link(2, "UP"), [SetLink("eth0", multicast=True)]),
    ],
)
def test_what_any_link_can_be_told(entry: LinkSettings, there: LinkStatusSpec, done: list[object]) -> None:
    assert effects(view(entry, eth0=there)) == done


def test_a_tunnel_is_set_up_once_and_again_when_it_changes() -> None:
    def tunnels(seen: PlainView) -> list[object]:
        steps = list(TunnelController().plan(seen))
        for step in steps:
            if isinstance(step, Put):
                seen.add(step.kind, step.id, step.spec)
        return [effect for step in steps if not isinstance(step, Put) for effect in step.effects]  # type: ignore[union-attr]

    settings = Wireguard(private_key="k", listen_port=1)
    made = LinkSettings(name="wg0", logical=LogicalLink(kind="wireguard", wireguard=settings))
    seen = view(made)
    assert tunnels(seen) == []
    seen.add(LINK_STATUS, "wg0", link(3, kind="wireguard"))
    assert tunnels(seen) == [SetWireguard("wg0", settings)]
    assert tunnels(seen) == []
    seen.add(LINK_STATUS, "wg0", link(4, kind="wireguard"))
    assert tunnels(seen) == [SetWireguard("wg0", settings)], "it is another link now"
    assert "k" not in str(SetWireguard("wg0", settings)).split()

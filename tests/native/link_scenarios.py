"""What happens to links that are made of software: scenarios that `test_links` runs.

``python link_scenarios.py NAME`` with a network namespace, or a kernel, of its own; a scenario that fails raises.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from network_scenarios import ip, node, until

from dozen.engine.store import Store
from dozen.linux import ethtool, network
from dozen.machinery.config.generating import generate
from dozen.machinery.effects.links import MakeLink, SetEthernet
from dozen.machinery.plan import Temporary
from dozen.machinery.resources import config
from dozen.machinery.resources.ethernet import (
    ETHERNET_STATUS,
    ETHERNET_TOLD,
    EthernetSpecSpec,
    EthernetStatusSpec,
    RingsSpec,
)
from dozen.machinery.resources.link import (
    LINK_ALIAS_SPEC,
    LINK_SPEC,
    LINK_STATUS,
    BondMaster,
    BridgeMaster,
    BridgeVlan,
    LinkSpec,
    Stp,
    Veth,
    Vlan,
    VrfMaster,
    Wireguard,
    WireguardPeer,
)
from dozen.machinery.resources.settings import (
    NETWORK,
    NETWORK_SETTINGS,
    AliasSettings,
    LinkSelector,
    LinkSettings,
    LogicalLink,
    NetworkSettings,
)
from dozen.node.controllers.network.ethernet import EthernetWatcher


def show(name: str) -> dict[str, Any]:
    """A link as iproute2 sees it, empty when it is not there."""
    found = [each for each in json.loads(ip("-details -json link show")) if each["ifname"] == name]
    return found[0] if found else {}


def data(name: str) -> dict[str, Any]:
    """What its driver says of a link."""
    found: dict[str, Any] = show(name).get("linkinfo", {}).get("info_data", {})
    return found


def kind(name: str) -> str:
    return str(show(name).get("linkinfo", {}).get("info_kind", ""))


def is_running(name: str) -> bool:
    return "UP" in show(name).get("flags", ())


def settle(store: Store, *links: LinkSettings) -> None:
    """The configuration says this from now on."""
    store.put(NETWORK_SETTINGS, NETWORK, NetworkSettings(links=links))


def vlan(number: int, parent: str = "eth0", name: str = "v0", protocol: str = "802.1q") -> LinkSettings:
    made = LogicalLink(kind="vlan", parent=parent, vlan=Vlan(vlan_id=number, vlan_protocol=protocol))
    return LinkSettings(name=name, addresses=("10.88.0.1/24",), logical=made)


ETH0 = LinkSettings(name="eth0")


async def a_vlan_is_made_changed_and_removed() -> None:
    ip("link add eth0 type veth peer name far")
    ip("link set far up")
    async with node(NetworkSettings(links=(ETH0, vlan(5)))) as (store, _):
        await until(lambda: is_running("v0") and "10.88.0.1/24" in ip("addr show v0"), "the VLAN has its address")
        assert (data("v0")["id"], data("v0")["protocol"], show("v0")["link"]) == (5, "802.1Q", "eth0")
        told = await store.wait_for(LINK_STATUS, "v0", lambda link: link.spec.vlan is not None)
        assert told.spec.vlan == Vlan(vlan_id=5)
        settle(store, ETH0, vlan(6, protocol="802.1ad"))
        await until(lambda: data("v0").get("id") == 6 and is_running("v0"), "it has another number")
        assert data("v0")["protocol"] == "802.1ad"
        await until(lambda: "10.88.0.1/24" in ip("addr show v0"), "its address comes back")
        ip("link del v0")
        await until(lambda: is_running("v0"), "somebody removed it: it comes back")
        # the same by what the parent is: the VLAN is named for the link that is found
        chosen = LinkSelector(permanent_addr=show("eth0")["address"])
        named = LogicalLink(kind="vlan", parent_selector=chosen, vlan=Vlan(vlan_id=7))
        settle(store, LinkSettings(selector=chosen), LinkSettings(logical=named))
        await until(lambda: is_running("eth0.7") and not show("v0"), "one comes, one goes")
        settle(store, ETH0)
        await until(lambda: not show("eth0.7"), "it goes with its configuration")
        await store.wait_gone(LINK_SPEC, "eth0.7")


async def a_bond_takes_its_members_and_parameters() -> None:
    for name in ("eth0", "eth1"):
        ip(f"link add {name} type veth peer name far{name}")
        ip(f"link set far{name} up")
    ip("link set eth1 up")

    def bond(**fields: Any) -> LinkSettings:
        members = fields.pop("links", ("eth0", "eth1"))
        made = LogicalLink(
            kind="bond", links=members, bond_master=BondMaster(**fields), hardware_addr="02:00:00:00:00:0B"
        )
        return LinkSettings(name="bond0", addresses=("10.88.0.1/24",), logical=made)

    first = bond(mode="active-backup", miimon=200, updelay=500, links=("eth0",))
    async with node(NetworkSettings(links=(first,))) as (store, _):
        await until(lambda: show("eth0").get("master") == "bond0" and is_running("bond0"), "it has its member")
        await until(lambda: "10.88.0.1/24" in ip("addr show bond0"), "it has its address")
        found = data("bond0")
        assert (found["mode"], found["miimon"], found["updelay"]) == ("active-backup", 200, 400)
        assert show("bond0")["address"] == "02:00:00:00:00:0b"
        told = await store.wait_for(LINK_STATUS, "bond0", lambda link: link.spec.bond_master.miimon == 200)
        assert told.spec.bond_master.mode == "active-backup"
        number = show("bond0")["ifindex"]
        settle(store, bond(mode="active-backup", miimon=100, min_links=1, links=("eth0",)))
        await until(lambda: (data("bond0")["miimon"], data("bond0")["min_links"]) == (100, 1), "it is changed")
        assert show("bond0")["ifindex"] == number, "it was made anew without need"
        settle(store, bond(mode="802.3ad", lacp_rate="fast", xmit_hash_policy="layer3+4"))
        await until(lambda: data("bond0").get("mode") == "802.3ad", "it has another mode")
        await until(lambda: show("eth0").get("master") == show("eth1").get("master") == "bond0", "with its members")
        found = data("bond0")
        assert (found["ad_lacp_rate"], found["xmit_hash_policy"], found["miimon"]) == ("fast", "layer3+4", 100)
        await until(lambda: "10.88.0.1/24" in ip("addr show bond0"), "and its address")
        # That a bond goes is in the next scenario, with one member. When one of several leaves, User Mode Linux 6.1
        # stops for good, kernel and all; it is not known why, and not tried here therefore.


async def a_vlan_on_a_bond_in_a_bridge() -> None:
    ip("link add eth0 type veth peer name far")
    ip("link set far up")
    bond = LogicalLink(kind="bond", links=("eth0",), bond_master=BondMaster(mode="active-backup", miimon=100))
    bridge = LogicalLink(kind="bridge", links=("v0",), bridge_master=BridgeMaster(stp=Stp(), vlan=BridgeVlan()))
    # the order of a configuration is nobody's concern
    links = (LinkSettings(name="br0", logical=bridge), vlan(9, "bond0"), LinkSettings(name="bond0", logical=bond))
    async with node(NetworkSettings(links=links)) as (store, _):
        await until(lambda: show("v0").get("master") == "br0" and is_running("br0"), "the VLAN is a port")
        assert show("v0")["link"] == "bond0"
        settle(store)
        await until(lambda: not any(show(name) for name in ("br0", "v0", "bond0")), "all of it goes")


async def a_bridge_has_ports_and_parameters() -> None:
    ip("link add eth0 type veth peer name far")
    ip("link add eth1 type veth peer name far1")

    def bridge(stp: bool, filtering: bool, *ports: str) -> LinkSettings:
        master = BridgeMaster(stp=Stp(enabled=stp), vlan=BridgeVlan(filtering_enabled=filtering))
        made = LogicalLink(kind="bridge", links=ports, bridge_master=master, hardware_addr="02:00:00:00:00:01")
        return LinkSettings(name="br0", logical=made, addresses=("10.88.0.1/24",), mtu=1400)

    port = LinkSettings(name="eth1", bridge="br0")
    async with node(NetworkSettings(links=(bridge(True, False, "eth0"), port))) as (store, _):
        await until(lambda: show("eth0").get("master") == show("eth1").get("master") == "br0", "both are ports")
        await until(lambda: is_running("br0") and show("br0")["mtu"] == 1400, "it is up")
        assert (data("br0")["stp_state"], data("br0")["vlan_filtering"]) == (1, 0)
        assert show("br0")["address"] == "02:00:00:00:00:01"
        settle(store, bridge(False, True, "eth0"), LinkSettings(name="eth1"))
        await until(lambda: data("br0")["vlan_filtering"] == 1 and not show("eth1").get("master"), "it is changed")
        assert data("br0")["stp_state"] == 0
        told = await store.wait_for(LINK_STATUS, "br0", lambda link: link.spec.bridge_master.vlan.filtering_enabled)
        assert told.spec.bridge_master.stp == Stp(enabled=False)
        # what others have made is theirs: a bridge of containers, and a link that they put into it
        ip("link add cni0 type bridge")
        ip("link set eth1 master cni0")
        settle(store, LinkSettings(name="eth1"))
        await until(lambda: not show("br0"), "it goes with its configuration")
        await asyncio.sleep(0.2)
        assert show("cni0")
        assert show("eth1")["master"] == "cni0"


async def a_pair_of_ends() -> None:
    def pair(name: str, peer: str) -> tuple[LinkSettings, LinkSettings]:
        here = LogicalLink(kind="veth", veth=Veth(peer_name=peer), hardware_addr="")
        there = LogicalLink(kind="veth", veth=Veth(peer_name=name))
        return (
            LinkSettings(name=name, logical=here, addresses=("10.88.0.1/24",)),
            LinkSettings(name=peer, logical=there, mtu=1300),
        )

    async with node(NetworkSettings(links=pair("left", "right"))) as (store, _):
        await until(lambda: is_running("left") and is_running("right"), "both ends are up")
        assert (show("left")["link"], show("right")["link"]) == ("right", "left")
        await until(lambda: show("right")["mtu"] == 1300 and "10.88.0.1/24" in ip("addr show left"), "each has its own")
        await store.wait_for(LINK_STATUS, "left", lambda link: link.spec.veth == Veth(peer_name="right"))
        settle(store, *pair("left", "other"))
        await until(lambda: is_running("other") and not show("right"), "another end")
        settle(store)
        await until(lambda: not show("left") and not show("other"), "both ends go")


async def a_dummy_has_an_address() -> None:
    links = (LinkSettings(name="d0", addresses=("10.88.0.1/24",), logical=LogicalLink(kind="dummy")),)
    async with node(NetworkSettings(links=links)) as (store, _):
        await until(lambda: is_running("d0") and "10.88.0.1/24" in ip("addr show d0"), "it is up")
        assert kind("d0") == "dummy"
        settle(store)
        await until(lambda: not show("d0"), "it goes")


async def links_have_other_names() -> None:
    """Chosen by expressions; the configuration, and every program, finds the links by them."""
    for number in (0, 1):
        own, far = f"02:00:00:00:00:0{number + 1}", f"02:00:00:00:01:0{number + 1}"
        ip(f"link add eth{number} up address {own} type veth peer name far{number} address {far}")
        ip(f"link set far{number} up")
    aliases = (
        AliasSettings(name="uplink", match='mac(link.hardware_addr) == "02:00:00:00:00:01"'),
        AliasSettings(name="net%d", match='glob("02:00:00:*", mac(link.hardware_addr))'),
        AliasSettings(name="which", match="true"),
    )
    links = (LinkSettings(name="uplink", addresses=("10.88.0.1/24",)), LinkSettings(name="net1", mtu=1300))

    def names(link: str) -> tuple[str, list[str]]:
        found = show(link)
        return found.get("ifalias", ""), found.get("altnames", [])

    with pytest.MonkeyPatch.context() as patching:
        # No link in a namespace is hardware; these stand in for it.
        patching.setattr("dozen.node.controllers.network.aliases.is_physical", lambda link: link.kind == "veth")
        async with node(NetworkSettings(links=links, aliases=aliases)) as (store, _):
            await until(lambda: names("eth0") == ("uplink", ["uplink"]), "one is chosen")
            await until(
                lambda: [names(each)[0] for each in ("eth1", "far0", "far1")] == ["net0", "net1", "net2"], "rest"
            )
            await until(lambda: "10.88.0.1/24" in ip("addr show dev uplink"), "it has its address")
            await until(lambda: show("far0")["mtu"] == 1300, "numbered names are names too")
            await store.wait_for(LINK_STATUS, "eth0", lambda link: link.spec.alias == "uplink")
            assert store.find(LINK_ALIAS_SPEC, "eth1").spec.alias == "net0"  # type: ignore[union-attr]
            store.put(NETWORK_SETTINGS, NETWORK, NetworkSettings(links=links, aliases=aliases[1:]))
            await until(lambda: names("eth0") == ("net0", ["net0"]) and names("eth1")[1] == ["net1"], "names move")
            await until(
                lambda: "10.88.0.1" not in ip("addr show dev eth0"), "what was said of a name is not of the link"
            )
            settle(store)
            await until(lambda: not any(names(each)[0] or names(each)[1] for each in ("eth0", "eth1", "far0")), "none")


async def the_driver_of_a_link_is_told() -> None:
    ip("link add eth0 up numrxqueues 4 numtxqueues 4 type veth peer name far0")
    document = """---
apiVersion: v1alpha1
kind: EthernetConfig
name: {}
features: {{tx-generic-segmentation: {}}}
channels: {{rx: 2}}
"""
    text = generate("native", "https://127.0.0.1:6443").worker

    def told(store: Store) -> EthernetStatusSpec:
        found = store.find(ETHERNET_STATUS, "eth0")
        return found.spec if found is not None else EthernetStatusSpec()

    def feature(store: Store) -> str:
        return next((each.status for each in told(store).features if each.name == "tx-generic-segmentation"), "")

    with pytest.MonkeyPatch.context() as patching:
        # No link in a namespace is hardware; this one stands in for it, and has a driver all the same.
        patching.setattr("dozen.node.controllers.network.ethernet.is_physical", lambda link: link.kind == "veth")
        async with node(NetworkSettings(), EthernetWatcher) as (store, _):
            await until(lambda: feature(store) == "on", "what the driver does by itself")
            put_configuration(store, text + document.format("eth0", "false"))
            await until(lambda: feature(store) == "off", "a feature is off")
            await store.wait_for(ETHERNET_TOLD, "eth0")
            channels = ethtool.read_ethernet("eth0").channels
            assert channels is not None
            assert (channels.rx, channels.tx) == (2, 4)
            put_configuration(store, text + document.format("eth0", "true"))
            await until(lambda: feature(store) == "on", "and on again")
        with pytest.raises(Temporary, match="rings: Operation not supported"):
            await network.run(SetEthernet("eth0", EthernetSpecSpec(rings=RingsSpec(rx=7))))
        with pytest.raises(Temporary, match="feature flying"):
            await network.run(SetEthernet("eth0", EthernetSpecSpec(features={"flying": True})))


def put_configuration(store: Store, text: str) -> None:
    store.put(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text))


async def a_vrf_has_a_table_of_its_own() -> None:
    ip("link add eth0 type veth peer name far")
    ip("link set far up")

    def vrf(table: str) -> LinkSettings:
        return LinkSettings(
            name="vrf0", logical=LogicalLink(kind="vrf", links=("eth0",), vrf_master=VrfMaster(table=table))
        )

    static = LinkSettings(name="eth0", addresses=("10.88.0.1/24",))
    async with node(NetworkSettings(links=(vrf("100"), static))) as (store, _):
        await until(lambda: show("eth0").get("master") == "vrf0" and is_running("vrf0"), "the link is in it")
        await until(lambda: "10.88.0.0/24" in ip("route show table 100"), "its network is in the table")
        settle(store, vrf("101"), static)
        await until(lambda: data("vrf0").get("table") == 101, "it has another table")
        await until(lambda: "10.88.0.0/24" in ip("route show table 101"), "and the network is there")
        settle(store, static)
        await until(lambda: not show("vrf0") and not show("eth0").get("master"), "it goes")


async def a_tunnel_of_wireguard() -> None:
    private, public = (b64encode(bytes(31) + bytes([last])).decode() for last in (64, 9))
    own = X25519PrivateKey.from_private_bytes(b64decode(private)).public_key().public_bytes_raw()

    def tunnel(*networks: str) -> LinkSettings:
        peers = (WireguardPeer(public_key=public, endpoint="192.0.2.1:51820", allowed_ips=networks),)
        made = Wireguard(private_key=private, listen_port=51820, peers=peers)
        logical = LogicalLink(kind="wireguard", wireguard=made)
        return LinkSettings(name="wg0", addresses=("10.88.0.1/24",), logical=logical)

    async with node(NetworkSettings(links=(tunnel("10.89.0.0/16"),))) as (store, _):
        await until(lambda: is_running("wg0") and "10.88.0.1/24" in ip("addr show wg0"), "it is up")
        told = await store.wait_for(LINK_STATUS, "wg0", lambda link: link.spec.wireguard and link.spec.wireguard.peers)
        found = told.spec.wireguard
        assert (found.public_key, found.listen_port, found.private_key) == (b64encode(own).decode(), 51820, "")
        assert (found.peers[0].endpoint, found.peers[0].allowed_ips) == ("192.0.2.1:51820", ("10.89.0.0/16",))
        settle(store, tunnel("10.90.0.0/16"))
        await store.wait_for(
            LINK_STATUS, "wg0", lambda link: link.spec.wireguard.peers[0].allowed_ips == ("10.90.0.0/16",)
        )
        settle(store)
        await until(lambda: not show("wg0"), "it goes")


async def what_is_asked_in_vain_is_told_and_harms_nothing_else() -> None:
    ip("link add eth0 type veth peer name far")
    bridge = LogicalLink(kind="bridge", bridge_master=BridgeMaster())
    taken = LinkSettings(name="lo", logical=bridge)
    with pytest.raises(Temporary, match="make bridge lo: there is a physical link of this name"):
        await network.run(MakeLink(LinkSpec(name="lo", kind="bridge")))
    with pytest.raises(Temporary, match="this kernel has no links of kind nosuch"):
        await network.run(MakeLink(LinkSpec(name="x0", kind="nosuch")))
    async with node(NetworkSettings(links=(taken, LinkSettings(name="br0", logical=bridge)))) as (store, _):
        await until(lambda: is_running("br0") and is_running("lo"), "what can be made is made")
        settle(store)
        await until(lambda: not show("br0"), "and removed")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(globals()[sys.argv[1]]())

"""What drivers tell, as resources of physical links."""

from __future__ import annotations

import asyncio

import pytest

from dozen.linux import ethtool
from dozen.linux.ethtool import Channels, Details, Feature, Rings
from dozen.machinery.config import generate
from dozen.machinery.effects.links import SetEthernet
from dozen.machinery.effects.network import Each
from dozen.machinery.plan import Put
from dozen.machinery.resources import config
from dozen.machinery.resources.ethernet import (
    ETHERNET_SPEC,
    ETHERNET_STATUS,
    ETHERNET_TOLD,
    NO_WAY,
    ChannelsSpec,
    EthernetChannels,
    EthernetFeature,
    EthernetRings,
    EthernetSpecSpec,
    EthernetStatusSpec,
    EthernetToldSpec,
    RingsSpec,
)
from dozen.machinery.resources.link import LINK_STATUS, LinkStatusSpec
from dozen.machinery.resources.settings import NETWORK, NETWORK_SETTINGS, NetworkSettings
from dozen.node.controllers.network.ethernet import (
    EthernetController,
    EthernetSpecController,
    EthernetWatcher,
    describe_ethernet,
    difference,
)
from dozen.testing.controllers import Bench, PlainView

TOLD = Details(
    Rings(256, 0, 0, 256, 256, 0, 0, 128),
    Channels(0, 0, 0, 2, 0, 0, 0, 1),
    (Feature("tx-lro", active=True, fixed=False), Feature("rx-all", active=False, fixed=True)),
)


def test_a_link_and_what_its_driver_tells() -> None:
    link = LinkStatusSpec(link_state=True, speed_mbit=1000, duplex="Full")
    assert describe_ethernet(link, TOLD) == EthernetStatusSpec(
        link_state=True,
        speed_mbit=1000,
        duplex="Full",
        rings=EthernetRings(rx_max=256, tx_max=256, rx=256, tx=128),
        features=(
            EthernetFeature(name="tx-lro", status="on"),
            EthernetFeature(name="rx-all", status="off [fixed]"),
        ),
        channels=EthernetChannels(combined_max=2, combined=1),
    )
    assert describe_ethernet(LinkStatusSpec(), Details()) == EthernetStatusSpec()


def test_physical_links_only_and_again_when_one_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ethtool, "read_ethernet", lambda name: TOLD)

    async def run() -> None:
        bench = Bench()
        bench.runtime.add_watcher(EthernetWatcher(bench.store))
        async with bench:
            bench.put(LINK_STATUS, "cni0", LinkStatusSpec(kind="bridge"))
            bench.put(LINK_STATUS, "eth0", LinkStatusSpec())
            await bench.settle()
            assert [each.id for each in bench.store.list(ETHERNET_STATUS)] == ["eth0"]
            bench.put(LINK_STATUS, "eth0", LinkStatusSpec(link_state=True))
            await bench.settle()
            assert bench.store.get(ETHERNET_STATUS, "eth0").spec.link_state
            bench.remove(LINK_STATUS, "eth0")
            await bench.settle()
            assert bench.store.list(ETHERNET_STATUS) == ()

    asyncio.run(run())


ETH0 = EthernetStatusSpec(
    rings=EthernetRings(rx_max=256, rx=256, tx=128),
    channels=EthernetChannels(combined=2),
    features=(EthernetFeature(name="tx-lro", status="on"), EthernetFeature(name="rx-all", status="off [fixed]")),
    wake_on_lan=("magic",),
)


@pytest.mark.parametrize(
    ("wanted", "rest"),
    [
        (EthernetSpecSpec(), EthernetSpecSpec()),
        (EthernetSpecSpec(features={"tx-lro": True, "rx-all": False}), EthernetSpecSpec()),
        (
            EthernetSpecSpec(features={"tx-lro": False, "x": True}),
            EthernetSpecSpec(features={"tx-lro": False, "x": True}),
        ),
        (EthernetSpecSpec(rings=RingsSpec(rx=256, tx=0)), EthernetSpecSpec()),
        (EthernetSpecSpec(rings=RingsSpec(rx=512)), EthernetSpecSpec(rings=RingsSpec(rx=512))),
        (EthernetSpecSpec(rings=RingsSpec(tx_push=False)), EthernetSpecSpec()),
        (EthernetSpecSpec(channels=ChannelsSpec(combined=4)), EthernetSpecSpec(channels=ChannelsSpec(combined=4))),
        (EthernetSpecSpec(wake_on_lan=("magic",)), EthernetSpecSpec()),
        (EthernetSpecSpec(wake_on_lan=(NO_WAY,)), EthernetSpecSpec(wake_on_lan=(NO_WAY,))),
    ],
)
def test_a_driver_is_told_only_what_is_not_so(wanted: EthernetSpecSpec, rest: EthernetSpecSpec) -> None:
    assert difference(wanted, ETH0) == rest
    view = PlainView(
        (ETHERNET_SPEC, "eth0", wanted),
        (ETHERNET_STATUS, "eth0", ETH0),
        (LINK_STATUS, "eth0", LinkStatusSpec(index=3)),
    )
    told = Put(ETHERNET_TOLD, "eth0", EthernetToldSpec(index=3, spec_version="1"))
    effects = [Each((SetEthernet("eth0", rest),))] if rest != EthernetSpecSpec() else []
    assert list(EthernetController().plan(view)) == [*effects, told]
    view.add(ETHERNET_TOLD, "eth0", told.spec)
    assert list(EthernetController().plan(view)) == [told]


def test_documents_are_about_links_by_any_of_their_names() -> None:
    text = (
        generate("c", "https://10.0.0.1:6443").worker
        + """---
apiVersion: v1alpha1
kind: EthernetConfig
name: uplink
features: {tx-lro: false}
rings: {rx: 5, tx-push: true}
channels: {combined: 2}
wakeOnLan: [magic, arp]
"""
    )
    view = PlainView(
        (config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text)),
        (NETWORK_SETTINGS, NETWORK, NetworkSettings()),
        (LINK_STATUS, "eth0", LinkStatusSpec(alt_names=("uplink",))),
        (LINK_STATUS, "eth1", LinkStatusSpec()),
    )
    wanted = EthernetSpecSpec(
        features={"tx-lro": False},
        rings=RingsSpec(rx=5, tx_push=True),
        channels=ChannelsSpec(combined=2),
        wake_on_lan=("magic", "arp"),
    )
    assert list(EthernetSpecController().plan(view)) == [Put(ETHERNET_SPEC, "eth0", wanted)]

"""What drivers tell, as resources of physical links."""

from __future__ import annotations

import asyncio

import pytest

from dozen.linux import ethtool
from dozen.linux.ethtool import Channels, Details, Feature, Rings
from dozen.machinery.resources.ethernet import (
    ETHERNET_STATUS,
    EthernetChannels,
    EthernetFeature,
    EthernetRings,
    EthernetStatusSpec,
)
from dozen.machinery.resources.link import LINK_STATUS, LinkStatusSpec
from dozen.node.controllers.network.ethernet import EthernetWatcher, describe_ethernet
from dozen.testing.controllers import Bench

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

"""Virtual addresses: which there are, who gets them, and that nobody keeps one without a lease."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from dozen.engine.outputs import Outputs
from dozen.engine.publisher import Publisher
from dozen.engine.store import Store
from dozen.machinery.config import generate
from dozen.machinery.effects.network import AddAddress, AnnounceAddress
from dozen.machinery.plan import Put
from dozen.machinery.resources import config, network
from dozen.machinery.resources.link import LINK_STATUS, LinkStatusSpec
from dozen.machinery.resources.network import ADDRESS_SPEC, AddressSpec
from dozen.machinery.resources.operator import VIRTUAL_ADDRESS, VirtualAddressSpec
from dozen.machinery.resources.settings import (
    NETWORK,
    NETWORK_SETTINGS,
    LinkSettings,
    NetworkSettings,
    VirtualAddressSettings,
)
from dozen.node.controllers.network import virtual
from dozen.node.controllers.network.addresses import AddressController, AddressSpecController
from dozen.node.etcd.client import EtcdClient
from dozen.rpc.status import Code, RpcError
from dozen.testing.controllers import PlainView

BUNDLE = generate("test", "https://10.0.0.5:6443")
ADDRESS = "10.0.0.5"
SETTINGS = NetworkSettings(links=(LinkSettings(name="eth0", virtual_addresses=(ADDRESS,)),))


class FakeEtcd:
    """A store with leases that end when nobody renews them; ``away`` makes it unreachable for one node."""

    def __init__(self) -> None:
        self.keys: dict[str, tuple[str, int]] = {}
        self.leases: set[int] = set()

    def node(self) -> FakeNode:
        return FakeNode(self)

    def end(self, lease: int) -> None:
        self.leases.discard(lease)
        self.keys = {key: each for key, each in self.keys.items() if each[1] != lease}


class FakeNode:
    def __init__(self, etcd: FakeEtcd) -> None:
        self.etcd = etcd
        self.away = False

    def _reach(self) -> None:
        if self.away:
            raise RpcError(Code.UNAVAILABLE, "no leader")

    async def get(self, key: str) -> str:
        self._reach()
        return self.etcd.keys.get(key, ("", 0))[0]

    async def grant_lease(self, seconds: int) -> int:
        self._reach()
        lease = len(self.etcd.leases) + 1
        self.etcd.leases.add(lease)
        return lease

    async def create(self, key: str, value: str, lease: int) -> tuple[bool, str]:
        self._reach()
        won = self.etcd.keys.setdefault(key, (value, lease))[1] == lease
        return won, self.etcd.keys[key][0]

    async def renew_lease(self, lease: int, timeout: float = 0) -> int:
        self._reach()
        return 10 if lease in self.etcd.leases else 0

    async def revoke_lease(self, lease: int) -> None:
        self._reach()
        self.etcd.end(lease)


class Machine:
    """A control plane's node with the watcher."""

    def __init__(self, name: str, etcd: FakeEtcd, text: str = BUNDLE.controlplane) -> None:
        self.store = Store()
        self.client = etcd.node()
        put = self.store.put
        put(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text), owner="t")
        put(network.HOSTNAME_STATUS, "hostname", network.HostnameStatusSpec(hostname=name), owner="t")
        put(LINK_STATUS, "eth0", LinkStatusSpec(), owner="t")
        put(NETWORK_SETTINGS, NETWORK, SETTINGS, owner="t")
        self.watcher = virtual.VirtualAddressWatcher(self.store)
        outputs = Outputs(self.store, self.watcher.name, self.watcher.outputs)
        self.task = asyncio.create_task(self.watcher.run(Publisher(outputs)))

    def found(self) -> VirtualAddressSpec | None:
        resource = self.store.find(VIRTUAL_ADDRESS, ADDRESS)
        return resource.spec if resource is not None else None

    async def until(self, held: bool) -> None:
        await self.store.wait_for(VIRTUAL_ADDRESS, ADDRESS, lambda it: it.spec.held is held, timeout=5)

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[FakeEtcd], Coroutine[Any, Any, None]]], None]:
    for name, value in {"LEASE": 0.3, "RENEWAL": 0.05, "MARGIN": 0.1, "PATIENCE": 0.05}.items():
        monkeypatch.setattr(virtual, name, value)
    clients: dict[int, Any] = {}

    class Clients:
        def __init__(self, store: Store) -> None:
            self.local: EtcdClient = clients[id(store)]

    monkeypatch.setattr("dozen.node.etcd.local.etcd_clients", Clients)
    original = Machine.__init__

    def remember(self: Machine, *arguments: Any, **fields: Any) -> None:
        original(self, *arguments, **fields)
        clients[id(self.store)] = self.client

    monkeypatch.setattr(Machine, "__init__", remember)

    def run(scenario: Callable[[FakeEtcd], Coroutine[Any, Any, None]]) -> None:
        asyncio.run(asyncio.wait_for(scenario(FakeEtcd()), 20))

    return run


def test_one_node_has_the_address_and_the_others_know_who(play: Any) -> None:
    async def scenario(etcd: FakeEtcd) -> None:
        one = Machine("cp-1", etcd)
        await one.until(held=True)
        two = Machine("cp-2", etcd)
        await two.until(held=False)
        assert two.found() == VirtualAddressSpec(link_name="eth0", held=False, holder="cp-1")
        await one.close()
        await two.until(held=True)
        assert one.found() is None
        await two.close()
        assert etcd.keys == {}

    play(scenario)


def test_a_node_that_cannot_reach_etcd_gives_the_address_up_before_the_lease_ends(play: Any) -> None:
    async def scenario(etcd: FakeEtcd) -> None:
        one = Machine("cp-1", etcd)
        await one.until(held=True)
        one.client.away = True
        await one.until(held=False)
        # Etcd still keeps it for the node: nobody else has it yet.
        assert etcd.keys
        for lease in list(etcd.leases):
            etcd.end(lease)
        one.client.away = False
        await one.until(held=True)
        await one.close()

    play(scenario)


def test_who_resigns_leaves_the_address_to_the_others_at_once(play: Any) -> None:
    async def scenario(etcd: FakeEtcd) -> None:
        one = Machine("cp-1", etcd)
        await one.until(held=True)
        await one.watcher.resign()
        found = one.found()
        assert found is None or not found.held
        assert etcd.keys == {}
        await one.close()

    play(scenario)


def test_a_worker_does_not_stand(play: Any) -> None:
    async def scenario(etcd: FakeEtcd) -> None:
        worker = Machine("w-1", etcd, BUNDLE.worker)
        await asyncio.sleep(0.2)
        assert worker.found() is None
        assert not etcd.leases
        await worker.close()

    play(scenario)


def test_both_ways_to_ask_for_an_address() -> None:
    settings = NetworkSettings(
        links=SETTINGS.links, virtual_addresses=(VirtualAddressSettings(address="fd00:0::5", link="eth1"),)
    )
    store = Store()
    links = tuple(store.put(LINK_STATUS, name, LinkStatusSpec()) for name in ("eth0", "eth1"))
    assert virtual.wanted_addresses(settings, links) == {"fd00::5": "eth1", ADDRESS: "eth0"}


def test_an_address_that_is_here_is_a_single_host_and_announced() -> None:
    view = PlainView(
        (VIRTUAL_ADDRESS, ADDRESS, VirtualAddressSpec(link_name="eth0", held=True, holder="cp-1")),
        (VIRTUAL_ADDRESS, "10.0.0.6", VirtualAddressSpec(link_name="eth0", holder="cp-2")),
        (LINK_STATUS, "eth0", LinkStatusSpec()),
    )
    spec = AddressSpec(address="10.0.0.5/32", link_name="eth0", announce_with_arp=True, layer="operator")
    assert list(AddressSpecController().plan(view)) == [Put(ADDRESS_SPEC, "eth0/10.0.0.5/32", spec)]
    view.add(ADDRESS_SPEC, "eth0/10.0.0.5/32", spec)
    (step,) = AddressController().plan(view)
    assert [type(each) for each in step.effects] == [AddAddress, AnnounceAddress]  # type: ignore[union-attr]

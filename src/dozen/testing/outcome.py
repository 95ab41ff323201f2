"""What a node makes of a configuration: all that its controllers plan, on a bench, with a machine that stays the same.

    given = outcome(text)
    assert given["LinkSpec/eth0"]["mtu"] == 1400

The machine has two physical links with addresses, a mounted /var, an etcd that is healthy and an API server that has
answered. What comes out is plain data, by name:

* ``KIND/ID``: the spec of a resource that somebody put, with names as in `dozen.machinery.resources`;
* ``file PATH``: a text that is written; ``placed PATH``: one below /var or /etc that the configuration brings;
* ``effects``: everything else that is done to the machine, each with its name as ``effect``;
* ``containerd``: its configuration; ``base specification``: what containers begin from;
* ``disk``: the one of two that the system is to be on; ``oom``: how short memory is dealt with;
* ``etcd``: etcd's command line; ``receivers``: whom logs and events are sent to; ``virtual addresses``: those that
  control planes share, and on which link.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from dozen.machinery.effects.files import WriteFile
from dozen.machinery.effects.hostfiles import PlaceFiles
from dozen.machinery.effects.network import Each
from dozen.machinery.plan import Controller, Effect
from dozen.machinery.resources import (
    block,
    cluster,
    config,
    etcd,
    ethernet,
    hardware,
    kubernetes,
    link,
    network,
    runtime,
)
from dozen.testing.controllers import Bench, PlainView

ETH0 = link.LinkStatusSpec(
    index=2,
    flags="UP,BROADCAST,MULTICAST",
    hardware_addr="02:00:00:00:00:01",
    permanent_addr="02:00:00:00:00:01",
    bus_path="0000:00:03.0",
    pci_id="1AF4:1041",
    driver="virtio_net",
    mtu=1500,
    link_state=True,
)
ETH1 = link.LinkStatusSpec(
    index=3,
    flags="UP,BROADCAST,MULTICAST",
    hardware_addr="52:54:00:00:00:02",
    permanent_addr="52:54:00:00:00:03",
    bus_path="0000:00:04.0",
    pci_id="8086:100E",
    driver="e1000e",
    mtu=1500,
    link_state=True,
)
# Not hardware, but with everything that hardware is chosen by.
VETH = msgspec.structs.replace(ETH0, index=4, kind="veth")
LOOPBACK = link.LinkStatusSpec(index=1, flags="UP,LOOPBACK", type="loopback", mtu=65536)
ADDRESSES = {"eth0": ("10.0.0.1/24", "10.0.0.18/28", "fd00::1/64"), "eth1": ("192.168.1.1/24",)}


DISKS = {
    "vda": block.DiskSpec(
        dev_path="/dev/vda",
        size=100 * 10**9,
        model="ONE",
        serial="S1",
        modalias="virtio:d1",
        wwid="naa.1",
        uuid="11",
        bus_path="/pci0/virtio1/",
        transport="virtio",
        rotational=True,
    ),
    "vdb": block.DiskSpec(
        dev_path="/dev/vdb",
        size=200 * 10**9,
        model="TWO",
        serial="S2",
        modalias="virtio:d2",
        wwid="naa.2",
        uuid="22",
        bus_path="/pci0/virtio2/",
        transport="virtio",
    ),
}
NO_LINKS: Mapping[str, Any] = {}


def controllers() -> Iterator[Controller]:
    """Those of a node that plan from its configuration, but for disks, the clock and the state of the whole."""
    from dozen.node.controllers import identity
    from dozen.node.controllers.containers import container_controllers
    from dozen.node.controllers.discovery import discovery_controllers
    from dozen.node.controllers.etcd import etcd_controllers
    from dozen.node.controllers.host import host_controllers
    from dozen.node.controllers.kernel import kernel_controllers
    from dozen.node.controllers.kubernetes import kubernetes_controllers
    from dozen.node.controllers.network import later_controllers, network_controllers
    from dozen.node.controllers.network.names import StaticHostController
    from dozen.node.controllers.settings import SettingsController
    from dozen.node.controllers.trust import trust_controllers
    from dozen.node.controllers.udev import udev_controllers
    from dozen.node.kubernetes import membership_controllers

    yield from (SettingsController(), identity.CertSansController(), StaticHostController())
    yield from (*network_controllers(), *later_controllers())
    yield from (*udev_controllers(), *kernel_controllers(), *trust_controllers(), *container_controllers())
    yield from (*kubernetes_controllers(), *membership_controllers(), *host_controllers(True))
    yield from (*etcd_controllers(), *discovery_controllers())


def outcome(text: str, links: Mapping[str, Any] = NO_LINKS) -> dict[str, Any]:
    """What becomes of a configuration, where there are more ``links``: fields of `LinkStatusSpec` by name."""
    return asyncio.run(_outcome(text, links))


async def _outcome(text: str, links: Mapping[str, Any]) -> dict[str, Any]:
    async with Bench(*controllers()) as bench:
        _furnish(bench)
        for name, fields in links.items():
            bench.put(link.LINK_STATUS, name, link.LinkStatusSpec(flags="UP", **fields))
        bench.put(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text))
        await bench.settle()
        failed = {name: status.last_error for name, status in bench.runtime.statuses().items() if status.failures}
        assert not failed, failed
        found: dict[str, Any] = {}
        for kind in bench.store.kinds():
            for each in bench.store.list(kind):
                found[f"{kind.display}/{each.id}"] = _plain(each.spec)
        found |= _files(bench.effects)
        found["effects"] = [
            {"effect": type(each).__name__, **_plain(each)} for each in _single(bench.effects) if not _is_file(each)
        ]
        return found | _programs(bench) | _runtime(text) | {"disk": _disk(text), "oom": _oom(text)}


def _furnish(bench: Bench) -> None:
    for name, status in (("lo", LOOPBACK), ("eth0", ETH0), ("eth1", ETH1), ("veth0", VETH)):
        bench.put(link.LINK_STATUS, name, status)
    for name, addresses in ADDRESSES.items():
        for address in addresses:
            family = "inet6" if ":" in address else "inet4"
            spec = network.AddressStatusSpec(address=address, link_name=name, family=family)
            bench.put(network.ADDRESS_STATUS, f"{name}/{address}", spec)
    for name in ("eth0", "eth1"):
        bench.put(ethernet.ETHERNET_STATUS, name, ethernet.EthernetStatusSpec())
    bench.put(hardware.SYSTEM_INFORMATION, "systeminformation", hardware.SystemInformationSpec(uuid="00112233"))
    bench.put(hardware.PCI_DEVICE, "0000:00:04.0", hardware.PCIDeviceSpec())
    bench.put(block.VOLUME_STATUS, "EPHEMERAL", block.VolumeStatusSpec(phase="ready"))
    bench.put(cluster.IDENTITY, "local", cluster.IdentitySpec(node_id="this"))
    bench.put(runtime.SERVICE, "etcd", runtime.ServiceSpec(running=True, healthy=True, unknown=False))
    bench.put(kubernetes.API_SERVER_ANSWERS, "kube-apiserver", kubernetes.APIServerAnswersSpec(answered=True))
    bench.put(kubernetes.SECRETS_STATUS, "static-pods", kubernetes.SecretsStatusSpec(ready=True, version="1"))


def _plain(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value, enc_hook=dict))


def _single(effects: list[Effect]) -> Iterator[Effect]:
    for each in effects:
        yield from each.effects if isinstance(each, Each) else (each,)


def _is_file(effect: Effect) -> bool:
    return isinstance(effect, WriteFile | PlaceFiles)


def _files(effects: list[Effect]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in effects:
        if isinstance(each, WriteFile):
            found[f"file {each.path}"] = each.content
        elif isinstance(each, PlaceFiles):
            found |= {f"placed {file.path}": _plain(file) for file in each.files}
    return found


def _programs(bench: Bench) -> dict[str, Any]:
    from dozen.node.controllers.network.virtual import VirtualAddressWatcher
    from dozen.node.etcd.arguments import render_arguments
    from dozen.node.sending.watcher import receivers

    found: dict[str, Any] = {"receivers": _plain(list(receivers(bench.store)))}
    found["virtual addresses"] = dict(VirtualAddressWatcher(bench.store).wanted())
    spec = bench.store.find(etcd.ETCD_SPEC, etcd.ID)
    if spec is not None:
        found["etcd"] = list(render_arguments(spec.spec, etcd.EtcdLaunchSpec()))
    return found


def _runtime(text: str) -> dict[str, Any]:
    from dozen.node.configuration import parse
    from dozen.node.services.containerd import base_specification_of, change_config

    given = parse(text)
    image = (Path(__file__).parents[3] / "recipes" / "containerd" / "config.toml").read_text()
    return {"containerd": change_config(image, given), "base specification": base_specification_of(given)}


def _disk(text: str) -> str | None:
    from dozen.linux import block_kinds
    from dozen.node.controllers.block.wanted import wanted_disk

    view = PlainView((config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text)))
    view.add(block_kinds.SCAN, block_kinds.DEVICES, block_kinds.ScanSpec(settled=True))
    for name, disk in DISKS.items():
        view.add(block.DISK, name, disk)
    return wanted_disk(view)


def _oom(text: str) -> dict[str, Any] | None:
    from dozen.machinery.config.effective import find_document
    from dozen.node.configuration import parse
    from dozen.node.controllers.host.oom import read

    said = find_document(parse(text), "OOMConfig")
    if said is None:
        return None
    plan = read(said)
    return {
        "trigger": plan.trigger.text,
        "ranking": plan.ranking.text,
        "strict": plan.strict,
        "interval": plan.interval,
    }

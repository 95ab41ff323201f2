"""A control plane and a worker, each in namespaces, on one wire: the worker is let in, and calls reach it through the
control plane.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from dozen.machinery import talosconfig
from dozen.machinery.config.generating import Bundle, generate
from dozen.machinery.messages import method_types
from dozen.provider.console import last_lines
from dozen.provider.container import Container
from dozen.provider.machines import BootImage, MachineSpec, report_nothing
from dozen.rpc.status import Code, RpcError
from dozen.testing.live import LiveNode
from dozen.testing.portal import Portal
from native.privileges import require_root

LEADER, WORKER = "10.9.0.1", "10.9.0.2"

pytestmark = pytest.mark.skipif(shutil.which("ip") is None, reason="needs ip(8) to lay the wire")


@pytest.fixture(scope="module")
def pair(
    image: BootImage, portal: Portal, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LiveNode, LiveNode]]:
    """(control plane, worker)."""
    require_root()
    assert image.tree
    bundle = generate("pair", f"https://{LEADER}:6443")
    provider = Container(image.tree)
    nodes, folders = [], []
    try:
        for name, text in (("leader", bundle.controlplane), ("worker", bundle.worker)):
            folders.append(tmp_path_factory.mktemp(name))
            machine = portal.run(provider.create(MachineSpec(name, image, text), folders[-1], report_nothing))
            nodes.append(LiveNode(provider, machine, context_of(bundle), portal))
        lay_wire(*(node.machine.pid for node in nodes))
        for node in nodes:
            node.until(lambda node=node: node.version(), "an answer with a certificate of the cluster", 20)  # type: ignore[misc]
        yield nodes[0], nodes[1]
    except AssertionError as error:
        for node in nodes:
            error.add_note(f"--- {node.machine.name}\n{last_lines(node.console(), 40)}")
        raise
    finally:
        for node in nodes:
            node.close()
        for folder in folders:
            portal.run(provider.destroy(folder))


def context_of(bundle: Bundle) -> talosconfig.Context:
    return talosconfig.parse(bundle.talosconfig).select()


def lay_wire(leader: int | None, worker: int | None) -> None:
    """A pair of links between the two network namespaces; nothing of it is ever in this computer's own."""
    ends = ((leader, LEADER), (worker, WORKER))
    enter = ["nsenter", f"--net=/proc/{leader}/ns/net", "--", "ip", "link", "add", "wire", "type", "veth"]
    subprocess.run([*enter, "peer", "name", "wire", "netns", str(worker)], check=True)
    for pid, address in ends:
        for words in (["address", "add", f"{address}/24", "dev", "wire"], ["link", "set", "wire", "up"]):
            subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "--", "ip", *words], check=True)


def ask_through(door: LiveNode, target: str) -> dict[str, str]:
    """States of the services of ``target``, asked by way of another node."""
    path = "/machine.MachineService/ServiceList"
    types = method_types(path)
    reply = door.portal.run(
        door.channel.unary(path, types.request(), types.response, metadata=[("node", target)], timeout=20), 25
    )
    return {service.id: service.state for service in reply.messages[0].services}


def test_a_worker_gets_its_certificate_with_the_token(pair: tuple[LiveNode, LiveNode]) -> None:
    """That its API answers is the proof: the client trusts the cluster's authority alone, whose key a worker lacks."""
    leader, worker = pair
    leader.until_healthy("trustd")
    assert worker.services()["trustd"].state == "Skipped"
    assert "certificate" not in worker.resources("Diagnostics.runtime.talos.dev", "runtime")


def test_a_call_reaches_the_worker_through_the_control_plane(pair: tuple[LiveNode, LiveNode]) -> None:
    leader, _ = pair
    states = leader.until(lambda: ask_through(leader, WORKER), "an answer of the worker")
    assert states["trustd"] == "Skipped"
    assert ask_through(leader, LEADER)["trustd"] == "Running"


def test_a_worker_forwards_nothing(pair: tuple[LiveNode, LiveNode]) -> None:
    _, worker = pair
    with pytest.raises(RpcError, match="no request forwarding") as caught:
        ask_through(worker, LEADER)
    assert caught.value.code is Code.PERMISSION_DENIED


def test_etcd_is_for_control_planes(pair: tuple[LiveNode, LiveNode]) -> None:
    leader, worker = pair
    with pytest.raises(RpcError, match="bootstrap is only available on control plane nodes") as caught:
        worker.call("Bootstrap")
    assert caught.value.code is Code.UNIMPLEMENTED
    with pytest.raises(RpcError) as caught:
        leader.call("EtcdMemberList")
    assert caught.value.code is not Code.UNIMPLEMENTED

"""When a machine is ready, and what it says it waits for."""

from __future__ import annotations

from typing import Any

import pytest

from dozen.machinery.config.generating import generate
from dozen.machinery.plan import Put
from dozen.machinery.resources import config, kubernetes, network, runtime, time
from dozen.node.controllers.status import MachineStatusController
from dozen.node.stage import STAGE, StageSpec
from dozen.testing.controllers import PlainView

BUNDLE = generate("c", "https://10.0.0.1:6443")
WELL = runtime.ServiceSpec(running=True, healthy=True, unknown=False)
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


def view(text: str = "", services: tuple[str, ...] = ("apid", "machined")) -> PlainView:
    """A machine whose parts are all fine, as far as they are named."""
    found = PlainView((STAGE, "machine", StageSpec(stage="running")))
    found.add(time.TIME_STATUS, "node", time.TimeStatusSpec(synced=True))
    ready = network.NetworkStatusSpec(
        address_ready=True, connectivity_ready=True, hostname_ready=True, etc_files_ready=True
    )
    found.add(network.NETWORK_STATUS, "status", ready)
    for id in services:
        found.add(runtime.SERVICE, id, WELL)
    if text:
        found.add(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text))
    return found


def judged(of: PlainView, kubernetes: bool = True) -> tuple[bool, dict[str, str]]:
    (step,) = MachineStatusController(kubernetes).plan(of)
    assert isinstance(step, Put)
    status: Any = step.spec
    return status.status.ready, {each.name: each.reason for each in status.status.unmet_conditions}


def with_node(of: PlainView, **status: Any) -> PlainView:
    of.add(kubernetes.NODENAME, "nodename", kubernetes.NodenameSpec(nodename="n"))
    return of.add(kubernetes.NODE_STATUS, "n", kubernetes.NodeStatusSpec(nodename="n", **status))


def test_a_machine_without_a_configuration_waits_for_nothing_of_kubernetes() -> None:
    assert judged(view()) == (True, {})


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (BUNDLE.worker, "kubelet not running"),
        (BUNDLE.controlplane, "kubelet not running, etcd not running, trustd not running"),
    ],
)
def test_what_has_to_run_depends_on_the_machine_s_part(text: str, missing: str) -> None:
    ready, unmet = judged(with_node(view(text), node_ready=True))
    assert not ready
    assert unmet == {"services": missing}
    assert judged(view(text), kubernetes=False) == (True, {})


WORKER = ("apid", "machined", "kubelet")


def test_a_node_is_ready_when_its_cluster_says_so() -> None:
    assert judged(view(BUNDLE.worker, WORKER))[1] == {"nodeReady": "the node has no name yet"}
    assert judged(with_node(view(BUNDLE.worker, WORKER)))[1] == {"nodeReady": 'node "n" is not ready'}
    assert judged(with_node(view(BUNDLE.worker, WORKER), node_ready=True)) == (True, {})


def test_a_machine_that_does_not_register_waits_for_no_node() -> None:
    of = view(BUNDLE.worker, WORKER)
    of.add(kubernetes.NODENAME, "nodename", kubernetes.NodenameSpec(nodename="n", skip_node_registration=True))
    assert judged(of) == (True, {})


def test_static_pods_are_waited_for_by_name() -> None:
    of = with_node(view(BUNDLE.worker, WORKER), node_ready=True)
    for name in ("kube-apiserver", "kube-scheduler"):
        pod = {"metadata": {"name": name, "namespace": "kube-system"}}
        of.add(kubernetes.STATIC_POD, name, kubernetes.StaticPodSpec(pod=pod))
    status = kubernetes.StaticPodStatusSpec(pod_status=READY)
    of.add(kubernetes.STATIC_POD_STATUS, "kube-system/kube-apiserver-n", status)
    assert judged(of)[1] == {"staticPods": "not ready: kube-system/kube-scheduler-n"}
    of.add(kubernetes.STATIC_POD_STATUS, "kube-system/kube-scheduler-n", status)
    assert judged(of) == (True, {})

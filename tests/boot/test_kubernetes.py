"""One control plane, from nothing to workloads, through deaths and a reboot; then a worker beside it.

All tests share one cluster and come in the order in which they are written: each leaves it working for the next.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dozen.machinery import yaml
from dozen.machinery.kubernetes.objects import is_true
from dozen.provider.cluster import Clusters
from dozen.provider.machines import BootImage
from dozen.testing import conformance, workloads
from dozen.testing.commands import run_dozenctl
from dozen.testing.kubecluster import KubeCluster
from dozen.testing.live import LiveNode
from dozen.testing.portal import Portal
from dozen.testing.preloaded import with_test_images
from dozen.testing.toolbox import Toolbox

pytestmark = pytest.mark.timeout(2400)

WORDS = "kept through everything"
VOLUME = "/var/mnt/dozen-test"
COMMANDS = yaml.load((Path(__file__).parents[1] / "cases" / "cli" / "cluster.yaml").read_text())


@pytest.fixture(scope="module")
def cluster(image: BootImage, portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeCluster]:
    """One control plane with Kubernetes up, and the workloads' images on it."""
    environ = {**os.environ, "XDG_STATE_HOME": str(tmp_path_factory.mktemp("clusters"))}
    preloaded = with_test_images(image.kernel.parent, tmp_path_factory.mktemp("image"))
    cluster = KubeCluster(Clusters(environ), "kube", preloaded, portal)
    try:
        cluster.create()
        yield cluster
    finally:
        cluster.destroy()


@pytest.fixture(scope="module")
def node(cluster: KubeCluster) -> LiveNode:
    return cluster.first


@pytest.fixture(scope="module")
def toolbox(node: LiveNode, archive: bytes) -> Toolbox:
    toolbox = Toolbox(node)
    toolbox.install(archive)
    return toolbox


@pytest.fixture(scope="module")
def web(cluster: KubeCluster) -> str:
    """A Deployment of one replica behind a Service, with a ConfigMap and a token as files; its name."""
    cluster.apply(workloads.config_map("web", words=WORDS))
    token = {"serviceAccountToken": {"path": "token", "audience": "tests", "expirationSeconds": 600}}
    spec = {
        "main": {
            "volumeMounts": [
                {"name": "words", "mountPath": "/etc/words"},
                {"name": "token", "mountPath": "/var/run/token"},
            ]
        },
        "volumes": [
            {"name": "words", "configMap": {"name": "web"}},
            {"name": "token", "projected": {"sources": [token]}},
        ],
    }
    cluster.apply(workloads.deployment("web", 1, **spec))
    cluster.apply(workloads.service("web"))
    cluster.until_available("web", 1)
    return "web"


def pod_of(cluster: KubeCluster, app: str) -> str:
    running = [pod for pod in cluster.pods(f"app={app}") if is_true(pod, "Ready")]
    return str(cluster.until(lambda: running, f"a pod of {app}")[0]["metadata"]["name"])


def test_the_node_is_ready_and_every_service_is_well(cluster: KubeCluster, node: LiveNode) -> None:
    (found,) = cluster.api.items("/api/v1/nodes")
    assert is_true(found, "Ready")
    assert found["metadata"]["name"] == "kube-controlplane-1"
    assert "node-role.kubernetes.io/control-plane" in found["metadata"]["labels"]
    assert found["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("containerd://")
    node.until_healthy("containerd", "etcd", "kubelet", "trustd")


def test_the_control_plane_is_three_static_pods_that_are_ready(cluster: KubeCluster) -> None:
    names = [f"{part}-kube-controlplane-1" for part in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")]
    for pod in cluster.until_ready(*names, namespace="kube-system"):
        assert pod["metadata"]["annotations"]["kubernetes.io/config.source"] == "file"


def test_names_are_resolved_in_a_pod(cluster: KubeCluster, web: str) -> None:
    found = cluster.until(
        lambda: cluster.shell(pod_of(cluster, web), "nslookup kubernetes.default.svc.cluster.local"), "an answer"
    )
    assert "10.96.0.1" in found


def test_a_service_leads_to_its_pods(cluster: KubeCluster, web: str) -> None:
    pod = pod_of(cluster, web)
    assert cluster.until(lambda: cluster.ask("Service", web, 80, "hostname"), "an answer") == pod
    # From within: by name, through CoreDNS and the rules of kube-proxy.
    assert cluster.shell(pod, f"wget -q -O - -T 20 http://{web}/hostname") == pod


def test_configuration_and_a_token_are_files_in_the_pod(cluster: KubeCluster, web: str) -> None:
    pod = pod_of(cluster, web)
    assert cluster.shell(pod, "cat /etc/words/words") == WORDS
    assert cluster.shell(pod, "cat /var/run/token/token").count(".") == 2


def driver(name: str, script: str) -> dict[str, Any]:
    """A pod as drivers of storage have theirs: the host's devices, its programs below /host, and mounts that pass."""
    body = workloads.pod(
        name,
        hostPID=True,
        # LVM waits for udevd by a semaphore, which is one of an IPC namespace.
        hostIPC=True,
        restartPolicy="Never",
        main={
            "command": ["/bin/sh", "-euxc", script],
            "args": [],
            "readinessProbe": None,
            "securityContext": {"privileged": True},
            "volumeMounts": [
                {"name": "host", "mountPath": "/host", "mountPropagation": "Bidirectional"},
                # The devices that a privileged pod gets by itself are those of the moment when it starts.
                {"name": "devices", "mountPath": "/dev"},
            ],
        },
        volumes=[
            {"name": "host", "hostPath": {"path": "/"}},
            {"name": "devices", "hostPath": {"path": "/dev"}},
        ],
    )
    body["metadata"]["namespace"] = "storage"
    return body


def until_succeeded(cluster: KubeCluster, pod: dict[str, Any]) -> None:
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    # A new namespace admits no pods before the controller manager has made its service account.
    cluster.until(lambda: cluster.apply(pod), f"pod {name} to be admitted")

    def end() -> str | None:
        phase = str(cluster.get("Pod", name, namespace)["status"]["phase"])
        return phase if phase in ("Succeeded", "Failed") else None

    assert cluster.until(end, f"pod {name} to end") == "Succeeded", cluster.log(name, namespace)


MAKE_VOLUME = f"""
    chroot /host /sbin/modprobe loop
    truncate -s 512M /host/var/lib/dozen-test.img
    loop=$(losetup -f)
    losetup $loop /host/var/lib/dozen-test.img
    chroot /host /sbin/lvm pvcreate $loop
    chroot /host /sbin/lvm vgcreate kube $loop
    chroot /host /sbin/lvm lvcreate -y -L 400M -n data kube
    chroot /host /sbin/mkfs.xfs /dev/kube/data
    mkdir -p /host{VOLUME}
    mount -t xfs /dev/kube/data /host{VOLUME}
    echo '{WORDS}' > /host{VOLUME}/words
"""
REMOVE_VOLUME = f"""
    umount /host{VOLUME}
    loop=$(chroot /host /sbin/lvm pvs --noheadings -o pv_name -S vg_name=kube)
    chroot /host /sbin/lvm vgremove -y kube
    losetup -d $loop
    rm /host/var/lib/dozen-test.img
"""


def filesystems(node: LiveNode) -> dict[str, str]:
    """What is mounted on the node, by place."""
    return {line.split()[1]: line.split()[2] for line in node.read("/proc/1/mounts").decode().splitlines()}


def test_a_privileged_pod_makes_an_xfs_volume_on_lvm(cluster: KubeCluster, node: LiveNode) -> None:
    """What storage drivers do: the host's lvm and mkfs.xfs on a disk, a mount below /var that pods then use."""
    cluster.apply(workloads.namespace("storage", "privileged"))
    until_succeeded(cluster, driver("maker", MAKE_VOLUME))
    assert filesystems(node)[VOLUME] == "xfs"
    user = workloads.pod(
        "user",
        main={"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
        volumes=[{"name": "data", "hostPath": {"path": VOLUME}}],
    )
    user["metadata"]["namespace"] = "storage"
    cluster.apply(user)
    cluster.until_ready("user", namespace="storage")
    assert cluster.ask("Pod", "user", workloads.PORT, "shell?cmd=cat%20/data/words", "storage").count(WORDS) == 1
    cluster.delete("Pod", "user", "storage")
    cluster.until(lambda: not cluster.pods("app=user", "storage"), "the volume's user to be gone")
    until_succeeded(cluster, driver("remover", REMOVE_VOLUME))
    assert VOLUME not in filesystems(node)
    cluster.delete("Namespace", "storage")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the person lives who types commands."""
    return tmp_path_factory.mktemp("home")


@pytest.mark.parametrize("case", COMMANDS, ids=lambda case: case["command"])
def test_a_command_at_a_working_control_plane(
    case: dict[str, str], cluster: KubeCluster, node: LiveNode, home: Path
) -> None:
    known = {
        "FOLDER": str(home),
        "NODE": "kube-controlplane-1",
        "ENDPOINT": node.machine.address,
        "KUBECONFIG": str(cluster.kubeconfig),
        "APISERVER": f"https://{cluster.api.host}:{cluster.api.port}",
    }

    def fill(text: str) -> str:
        return re.sub("|".join(known), lambda word: known[word[0]], text)

    done = run_dozenctl(cluster.talosconfig, shlex.split(fill(case["command"])), home, 240)
    output = done.stdout + done.stderr
    assert (done.returncode != 0) == ("fails" in case), output
    assert re.search(fill(case.get("says") or case.get("fails") or ""), output), output


def test_upstream_s_conformance_tests_pass(cluster: KubeCluster, tmp_path: Path) -> None:
    """A dozen of them; `make conformance` runs all."""
    results = conformance.run(cluster.kubeconfig, conformance.SOME, tmp_path, 1800)
    assert not [result for result in results if result.failure]
    assert len(results) == len(conformance.SOME)


@pytest.mark.cluster
@pytest.mark.parametrize("victim", ["containerd", "kubelet", "etcd"])
def test_pods_go_on_and_the_node_heals_when_one_is_killed(
    cluster: KubeCluster, node: LiveNode, toolbox: Toolbox, web: str, victim: str
) -> None:
    before = pod_of(cluster, web)
    restarts = {pod["metadata"]["name"]: count_restarts(pod) for pod in cluster.pods(f"app={web}")}
    pid = node.process(victim).pid
    killer = toolbox.start(f"kill -9 {pid}")
    node.until(lambda: node.process(victim).pid != pid, f"another {victim}", 120)
    node.until_healthy(victim, seconds=240)
    killer.cancel()
    cluster.until_nodes_ready()
    assert cluster.until(lambda: cluster.ask("Pod", before, workloads.PORT, "hostname"), "the pod's answer") == before
    assert {pod["metadata"]["name"]: count_restarts(pod) for pod in cluster.pods(f"app={web}")} == restarts


def count_restarts(pod: dict) -> int:
    return sum(status["restartCount"] for status in pod["status"].get("containerStatuses") or [])


@pytest.mark.cluster
def test_everything_is_back_after_a_reboot(cluster: KubeCluster, node: LiveNode, web: str, home: Path) -> None:
    cluster.apply(workloads.config_map("before-reboot", words=WORDS))
    before = node.boot_id()
    # The command waits for the machine to come back.
    done = run_dozenctl(cluster.talosconfig, ("reboot",), home, 400)
    assert done.returncode == 0, done.stderr
    node.until(lambda: node.boot_id() != before, "another boot")
    node.until_healthy("containerd", "etcd", "kubelet", seconds=400)
    cluster.until(lambda: cluster.api.is_ready(), "the API", 400)
    assert cluster.get("ConfigMap", "before-reboot")["data"]["words"] == WORDS
    cluster.until_nodes_ready()
    cluster.until_available(web, 1)
    cluster.until(lambda: cluster.ask("Service", web, 80, "hostname"), "the service's answer", 300)


@pytest.fixture(scope="module")
def pair(cluster: KubeCluster, web: str) -> KubeCluster:
    """The same cluster with a worker added."""
    cluster.create(workers=1)
    return cluster


@pytest.mark.cluster
def test_pods_on_two_nodes_talk_and_a_service_balances(pair: KubeCluster) -> None:
    names = {"left": "kube-controlplane-1", "right": "kube-worker-1"}
    for name, host in names.items():
        pair.apply(workloads.pod(name, node=host, labels={"pair": "yes"}))
    left, right = pair.until_ready(*names)
    assert left["status"]["hostIP"] != right["status"]["hostIP"]
    # Straight, both ways, across the overlay network.
    for here, there in ((left, right), (right, left)):
        url = f"http://{there['status']['podIP']}:{workloads.PORT}/hostname"
        assert pair.shell(here["metadata"]["name"], f"wget -q -O - -T 20 {url}") == there["metadata"]["name"]
    pair.apply(workloads.service("pair", {"pair": "yes"}))
    ask = "for i in $(seq 16); do wget -q -O - -T 20 http://pair/hostname; echo; done"

    def balances() -> bool:
        # The node's rules learn of the service's pods one after the other.
        return set(pair.shell("right", ask).split()) == set(names)

    assert pair.until(balances, "answers of both pods")

"""From a configuration and the network to the kubelet's file and the static pods, on the real engine."""

from __future__ import annotations

import asyncio

import pytest

from dozen.machinery import yaml
from dozen.machinery.config.generating import generate
from dozen.machinery.effects.files import MakeDirectory, RemoveFile, WriteFile
from dozen.machinery.plan import Put
from dozen.machinery.resources import block, config, controlplane, kubernetes, network, runtime
from dozen.machinery.resources.routing import NODE_ADDRESS_FILTER
from dozen.node.controllers.kubernetes import kubernetes_controllers
from dozen.node.controllers.kubernetes.configs import APIServerSettingsController
from dozen.node.controllers.kubernetes.naming import choose_addresses
from dozen.testing.controllers import Bench, PlainView

BUNDLE = generate("c", "https://10.0.0.1:6443")
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")


async def begin(bench: Bench, text: str) -> None:
    bench.put(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text))
    bench.put(
        network.HOSTNAME_STATUS, "hostname", network.HostnameStatusSpec(hostname="CP-1", domainname="example.org")
    )
    addresses = ("10.0.0.1/24", "fd00::1/64", "10.244.0.1/24")
    bench.put(network.NODE_ADDRESS, "routed", network.NodeAddressSpec(addresses=addresses))
    bench.put(block.VOLUME_STATUS, "EPHEMERAL", block.VolumeStatusSpec(phase="ready"))
    await bench.settle()


def etcd(bench: Bench, healthy: bool) -> None:
    bench.put(runtime.SERVICE, "etcd", runtime.ServiceSpec(running=True, healthy=healthy, unknown=False))


def pods(bench: Bench) -> list[str]:
    return [each.id for each in bench.store.list(kubernetes.STATIC_POD)]


def files(bench: Bench) -> dict[str, str]:
    return {effect.path: effect.content for effect in bench.effects if isinstance(effect, WriteFile)}


def test_a_worker_runs_a_kubelet_and_no_pods_of_the_control_plane() -> None:
    async def run() -> None:
        async with Bench(*kubernetes_controllers()) as bench:
            await begin(bench, BUNDLE.worker)
            assert bench.store.get(kubernetes.NODENAME, "nodename").spec.nodename == "cp-1"
            assert bench.store.get(kubernetes.NODE_IP, "kubelet").spec.addresses == ("10.0.0.1",)
            given = bench.store.get(NODE_ADDRESS_FILTER, "only-k8s").spec
            assert (given.include_subnets, given.exclude_subnets) == (("10.244.0.0/16", "10.96.0.0/12"), ())
            subnets = bench.store.get(kubernetes.NODE_IP_CONFIG, "kubelet").spec
            assert (subnets.valid_subnets, subnets.exclude_subnets) == ((), ("10.244.0.0/16", "10.96.0.0/12"))
            spec = bench.store.get(kubernetes.KUBELET_SPEC, "kubelet").spec
            assert "--hostname-override=cp-1" in spec.args
            assert "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubeconfig" in spec.args
            assert yaml.load(files(bench)["/system/etc/kubernetes/kubelet.yaml"]) == spec.config
            assert MakeDirectory("/system/etc/kubernetes/manifests", 0o700) in bench.effects
            assert pods(bench) == []
            assert bench.store.list(controlplane.API_SERVER_CONFIG) == ()
            assert bench.store.find(kubernetes.KUBELET_STATUS, "kubelet") is None
            bench.put(runtime.SERVICE, "kubelet", runtime.ServiceSpec(running=True))
            await bench.settle()
            assert bench.store.get(kubernetes.KUBELET_STATUS, "kubelet").spec.image == spec.image

    asyncio.run(run())


def test_the_control_plane_begins_in_its_order_and_stays() -> None:
    async def run() -> None:
        async with Bench(*kubernetes_controllers()) as bench:
            await begin(bench, BUNDLE.controlplane)
            etcd(bench, True)
            await bench.settle()
            assert pods(bench) == []
            ready = kubernetes.SecretsStatusSpec(ready=True, version="1")
            bench.put(kubernetes.SECRETS_STATUS, "static-pods", ready)
            await bench.settle()
            assert pods(bench) == ["kube-apiserver"]
            answers = kubernetes.APIServerAnswersSpec(answered=True)
            bench.put(kubernetes.API_SERVER_ANSWERS, "kube-apiserver", answers)
            await bench.settle()
            assert pods(bench) == list(CONTROL_PLANE)
            etcd(bench, False)
            bench.remove(kubernetes.API_SERVER_ANSWERS, "kube-apiserver")
            bench.remove(network.NODE_ADDRESS, "routed")
            await bench.settle()
            assert pods(bench) == list(CONTROL_PLANE)
            assert {f"/system/etc/kubernetes/manifests/{name}.yaml" for name in CONTROL_PLANE} <= set(files(bench))

            before = versions(bench)
            changed = kubernetes.SecretsStatusSpec(ready=True, version="2")
            bench.put(kubernetes.SECRETS_STATUS, "static-pods", changed)
            bench.put(kubernetes.SECRETS_STATUS, "kube-scheduler", changed)
            await bench.settle()
            assert changed_since(bench, before) == ["kube-scheduler"]

    asyncio.run(run())


def versions(bench: Bench) -> dict[str, int]:
    return {each.id: each.metadata.version for each in bench.store.list(kubernetes.STATIC_POD)}


def changed_since(bench: Bench, before: dict[str, int]) -> list[str]:
    return [id for id, version in versions(bench).items() if version != before[id]]


@pytest.mark.parametrize(
    ("program", "field", "value", "changed"),
    [
        ("scheduler", "config", {"profiles": [{"schedulerName": "other"}]}, ["kube-scheduler"]),
        ("scheduler", "image", "registry.example.org/scheduler:v2", ["kube-scheduler"]),
        ("apiServer", "auditPolicy", {"kind": "Policy", "rules": [{"level": "None"}]}, ["kube-apiserver"]),
        ("apiServer", "admissionControl", [{"name": "EventRateLimit", "configuration": {}}], ["kube-apiserver"]),
        ("controllerManager", "extraArgs", {"v": "4"}, ["kube-controller-manager"]),
        ("proxy", "mode", "iptables", []),
    ],
)
def test_a_change_of_configuration_changes_the_pods_that_it_must_and_no_other(
    program: str, field: str, value: object, changed: list[str]
) -> None:
    async def run() -> None:
        async with Bench(*kubernetes_controllers()) as bench:
            await begin(bench, BUNDLE.controlplane)
            etcd(bench, True)
            bench.put(kubernetes.SECRETS_STATUS, "static-pods", kubernetes.SecretsStatusSpec(ready=True, version="1"))
            bench.put(kubernetes.API_SERVER_ANSWERS, "a", kubernetes.APIServerAnswersSpec(answered=True))
            await bench.settle()
            before = versions(bench)
            assert list(before) == list(CONTROL_PLANE)
            data = yaml.load(BUNDLE.controlplane.partition("\n---")[0])
            data["cluster"].setdefault(program, {})[field] = value
            bench.put(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=yaml.dump(data)))
            await bench.settle()
            assert changed_since(bench, before) == changed

    asyncio.run(run())


def test_a_pod_that_goes_takes_its_file_along() -> None:
    async def run() -> None:
        async with Bench(*kubernetes_controllers()) as bench:
            own = "  pods: [{metadata: {name: mine, namespace: x}, spec: {}}]\n"
            with_own = BUNDLE.controlplane.replace("machine:\n", f"machine:\n{own.replace('  ', '    ', 1)}", 1)
            await begin(bench, with_own)
            etcd(bench, True)
            bench.put(kubernetes.SECRETS_STATUS, "static-pods", kubernetes.SecretsStatusSpec(ready=True, version="1"))
            bench.put(kubernetes.API_SERVER_ANSWERS, "a", kubernetes.APIServerAnswersSpec(answered=True))
            await bench.settle()
            assert pods(bench) == [*CONTROL_PLANE, "x-mine"]
            bench.put(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=BUNDLE.controlplane))
            await bench.settle()
            assert pods(bench) == list(CONTROL_PLANE)
            assert RemoveFile("/system/etc/kubernetes/manifests/x-mine.yaml") in bench.effects

    asyncio.run(run())


@pytest.mark.parametrize(
    ("valid", "expected"),
    [
        ((), ["10.0.0.1", "192.168.1.1", "fd00::1"]),
        (("192.168.0.0/16",), ["192.168.1.1"]),
        (("!10.0.0.0/8",), ["192.168.1.1", "fd00::1"]),
        (("10.0.0.0/8", "!10.0.0.1/32"), []),
    ],
)
def test_the_node_s_addresses_are_chosen_by_subnets(valid: tuple[str, ...], expected: list[str]) -> None:
    prefixes = ("10.0.0.1/24", "192.168.1.1/24", "fd00::1/64", "10.244.3.1/24")
    assert choose_addresses(prefixes, valid, ("10.244.0.0/16",)) == expected


def test_what_the_configuration_says_of_each_program_is_told() -> None:
    async def run() -> None:
        async with Bench(*kubernetes_controllers()) as bench:
            await begin(bench, BUNDLE.controlplane)
            api = bench.store.get(controlplane.API_SERVER_CONFIG, "kube-apiserver").spec
            assert (api.advertised_address, api.service_cidr) == ("10.0.0.1", ("10.96.0.0/12",))
            manager = bench.store.get(controlplane.CONTROLLER_MANAGER_CONFIG, "kube-controller-manager").spec
            assert (manager.enabled, manager.pod_cidrs) == (True, ("10.244.0.0/16",))
            scheduler = bench.store.get(controlplane.SCHEDULER_CONFIG, "kube-scheduler").spec
            assert scheduler.config["kind"] == "KubeSchedulerConfiguration"
            kubelet = bench.store.get(controlplane.KUBELET_CONFIG, "kubelet").spec
            assert (kubelet.cluster_dns, kubelet.cluster_domain) == (("10.96.0.10",), "cluster.local")
            assert bench.store.get(kubernetes.CONFIG_STATUS, kubernetes.STATIC_PODS).spec.ready

    asyncio.run(run())


def test_what_the_api_server_is_told_can_be_looked_at() -> None:
    view = PlainView((config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=BUNDLE.controlplane)))
    found = {step.kind: step.spec for step in APIServerSettingsController().plan(view) if isinstance(step, Put)}
    admission, policy, who, what, encryption = (found[kind] for kind in APIServerSettingsController.outputs)
    assert [each.name for each in admission.config] == ["PodSecurity"]
    assert policy.config["kind"] == "Policy"
    assert who.config["kind"] == "AuthenticationConfiguration"
    assert [(each.type, each.name) for each in what.config] == [("Node", "node"), ("RBAC", "rbac")]
    assert what.image.startswith("registry.k8s.io/kube-apiserver:")
    assert yaml.load(encryption.configuration)["resources"][0]["resources"] == ["secrets"]
    worker = PlainView((config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=BUNDLE.worker)))
    assert list(APIServerSettingsController().plan(worker)) == []

"""What the node does to a cluster, against a real API server: manifests, its own Node, certificates."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import logging
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dozen.engine.runtime import Runtime
from dozen.engine.store import Store
from dozen.machinery import yaml
from dozen.machinery.config import load
from dozen.machinery.config.generating import generate
from dozen.machinery.kubeconfig import Access
from dozen.machinery.kubernetes.manifests import bootstrap_manifests, settings
from dozen.machinery.kubernetes.objects import Object, identity, in_order
from dozen.machinery.resources import config as config_kinds
from dozen.machinery.resources.kubernetes import NODE_STATUS, NODENAME, NodenameSpec
from dozen.machinery.resources.manifests import MANIFEST, MANIFEST_STATUS, STATUS
from dozen.node.kubernetes import diagnosis, rollouts
from dozen.node.kubernetes.api import KubernetesApi
from dozen.node.kubernetes.apply import ManifestApplier
from dozen.node.kubernetes.approver import ServingApprover
from dozen.node.kubernetes.client import Client
from dozen.node.kubernetes.drain import cordon
from dozen.node.kubernetes.errors import ApiError, NotFound
from dozen.node.kubernetes.member import NodeMember
from dozen.node.kubernetes.specs import ManifestsController, ManifestSettingsController, NodeSpecsController
from dozen.testing.apiserver import ApiServer
from dozen.testing.controllers import RecordedEffects
from dozen.testing.portal import Portal
from dozen.testing.store import assert_resource

NODE = "cp-1"
LOG = logging.getLogger("dozen.test")


class FixedApi(KubernetesApi):
    """The way to the test's API server, with the identity that the test wants."""

    def __init__(self, store: Store, access: Access) -> None:
        super().__init__(store, LOG)
        self._access = access

    def access(self) -> Access | None:
        return self._access


class Problems:
    """Remembers what was reported."""

    def __init__(self) -> None:
        self.open: dict[str, str] = {}
        self.told: list[str] = []

    def report_problem(self, id: str, text: str) -> None:
        self.open[id] = text
        self.told.append(text)

    def clear_problem(self, id: str) -> None:
        self.open.pop(id, None)


class Member:
    """The controllers and watchers of a node's membership on the real engine."""

    def __init__(self, access: Access, text: str, name: str = NODE) -> None:
        self.store = Store()
        self.problems = Problems()
        self.runtime = Runtime(self.store, RecordedEffects().run, LOG)
        api = FixedApi(self.store, access)
        for controller in (ManifestSettingsController(), ManifestsController(), NodeSpecsController()):
            self.runtime.add(controller)
        for watcher in (
            ManifestApplier(api, self.store, self.problems),
            NodeMember(api, self.store, self.problems),
            ServingApprover(api),
        ):
            self.runtime.add_watcher(watcher)
        self.configure(text)
        self.store.put(NODENAME, "nodename", NodenameSpec(nodename=name), owner="test")

    def configure(self, text: str) -> None:
        spec = config_kinds.MachineConfigSpec(text=text)
        self.store.put(config_kinds.MACHINE_CONFIG, config_kinds.ACTIVE, spec, owner="test")

    async def __aenter__(self) -> Member:
        self._task = asyncio.create_task(self.runtime.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


BUNDLE = generate("native", "https://127.0.0.1:6443")
WORKER = BUNDLE.worker


def controlplane(*changes: tuple[str, Any]) -> str:
    return changed_text(BUNDLE.controlplane, *changes)


def changed_text(text: str, *changes: tuple[str, Any]) -> str:
    """A configuration with these values at these places (part and name) of its first document."""
    first, separator, rest = text.partition("\n---\n")
    data = yaml.load(first)
    for path, value in changes:
        part, name = path.split(".")
        data[part][name] = value
    return yaml.dump(data) + separator.lstrip("\n") + rest


async def until(question: Callable[[], Any], seconds: float = 30.0) -> Any:
    """The first true answer; ``question`` may be a coroutine function."""
    async with asyncio.timeout(seconds):
        while True:
            answer = question()
            answer = await answer if asyncio.iscoroutine(answer) else answer
            if answer:
                return answer
            await asyncio.sleep(0.1)


async def put_node(client: Client, name: str, *addresses: str, **metadata: Any) -> None:
    """A Node as a kubelet would register it, with these addresses."""
    await client.delete("v1", "Node", name)
    await client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, **metadata}})
    said = [{"type": "Hostname" if each == name else "InternalIP", "address": each} for each in addresses]
    await client.patch("v1", "Node", name, {"status": {"addresses": said}}, subresource="status")


def test_every_manifest_applies_without_a_warning_and_a_second_time_without_a_change(
    apiserver: ApiServer, portal: Portal
) -> None:
    async def run() -> None:
        config = load(controlplane())
        manifests = bootstrap_manifests(settings.bootstrap_settings(config), settings.trust_settings(config))
        items = [item for each in manifests.values() for item in in_order(each)]
        warnings: list[str] = []
        async with Client(apiserver.admin(), on_warning=warnings.append) as client:
            first = [await client.apply(item) for item in items]
            second = [await client.apply(item) for item in items]
        assert warnings == []
        versions = [(each["metadata"]["resourceVersion"], each["metadata"].get("generation")) for each in first]
        assert [
            (each["metadata"]["resourceVersion"], each["metadata"].get("generation")) for each in second
        ] == versions
        assert len(versions) > 20

    portal.run(run())


def test_nothing_of_ours_depends_on_defaults_that_admission_would_refuse(apiserver: ApiServer, portal: Portal) -> None:
    """CoreDNS is held to what Pod Security calls restricted, but for binding port 53 as its image asks for."""

    async def run() -> None:
        config = load(controlplane())
        manifests = bootstrap_manifests(settings.bootstrap_settings(config), settings.trust_settings(config))
        deployment = next(item for item in manifests["11-core-dns"] if item["kind"] == "Deployment")
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "strict", "labels": labels}}
        warnings: list[str] = []
        async with Client(apiserver.admin(), on_warning=warnings.append) as client:
            await client.apply(namespace)
            await client.apply({**deployment, "metadata": {"name": "coredns", "namespace": "strict"}})
        assert warnings == []

    portal.run(run())


def test_the_watcher_applies_everything_in_order_and_again_when_it_changes(
    apiserver: ApiServer, portal: Portal
) -> None:
    inline = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.org}
spec:
  group: example.org
  names: {kind: Thing, plural: things}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
---
apiVersion: example.org/v1
kind: Thing
metadata: {name: one}
"""
    broken = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Not_A_Name}\n"
    given = [{"name": "things", "contents": inline}, {"name": "broken", "contents": broken}]

    async def run() -> None:
        text = controlplane(("cluster.inlineManifests", given))
        async with Member(apiserver.admin(), text) as member, Client(apiserver.admin()) as client:
            wanted = {each.id for each in await until(lambda: member.store.list(MANIFEST))}
            assert wanted >= {"99-things", "99-broken"}
            await assert_resource(
                member.store, MANIFEST_STATUS, STATUS,
                lambda status: set(status.spec.manifests_applied) == wanted - {"99-broken"},
            )  # fmt: skip
            await until(lambda: "manifest 99-broken, ConfigMap Not_A_Name" in member.problems.open.get("manifests", ""))
            assert await client.get("example.org/v1", "Thing", "one")
            proxy = await client.get("apps/v1", "DaemonSet", "kube-proxy", "kube-system")
            assert proxy["metadata"]["generation"] == 1

            changed = controlplane(("cluster.inlineManifests", given[:1]), ("cluster.proxy", {"image": "proxy:other"}))
            member.configure(changed)

            async def rolled() -> bool:
                found = await client.get("apps/v1", "DaemonSet", "kube-proxy", "kube-system")
                return bool(found["spec"]["template"]["spec"]["containers"][0]["image"] == "proxy:other")

            await until(rolled)
            await until(lambda: "manifests" not in member.problems.open)

    portal.run(run(), 90)


DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: PLURAL.waits.example.org}
spec:
  group: waits.example.org
  names: {kind: KIND, plural: PLURAL}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"""
OBJECTS = """
apiVersion: waits.example.org/v1
kind: KIND
metadata: {name: one, namespace: waits}
---
apiVersion: v1
kind: Namespace
metadata: {name: waits}
---
"""


def test_what_needs_a_definition_is_applied_once_that_is_usable(
    apiserver: ApiServer, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first attempt succeeds, in one manifest and across two; what never becomes usable is waited for in vain, but
    not for ever, and said with the server's reason."""

    def named(text: str, kind: str, plural: str) -> str:
        return text.replace("KIND", kind).replace("PLURAL", plural)

    good = [
        {"name": "a-both", "contents": named(OBJECTS + DEFINITION, "Gate", "gates")},
        {"name": "b-kind", "contents": named(DEFINITION, "Door", "doors")},
        {"name": "c-object", "contents": named(OBJECTS, "Door", "doors")},
    ]
    # The name of its kind is another one's already.
    bad = [{"name": "d-taken", "contents": named(DEFINITION, "Gate", "portals")}]
    monkeypatch.setattr(rollouts, "DEFINITION_SECONDS", 2.0)

    async def run() -> None:
        text = controlplane(("cluster.inlineManifests", good))
        async with Member(apiserver.admin(), text) as member, Client(apiserver.admin()) as client:
            await assert_resource(
                member.store, MANIFEST_STATUS, STATUS,
                lambda status: {"99-a-both", "99-b-kind", "99-c-object"} <= set(status.spec.manifests_applied),
            )  # fmt: skip
            assert member.problems.told == []
            for kind in ("Gate", "Door"):
                assert await client.get("waits.example.org/v1", kind, "one", "waits")
            member.configure(controlplane(("cluster.inlineManifests", good + bad)))
            said = await until(lambda: member.problems.open.get("manifests"))
            assert "CustomResourceDefinition portals.waits.example.org is not usable after 2 s: " in said
            assert "already in use" in said

    portal.run(run(), 90)


def test_what_the_workloads_of_the_manifests_wait_for_is_said_until_they_run(
    apiserver: ApiServer, portal: Portal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The controllers are the real ones; the test stands where a kubelet would, and says that pods are ready."""
    monkeypatch.setattr(rollouts, "LOOK_EVERY", 0.2)
    caplog.set_level(logging.INFO, "dozen.manifests")
    apiserver.start_others()
    missing = "Deployment kube-system/coredns: 0 of 2 pods are up to date and available"
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": None}]}}

    async def run() -> None:
        async with Client(apiserver.admin()) as client:
            # Without nodes there is nothing to wait for of what runs on each of them.
            for node in await client.list("v1", "Node"):
                await client.delete("v1", "Node", node["metadata"]["name"])
            async with Member(apiserver.admin(), controlplane()) as member:
                await until(lambda: f"rollout waits for {missing}" in caplog.text, 60)
                assert "rollout" not in member.problems.open
                monkeypatch.setattr(rollouts, "PATIENCE", 0.0)
                told = f"workloads of the manifests do not come up: {missing}"
                await until(lambda: member.problems.open.get("rollout") == told)

                async def all_pods_run() -> bool:
                    for pod in await client.list("v1", "Pod", "kube-system", label_selector="k8s-app=kube-dns"):
                        name = pod["metadata"]["name"]
                        await client.patch("v1", "Pod", name, ready, "kube-system", subresource="status")
                    return "rollout" not in member.problems.open

                await until(all_pods_run, 60)
                assert "rollout done workloads=3" in caplog.text

    portal.run(run(), 150)


def test_a_token_is_judged_by_the_api_server_that_it_is_shown_to(apiserver: ApiServer, portal: Portal) -> None:
    """What joins with the cluster's token has nothing to say; with another cluster's it is told."""

    async def run() -> None:
        config = load(controlplane())
        manifests = bootstrap_manifests(settings.bootstrap_settings(config), settings.trust_settings(config))
        async with Client(apiserver.admin()) as client:
            for item in (item for each in manifests.values() for item in in_order(each) if item["kind"] == "Secret"):
                await client.apply(item)
        endpoint, ca = f"https://127.0.0.1:{apiserver.port}", apiserver.ca.crt
        assert await diagnosis.joining_problems(load(WORKER), endpoint, ca) == {}
        stranger = load(generate("another", "https://127.0.0.1:6443").worker)
        (said,) = (await diagnosis.joining_problems(stranger, endpoint, ca)).items()
        assert said[0] == diagnosis.TOKEN
        assert "does not know this machine's cluster.token" in said[1]
        (said,) = (await diagnosis.joining_problems(load(WORKER), endpoint, BUNDLE.secrets.etcd.crt)).items()
        assert said[0] == diagnosis.ENDPOINT
        assert "is not of this cluster" in said[1]

    portal.run(run())


def test_a_node_carries_what_its_configuration_says_and_nothing_that_it_no_longer_says(
    apiserver: ApiServer, portal: Portal
) -> None:
    async def run() -> None:
        async with Client(apiserver.admin()) as client:
            await put_node(client, NODE, NODE, "10.0.0.1", labels={"theirs": "kept"})
            await cordon(client, NODE)

            async def node(question: Callable[[Object], bool]) -> Object:
                async def ask() -> Object | None:
                    found = await client.get("v1", "Node", NODE)
                    return found if question(found) else None

                found: Object = await until(ask)
                return found

            labels = {"zone": "a", "theirs": "taken"}
            text = controlplane(("machine.nodeLabels", labels), ("machine.nodeTaints", {"dedicated": "db:NoExecute"}))
            async with Member(apiserver.admin(), text) as member:
                found = await node(lambda it: it["metadata"]["labels"].get("zone") == "a")
                assert found["metadata"]["labels"]["theirs"] == "kept"
                assert "node-role.kubernetes.io/control-plane" in found["metadata"]["labels"]
                taints = {each["key"]: each["effect"] for each in found["spec"]["taints"]}
                assert taints["dedicated"] == "NoExecute"
                assert taints["node-role.kubernetes.io/control-plane"] == "NoSchedule"
                assert "theirs of Node cp-1" in member.problems.open["node-object"]
                await node(lambda it: not it["spec"].get("unschedulable"))
                status = await assert_resource(member.store, NODE_STATUS, NODE, unschedulable=False)
                assert status.spec.labels["zone"] == "a"
                assert not status.spec.node_ready

                member.configure(controlplane())
                found = await node(lambda it: "zone" not in it["metadata"]["labels"])
                await node(lambda it: [each["key"] for each in it["spec"]["taints"]].count("dedicated") == 0)
                await until(lambda: "node-object" not in member.problems.open)

    portal.run(run())


def test_a_worker_labels_itself_within_what_it_may(apiserver: ApiServer, portal: Portal) -> None:
    async def run() -> None:
        text = changed_text(WORKER, ("machine.nodeLabels", {"zone": "b", "node-role.kubernetes.io/worker": ""}))
        async with Client(apiserver.admin()) as client:
            await put_node(client, "worker-1", "worker-1", "10.0.0.7")
            identity_ = apiserver.access("system:node:worker-1", "system:nodes")
            async with Member(identity_, text, "worker-1") as member:
                await until(lambda: "worker-1" in {each.id for each in member.store.list(NODE_STATUS)})

                async def labelled() -> bool:
                    found = await client.get("v1", "Node", "worker-1")
                    return bool((found["metadata"].get("labels") or {}).get("zone") == "b")

                await until(labelled)
                assert "node-role.kubernetes.io/worker" in member.problems.open["node-object"]

    portal.run(run())


async def ask_for_serving_certificate(client: Client, node: str, *names: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{node}"),
        ]
    )
    alternative: list[x509.GeneralName] = []
    for name in names:
        try:
            alternative.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            alternative.append(x509.DNSName(name))
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .add_extension(x509.SubjectAlternativeName(alternative), critical=False)
        .sign(key, hashes.SHA256())
    )
    name = "-".join(("csr", node, *(each.replace(".", "-") for each in names)))
    await client.create(
        {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": name},
            "spec": {
                "request": base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode(),
                "signerName": "kubernetes.io/kubelet-serving",
                "usages": ["digital signature", "server auth"],
            },
        }
    )
    return name


def test_a_node_gets_a_serving_certificate_for_itself_only(apiserver: ApiServer, portal: Portal) -> None:
    async def run() -> None:
        async with Client(apiserver.admin()) as admin:
            await put_node(admin, "one", "one", "10.1.0.1")
            await put_node(admin, "two", "two", "10.1.0.2")

            async def decision(name: str) -> str:
                found = await admin.get("certificates.k8s.io/v1", "CertificateSigningRequest", name)
                conditions = (found.get("status") or {}).get("conditions") or ()
                return ",".join(each["type"] for each in conditions)

            one = Client(apiserver.access("system:node:one", "system:nodes"))
            early = Client(apiserver.access("system:node:three", "system:nodes"))
            async with Member(apiserver.admin(), controlplane()), one, early:
                own = await ask_for_serving_certificate(one, "one", "one", "10.1.0.1")
                foreign = await ask_for_serving_certificate(one, "one", "one", "10.1.0.2")
                waiting = await ask_for_serving_certificate(early, "three", "three", "10.1.0.3")
                assert await until(lambda: decision(own)) == "Approved"
                assert await until(lambda: decision(foreign)) == "Denied"
                assert await decision(waiting) == ""
                await put_node(admin, "three", "three", "10.1.0.3")
                assert await until(lambda: decision(waiting)) == "Approved"

    portal.run(run())


def test_what_is_not_there_and_what_is_wrong_have_their_own_errors(apiserver: ApiServer, portal: Portal) -> None:
    async def run() -> None:
        async with Client(apiserver.admin()) as client:
            with pytest.raises(NotFound):
                await client.get("example.org/v7", "Nothing", "x")
            with pytest.raises(ApiError, match=r"metadata\.name") as caught:
                await client.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "A_B"}})
            assert caught.value.reason == "Invalid"
            assert identity(await client.get("v1", "Namespace", "default")).name == "default"

    portal.run(run())

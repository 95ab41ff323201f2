"""What a configuration says that a node is to carry, and that a cluster is to be given, as resources."""

from __future__ import annotations

from dozen.machinery import yaml
from dozen.machinery.config.generating import generate
from dozen.machinery.plan import Put
from dozen.machinery.resources import cluster as cluster_kinds
from dozen.machinery.resources import config, manifests
from dozen.node.kubernetes.specs import AccessController, ManifestSettingsController, NodeSpecsController
from dozen.testing.controllers import PlainView

BUNDLE = generate("c", "https://10.0.0.1:6443")


def view(text: str, machine: dict[str, object] | None = None, cluster: dict[str, object] | None = None) -> PlainView:
    data = yaml.load(text)
    data["machine"] |= machine or {}
    data["cluster"] |= cluster or {}
    return PlainView((config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=yaml.dump(data))))


def test_what_a_node_is_to_carry() -> None:
    said: dict[str, object] = {
        "nodeLabels": {"rack": "r1"},
        "nodeAnnotations": {"note": "n"},
        "nodeTaints": {"gpu": "yes:NoSchedule"},
    }
    steps = [step for step in NodeSpecsController().plan(view(BUNDLE.worker, said)) if isinstance(step, Put)]
    assert Put(manifests.NODE_LABEL, "rack", manifests.NodeLabelSpec(key="rack", value="r1")) in steps
    assert Put(manifests.NODE_ANNOTATION, "note", manifests.NodeAnnotationSpec(key="note", value="n")) in steps
    taint = manifests.NodeTaintSpec(key="gpu", effect="NoSchedule", value="yes")
    assert Put(manifests.NODE_TAINT, "gpu", taint) in steps


def test_what_manifests_are_made_from() -> None:
    cluster: dict[str, object] = {
        "extraManifests": ["https://example.org/a.yaml"],
        "inlineManifests": [{"name": "mine", "contents": "apiVersion: v1\n"}],
    }
    steps = [
        step
        for step in ManifestSettingsController().plan(view(BUNDLE.controlplane, None, cluster))
        if isinstance(step, Put)
    ]
    found = {step.kind: step.spec for step in steps}
    bootstrap, extra = found[manifests.BOOTSTRAP_MANIFESTS_CONFIG], found[manifests.EXTRA_MANIFESTS_CONFIG]
    assert [(each.url, each.inline_manifest) for each in extra.extra_manifests] == [
        ("https://example.org/a.yaml", ""),
        ("", "apiVersion: v1\n"),
    ]
    assert bootstrap.dns_service_ip == "10.96.0.10"
    assert not bootstrap.talos_api_service
    assert list(ManifestSettingsController().plan(view(BUNDLE.worker))) == []


def test_a_control_plane_says_which_workloads_may_use_its_api() -> None:
    said = {"enabled": True, "allowedRoles": ["os:reader"], "allowedKubernetesNamespaces": ["tools"]}
    given = view(BUNDLE.controlplane, {"features": {"kubernetesTalosAPIAccess": said}})
    wanted = cluster_kinds.KubernetesAccessConfigSpec(
        enabled=True, allowed_api_roles=("os:reader",), allowed_kubernetes_namespaces=("tools",)
    )
    assert list(AccessController().plan(given)) == [
        Put(cluster_kinds.KUBERNETES_ACCESS_CONFIG, cluster_kinds.ACCESS, wanted)
    ]
    settings = {step.kind: step.spec for step in ManifestSettingsController().plan(given) if isinstance(step, Put)}
    assert settings[manifests.BOOTSTRAP_MANIFESTS_CONFIG].talos_api_service
    assert list(AccessController().plan(view(BUNDLE.worker))) == []

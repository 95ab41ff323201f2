"""Plans what this node gives to its cluster: manifests on a control plane, and what its own Node is to carry."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dozen.machinery.plan import Input, Put, Shared, Step, View
from dozen.machinery.resources import cluster, config, manifests, runtime
from dozen.node.configuration import control_plane, parse

if TYPE_CHECKING:
    from dozen.machinery.kubernetes.objects import Object

_ACTIVE = Input(config.MACHINE_CONFIG, config.ACTIVE)


class ManifestSettingsController:
    """MachineConfig → BootstrapManifestsConfig, ExtraManifestsConfig; on control planes only."""

    name = "manifest-settings"
    inputs = (_ACTIVE,)
    outputs = (manifests.BOOTSTRAP_MANIFESTS_CONFIG, manifests.EXTRA_MANIFESTS_CONFIG)

    def plan(self, view: View) -> Iterable[Step]:
        given = control_plane(view)
        if given is None:
            return
        from dozen.machinery.kubernetes.manifests import settings

        yield Put(manifests.BOOTSTRAP_MANIFESTS_CONFIG, manifests.BOOTSTRAP, settings.bootstrap_settings(given))
        yield Put(manifests.EXTRA_MANIFESTS_CONFIG, manifests.EXTRA, settings.extra_settings(given))


class AccessController:
    """MachineConfig → KubernetesAccessConfig; on control planes only."""

    name = "kubernetes-access-config"
    inputs = (_ACTIVE,)
    outputs = (cluster.KUBERNETES_ACCESS_CONFIG,)

    def plan(self, view: View) -> Iterable[Step]:
        given = control_plane(view)
        if given is None:
            return
        from dozen.machinery.config.kubernetes_node import api_access

        access = api_access(given)
        spec = cluster.KubernetesAccessConfigSpec()
        if access is not None:
            spec = cluster.KubernetesAccessConfigSpec(
                enabled=True, allowed_api_roles=access.roles, allowed_kubernetes_namespaces=access.namespaces
            )
        yield Put(cluster.KUBERNETES_ACCESS_CONFIG, cluster.ACCESS, spec)


class ManifestsController:
    """BootstrapManifestsConfig, inline manifests, trust → Manifest. Those with a URL are `download`'s."""

    name = "manifests"
    inputs = (
        _ACTIVE,
        Input(manifests.BOOTSTRAP_MANIFESTS_CONFIG, manifests.BOOTSTRAP),
        Input(manifests.EXTRA_MANIFESTS_CONFIG, manifests.EXTRA),
    )
    outputs = (Shared(manifests.MANIFEST), Shared(runtime.DIAGNOSTIC))

    def plan(self, view: View) -> Iterable[Step]:
        settings = view.get(manifests.BOOTSTRAP_MANIFESTS_CONFIG, manifests.BOOTSTRAP)
        given = control_plane(view)
        if settings is None or given is None:
            return
        from dozen.machinery.kubernetes.manifests import bootstrap_manifests
        from dozen.machinery.kubernetes.manifests.settings import trust_settings

        for id, items in bootstrap_manifests(settings.spec, trust_settings(given)).items():
            if items:
                yield Put(manifests.MANIFEST, id, manifest_of(items))
        extra = view.get(manifests.EXTRA_MANIFESTS_CONFIG, manifests.EXTRA)
        for each in extra.spec.extra_manifests if extra is not None else ():
            if not each.url:
                yield _inline(each)


def _inline(each: manifests.ExtraManifest) -> Step:
    """A manifest of the configuration; one that cannot be read is reported and does not hold up the others."""
    from dozen.machinery.kubernetes.objects import parse_manifest

    try:
        items = parse_manifest(each.inline_manifest, f"manifest {each.name}")
    except ValueError as error:
        text = f"{error}; correct it in the machine configuration (cluster.inlineManifests)"
        return Put(runtime.DIAGNOSTIC, f"manifest-{each.name}", runtime.DiagnosticSpec(message=text))
    return Put(manifests.MANIFEST, each.id, manifest_of(items))


def manifest_of(items: Iterable[Object]) -> manifests.ManifestSpec:
    """Objects as a resource."""
    return manifests.ManifestSpec(items=tuple(manifests.ManifestItem(object=item) for item in items))


class NodeSpecsController:
    """MachineConfig → NodeLabelSpec, NodeAnnotationSpec, NodeTaintSpec."""

    name = "node-specs"
    inputs = (_ACTIVE,)
    outputs = (manifests.NODE_LABEL, manifests.NODE_ANNOTATION, manifests.NODE_TAINT)

    def plan(self, view: View) -> Iterable[Step]:
        active = view.get(config.MACHINE_CONFIG, config.ACTIVE)
        if active is None:
            return
        from dozen.machinery.config import kubernetes_node

        node = kubernetes_node.node(parse(active.spec.text))
        for key, value in node.labels.items():
            yield Put(manifests.NODE_LABEL, key, manifests.NodeLabelSpec(key=key, value=value))
        for key, value in node.annotations.items():
            yield Put(manifests.NODE_ANNOTATION, key, manifests.NodeAnnotationSpec(key=key, value=value))
        for key, text in node.taints.items():
            value, _, effect = text.rpartition(":")
            yield Put(manifests.NODE_TAINT, key, manifests.NodeTaintSpec(key=key, effect=effect, value=value))

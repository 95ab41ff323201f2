"""The kubelet: what it is told, from the configuration, and the files that tell it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from dozen.machinery.effects.files import MakeDirectory, WriteFile
from dozen.machinery.kubernetes import kubelet, paths
from dozen.machinery.plan import Input, Put, Shared, Step, View
from dozen.machinery.resources import config, controlplane, kubernetes, runtime
from dozen.node.configuration import complete
from dozen.node.controllers.kubernetes.naming import KUBELET, NODENAME

if TYPE_CHECKING:
    from dozen.machinery.config import Config


class KubeletController:
    """MachineConfig, Nodename, NodeIP → KubeletConfig, KubeletSpec."""

    name = "kubelet-spec"
    inputs = (
        Input(config.MACHINE_CONFIG, config.ACTIVE),
        Input(kubernetes.NODENAME, NODENAME),
        Input(kubernetes.NODE_IP, KUBELET),
    )
    outputs = (controlplane.KUBELET_CONFIG, kubernetes.KUBELET_SPEC)

    def plan(self, view: View) -> Iterable[Step]:
        given = complete(view)
        if given is None:
            return
        yield Put(controlplane.KUBELET_CONFIG, KUBELET, _settings(given))
        name, addresses = view.get(kubernetes.NODENAME, NODENAME), view.get(kubernetes.NODE_IP, KUBELET)
        if name is not None and addresses is not None:
            spec = _program(given, name.spec.nodename, addresses.spec.addresses)
            yield Put(kubernetes.KUBELET_SPEC, KUBELET, spec)


def _settings(given: Config) -> controlplane.KubeletConfigSpec:
    """What the configuration says about the kubelet."""
    from dozen.machinery.config import kubernetes as said
    from dozen.machinery.config import kubernetes_node

    node, told = kubernetes_node.node(given), kubernetes_node.kubelet(given)
    return controlplane.KubeletConfigSpec(
        image=told.image,
        cluster_dns=told.cluster_dns,
        cluster_domain=said.network(given).dns_domain,
        extra_args={name: controlplane.ArgValues(values=values) for name, values in told.extra_args.items()},
        extra_config=told.extra_config,
        cloud_provider_external=said.external_cloud_provider(given),
        default_runtime_seccomp_enabled=told.seccomp_default,
        skip_node_registration=node.skip_registration,
        disable_manifests_directory=not told.manifests_directory,
        register_with_taints=node.taints,
    )


def _program(given: Config, nodename: str, addresses: tuple[str, ...]) -> kubernetes.KubeletSpec:
    """What is run, for this node."""
    from dozen.machinery.config import host, kubernetes_node
    from dozen.machinery.config import kubernetes as said

    node, told = kubernetes_node.node(given), kubernetes_node.kubelet(given)
    asked = kubelet.KubeletInput(
        nodename=nodename,
        addresses=addresses,
        cluster_dns=told.cluster_dns,
        cluster_domain=said.network(given).dns_domain,
        control_plane=given.machine_type == "controlplane",
        skip_registration=node.skip_registration,
        seccomp_default=told.seccomp_default,
        # On a control plane the folder is how its own pods come to run.
        manifests_directory=told.manifests_directory or given.machine_type == "controlplane",
        cloud_external=said.external_cloud_provider(given),
        host_dns=host.host_dns(given).enabled,
        taints=node.taints,
        extra_config=told.extra_config,
        extra_args=told.extra_args,
    )
    mounts = tuple(
        kubernetes.Mount(
            destination=each["destination"],
            type=each.get("type", ""),
            source=each.get("source", ""),
            options=tuple(each.get("options", ())),
        )
        for each in told.extra_mounts
    )
    return kubernetes.KubeletSpec(
        image=told.image,
        args=kubelet.arguments(asked),
        extra_mounts=mounts,
        expected_nodename=nodename,
        config=kubelet.configuration(asked),
    )


class KubeletStatusController:
    """KubeletSpec, the service → KubeletStatus: there while a kubelet runs."""

    name = "kubelet-status"
    inputs = (Input(kubernetes.KUBELET_SPEC, KUBELET), Input(runtime.SERVICE, KUBELET))
    outputs = (kubernetes.KUBELET_STATUS,)

    def plan(self, view: View) -> Iterable[Step]:
        spec, service = view.get(kubernetes.KUBELET_SPEC, KUBELET), view.get(runtime.SERVICE, KUBELET)
        if spec is not None and service is not None and service.spec.running:
            yield Put(kubernetes.KUBELET_STATUS, KUBELET, kubernetes.KubeletStatusSpec(image=spec.spec.image))


class KubeletFilesController:
    """KubeletSpec → the kubelet's configuration file and the folder that it takes pods from → ConfigStatus."""

    name = "kubelet-files"
    inputs = (Input(kubernetes.KUBELET_SPEC, KUBELET),)
    outputs = (Shared(kubernetes.CONFIG_STATUS),)

    def plan(self, view: View) -> Iterable[Step]:
        spec = view.get(kubernetes.KUBELET_SPEC, KUBELET)
        if spec is None:
            return
        from dozen.machinery.yaml import dump

        text = dump(spec.spec.config)
        yield MakeDirectory(paths.on_node(paths.MANIFESTS), 0o700)
        yield WriteFile(paths.on_node(paths.KUBELET_CONFIG), text, 0o600)
        version = hashlib.sha256(text.encode()).hexdigest()[:16]
        yield Put(kubernetes.CONFIG_STATUS, KUBELET, kubernetes.ConfigStatusSpec(ready=True, version=version))

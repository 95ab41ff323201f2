"""How the control plane's programs are to run here, from the configuration; and the files that they read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from dozen.machinery.effects.files import MakeDirectory, WriteFile
from dozen.machinery.kubernetes import paths, versions
from dozen.machinery.plan import Input, Put, Shared, Step, View
from dozen.machinery.resources import block, config, controlplane, kubernetes
from dozen.node.configuration import control_plane
from dozen.node.controllers.kubernetes.naming import KUBELET

if TYPE_CHECKING:
    from dozen.machinery.config import Config
    from dozen.machinery.config.kubernetes import Component

_ACTIVE = Input(config.MACHINE_CONFIG, config.ACTIVE)


class ControlPlaneConfigController:
    """MachineConfig, NodeIP → APIServerConfig, ControllerManagerConfig, SchedulerConfig."""

    name = "control-plane-config"
    inputs = (_ACTIVE, Input(kubernetes.NODE_IP, KUBELET))
    outputs = (
        controlplane.API_SERVER_CONFIG,
        controlplane.CONTROLLER_MANAGER_CONFIG,
        controlplane.SCHEDULER_CONFIG,
    )

    def plan(self, view: View) -> Iterable[Step]:
        given, node = control_plane(view), view.get(kubernetes.NODE_IP, KUBELET)
        if given is None or node is None or not node.spec.addresses:
            return
        api = _api_server(given, node.spec.addresses[0])
        yield Put(controlplane.API_SERVER_CONFIG, paths.APISERVER, api)
        yield Put(controlplane.CONTROLLER_MANAGER_CONFIG, paths.CONTROLLER_MANAGER, _controller_manager(given))
        yield Put(controlplane.SCHEDULER_CONFIG, paths.SCHEDULER, _scheduler(given))


def _api_server(given: Config, address: str) -> controlplane.APIServerConfigSpec:
    from dozen.machinery.config import effective, kubernetes, kubernetes_secrets
    from dozen.machinery.kubernetes import arguments, files

    said, net = kubernetes.api_server(given), kubernetes.network(given)
    accounts = kubernetes_secrets.service_accounts(given)
    flags = arguments.apiserver_flags(
        port=said.port,
        advertised=address,
        service_subnets=net.service_subnets,
        issuers=tuple(dict.fromkeys((accounts.issuer, *accounts.accepted_issuers))),
        audiences=accounts.audiences,
        encrypted=files.encryption(kubernetes_secrets.encryption(given)) is not None,
    )
    return controlplane.APIServerConfigSpec(
        image=said.program.image,
        control_plane_endpoint=effective.cluster_endpoint(given),
        etcd_servers=arguments.ETCD_SERVERS,
        local_port=said.port,
        service_cidr=net.service_subnets,
        extra_args=_values(said.program),
        args=arguments.command_line(arguments.merged(paths.APISERVER, flags, said.program.extra_args)),
        extra_volumes=_volumes(said.program),
        environment_variables=said.program.env,
        advertised_address=address,
        resources=_resources(said.program),
        startup_probes_enabled=said.startup_probes,
        use_authentication_config=True,
    )


def _controller_manager(given: Config) -> controlplane.ControllerManagerConfigSpec:
    from dozen.machinery.config import kubernetes
    from dozen.machinery.kubernetes import arguments

    said, net = kubernetes.controller_manager(given), kubernetes.network(given)
    flags = arguments.controller_manager_flags(
        pod_subnets=net.pod_subnets,
        service_subnets=net.service_subnets,
        mask_ipv4=net.node_mask_ipv4,
        mask_ipv6=net.node_mask_ipv6,
    )
    if kubernetes.external_cloud_provider(given):
        flags["cloud-provider"] = ("external",)
    return controlplane.ControllerManagerConfigSpec(
        enabled=said.enabled,
        image=said.image,
        cloud_provider="external" if kubernetes.external_cloud_provider(given) else "",
        pod_cidrs=net.pod_subnets,
        service_cidrs=net.service_subnets,
        extra_args=_values(said),
        args=arguments.command_line(arguments.merged(paths.CONTROLLER_MANAGER, flags, said.extra_args)),
        extra_volumes=_volumes(said),
        environment_variables=said.env,
        resources=_resources(said),
        node_mask_ipv4=net.node_mask_ipv4,
        node_mask_ipv6=net.node_mask_ipv6,
    )


def _scheduler(given: Config) -> controlplane.SchedulerConfigSpec:
    from dozen.machinery.config import kubernetes
    from dozen.machinery.kubernetes import arguments, files

    said = kubernetes.scheduler(given)
    return controlplane.SchedulerConfigSpec(
        enabled=said.enabled,
        image=said.image,
        extra_args=_values(said),
        args=arguments.command_line(arguments.merged(paths.SCHEDULER, arguments.scheduler_flags(), said.extra_args)),
        config=files.scheduler(said.config),
        extra_volumes=_volumes(said),
        environment_variables=said.env,
        resources=_resources(said),
    )


def _values(said: Component) -> Mapping[str, controlplane.ArgValues]:
    return {name: controlplane.ArgValues(values=values) for name, values in said.extra_args.items()}


def _volumes(said: Component) -> tuple[controlplane.ExtraVolume, ...]:
    return tuple(
        controlplane.ExtraVolume(
            name=each.name or f"extra-{at}",
            host_path=each.host_path,
            mount_path=each.mount_path,
            readonly=each.readonly,
        )
        for at, each in enumerate(said.extra_volumes)
    )


def _resources(said: Component) -> controlplane.Resources:
    parts = {
        name: {key: str(value) for key, value in (said.resources.get(name) or {}).items()}
        for name in ("requests", "limits")
    }
    return controlplane.Resources(requests=parts["requests"], limits=parts["limits"])


class APIServerSettingsController:
    """MachineConfig → AdmissionControlConfig, AuditPolicyConfig, AuthenticationConfig, AuthorizationConfig,
    EtcdEncryptionConfig: what the API server's files say, for people to look at."""

    name = "api-server-settings"
    inputs = (_ACTIVE,)
    outputs = (
        controlplane.ADMISSION_CONTROL_CONFIG,
        controlplane.AUDIT_POLICY_CONFIG,
        controlplane.AUTHENTICATION_CONFIG,
        controlplane.AUTHORIZATION_CONFIG,
        controlplane.ETCD_ENCRYPTION_CONFIG,
    )

    def plan(self, view: View) -> Iterable[Step]:
        given = control_plane(view)
        if given is None:
            return
        from dozen.machinery.config import kubernetes, kubernetes_secrets
        from dozen.machinery.kubernetes import files
        from dozen.machinery.yaml import dump

        plugins = tuple(
            controlplane.AdmissionPlugin(name=each.name, configuration=each.configuration)
            for each in kubernetes.admission(given)
        )
        authorizers = tuple(
            controlplane.Authorizer(type=each.type, name=each.name, webhook=each.webhook)
            for each in kubernetes.authorizers(given)
        )
        admission = controlplane.AdmissionControlConfigSpec(config=plugins)
        yield Put(controlplane.ADMISSION_CONTROL_CONFIG, "admission-control", admission)
        policy = controlplane.AuditPolicyConfigSpec(config=kubernetes.audit_policy(given))
        yield Put(controlplane.AUDIT_POLICY_CONFIG, "audit-policy", policy)
        who = controlplane.AuthenticationConfigSpec(config=files.authentication(kubernetes.authentication(given)))
        yield Put(controlplane.AUTHENTICATION_CONFIG, "authentication-config", who)
        image = kubernetes.api_server(given).program.image
        what = controlplane.AuthorizationConfigSpec(image=image, config=authorizers)
        yield Put(controlplane.AUTHORIZATION_CONFIG, "authorization", what)
        encryption = files.encryption(kubernetes_secrets.encryption(given))
        if encryption is not None:
            spec = controlplane.EtcdEncryptionConfigSpec(configuration=dump(encryption))
            yield Put(controlplane.ETCD_ENCRYPTION_CONFIG, "k8s", spec)


class ControlPlaneFilesController:
    """MachineConfig, SchedulerConfig → the programs' configuration files → ConfigStatus."""

    name = "control-plane-files"
    inputs = (
        _ACTIVE,
        Input(controlplane.SCHEDULER_CONFIG, paths.SCHEDULER),
        Input(block.VOLUME_STATUS, "EPHEMERAL"),
    )
    outputs = (Shared(kubernetes.CONFIG_STATUS),)

    def plan(self, view: View) -> Iterable[Step]:
        given, scheduler = control_plane(view), view.get(controlplane.SCHEDULER_CONFIG, paths.SCHEDULER)
        if given is None or scheduler is None:
            return
        # The controller-manager has arguments only.
        found = {
            paths.APISERVER: list(_api_server_files(given)),
            paths.SCHEDULER: [_file(paths.SCHEDULER_CONFIG, scheduler.spec.config, versions.SCHEDULER_UID)],
        }
        for files in found.values():
            yield from files
        volume = view.get(block.VOLUME_STATUS, "EPHEMERAL")
        if volume is None or volume.spec.phase != "ready":
            return  # there is no place yet for what the API server writes down
        yield MakeDirectory(paths.AUDIT_LOG, 0o700, versions.APISERVER_UID, versions.APISERVER_UID)
        # A pod starts anew for its own files; who looks at the node from outside asks about all of them.
        everyone = [file for files in found.values() for file in files]
        for id, files in {**found, kubernetes.STATIC_PODS: everyone}.items():
            yield Put(kubernetes.CONFIG_STATUS, id, kubernetes.ConfigStatusSpec(ready=True, version=_version(files)))


def _version(files: Iterable[WriteFile]) -> str:
    return hashlib.sha256("".join(each.path + each.content for each in files).encode()).hexdigest()[:16]


def _api_server_files(given: Config) -> Iterable[WriteFile]:
    from dozen.machinery.config import kubernetes, kubernetes_secrets
    from dozen.machinery.kubernetes import files

    uid = versions.APISERVER_UID
    yield _file(paths.ADMISSION, files.admission(kubernetes.admission(given)), uid)
    yield _file(paths.AUDIT_POLICY, kubernetes.audit_policy(given), uid)
    yield _file(paths.AUTHENTICATION, files.authentication(kubernetes.authentication(given)), uid)
    yield _file(paths.AUTHORIZATION, files.authorization(kubernetes.authorizers(given)), uid)
    encryption = files.encryption(kubernetes_secrets.encryption(given))
    if encryption is not None:
        yield _file(paths.ENCRYPTION, encryption, uid)


def _file(path: str, data: Mapping[str, object], gid: int) -> WriteFile:
    from dozen.machinery.yaml import dump

    return WriteFile(path, dump(data), 0o440, gid=gid)

"""The control plane as static pods: what they are, when they may begin, and their files for the kubelet.

The API server's pod waits for its files and for etcd; the controller-manager and the scheduler wait until the API
server has answered, because all they could do before is to fail and to be started again, ever later. What has begun
stays: etcd that is away for a while is no reason to take the API server away as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dozen.machinery.effects.files import RemoveFile, WriteFile
from dozen.machinery.kubernetes import paths, pods, versions
from dozen.machinery.kubernetes.objects import Object
from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resource import Phase
from dozen.machinery.resources import config, controlplane, kubernetes, runtime
from dozen.node.configuration import complete

_VERSION = "talos.dev"


class StaticPodController:
    """Configs, statuses of files, etcd, the API server → StaticPod."""

    name = "static-pods"
    inputs = (
        Input(config.MACHINE_CONFIG, config.ACTIVE),
        Input(controlplane.API_SERVER_CONFIG, paths.APISERVER),
        Input(controlplane.CONTROLLER_MANAGER_CONFIG, paths.CONTROLLER_MANAGER),
        Input(controlplane.SCHEDULER_CONFIG, paths.SCHEDULER),
        Input(kubernetes.SECRETS_STATUS),
        Input(kubernetes.CONFIG_STATUS),
        Input(kubernetes.API_SERVER_ANSWERS),
        Input(runtime.SERVICE, "etcd"),
    )
    outputs = (kubernetes.STATIC_POD,)

    def plan(self, view: View) -> Iterable[Step]:
        begun = {each.id for each in view.list(kubernetes.STATIC_POD)}
        for id, pod in (*_control_plane(view, begun), *_of_configuration(view)):
            yield Put(kubernetes.STATIC_POD, id, kubernetes.StaticPodSpec(pod=pod))


def _control_plane(view: View, begun: set[str]) -> Iterator[tuple[str, Object]]:
    secrets = view.get(kubernetes.SECRETS_STATUS, kubernetes.STATIC_PODS)
    written = view.get(kubernetes.CONFIG_STATUS, kubernetes.STATIC_PODS)
    if secrets is None or not secrets.spec.ready or written is None:
        return
    etcd = view.get(runtime.SERVICE, "etcd")
    if paths.APISERVER in begun or (etcd is not None and etcd.spec.healthy):
        yield from _api_server(view)
    answered = any(each.spec.answered for each in view.list(kubernetes.API_SERVER_ANSWERS))
    for kind, id, uid in (
        (controlplane.CONTROLLER_MANAGER_CONFIG, paths.CONTROLLER_MANAGER, versions.CONTROLLER_MANAGER_UID),
        (controlplane.SCHEDULER_CONFIG, paths.SCHEDULER, versions.SCHEDULER_UID),
    ):
        program = view.get(kind, id)
        if program is None or not (answered or id in begun):
            continue
        spec: controlplane.ControllerManagerConfigSpec | controlplane.SchedulerConfigSpec = program.spec  # type: ignore[assignment]
        if spec.enabled:
            yield id, _pod(id, uid, spec, _noted(view, id))


def _api_server(view: View) -> Iterator[tuple[str, Object]]:
    id = paths.APISERVER
    found = view.get(controlplane.API_SERVER_CONFIG, id)
    if found is not None:
        yield id, _pod(id, versions.APISERVER_UID, found.spec, _noted(view, id))


def _noted(view: View, id: str) -> dict[str, str]:
    """The versions of a program's own files: its pod starts anew when one changes, and for nobody else's.

    Programs read renewed certificates by themselves; the version of secrets is of those that they read only once.
    """
    files, secrets = view.get(kubernetes.CONFIG_STATUS, id), view.get(kubernetes.SECRETS_STATUS, id)
    found = {"config-file-version": files, "secrets-version": secrets}
    return {f"{_VERSION}/{name}": each.spec.version for name, each in found.items() if each is not None}


def _pod(
    name: str,
    uid: int,
    spec: controlplane.APIServerConfigSpec
    | controlplane.ControllerManagerConfigSpec
    | controlplane.SchedulerConfigSpec,
    noted: dict[str, str],
) -> Object:
    given = {"requests": spec.resources.requests, "limits": spec.resources.limits}
    return pods.static_pod(
        pods.Program(
            name=name,
            image=spec.image,
            uid=uid,
            args=spec.args,
            env=spec.environment_variables,
            volumes=[
                pods.HostDirectory(each.name, each.host_path, each.mount_path, each.readonly)
                for each in spec.extra_volumes
            ],
            resources={part: values for part, values in given.items() if values},
            versions=noted,
            port=getattr(spec, "local_port", 0),
            startup_probe=getattr(spec, "startup_probes_enabled", True),
        )
    )


def _of_configuration(view: View) -> Iterator[tuple[str, Object]]:
    given = complete(view)
    if given is None:
        return
    from dozen.machinery.config import kubernetes_node

    for each in kubernetes_node.static_pods(given):
        namespace = each.pod.get("metadata", {}).get("namespace", "default")
        yield f"{namespace}-{each.name}", {"apiVersion": "v1", "kind": "Pod", **each.pod}


class StaticPodFilesController:
    """StaticPod → the files in the kubelet's folder; a pod that goes takes its file with it."""

    name = "static-pod-files"
    inputs = (Input(kubernetes.STATIC_POD, finalize=True),)
    outputs = ()

    def plan(self, view: View) -> Iterable[Step]:
        from dozen.machinery.yaml import dump

        for each in view.list(kubernetes.STATIC_POD):
            path = paths.on_node(f"{paths.MANIFESTS}/{each.id}.yaml")
            if each.metadata.phase is Phase.TEARING_DOWN:
                yield RemoveFile(path)
            else:
                yield WriteFile(path, dump(each.spec.pod), 0o600)

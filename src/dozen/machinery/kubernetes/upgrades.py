"""What can be said about an upgrade of Kubernetes before it begins, and how a configuration asks for each step of it.

The programs of a cluster may differ by one minor version at most while they are changed one after another, so an
upgrade goes to the next minor version or stays in one. Before anything is changed, two things are looked for that the
new version would refuse: flags of the configuration that it no longer has, and APIs that clients still use.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dozen.machinery.config import Config
    from dozen.machinery.config.kubernetes import Component
    from dozen.machinery.config.kubernetes_node import Kubelet

# In the order in which they are changed: others are never newer than the API server that they speak with.
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
PROXY, KUBELET = "kube-proxy", "kubelet"

# Part of the configuration and kind of document that hold a program's image.
_PLACES = {
    "kube-apiserver": ("cluster", "apiServer", "KubeAPIServerConfig"),
    "kube-controller-manager": ("cluster", "controllerManager", "KubeControllerManagerConfig"),
    "kube-scheduler": ("cluster", "scheduler", "KubeSchedulerConfig"),
    PROXY: ("cluster", "proxy", "KubeProxyConfig"),
    KUBELET: ("machine", "kubelet", "KubeletConfig"),
}

# Flag → the minor version of 1.x that came without it (each release's CHANGELOG); a program refuses to start with a
# flag that it does not know.
REMOVED_FLAGS: dict[str, dict[str, int]] = {
    "kube-apiserver": {"cloud-config": 33, "cloud-provider": 33},
    "kube-controller-manager": {"enable-taint-manager": 27, "pod-eviction-timeout": 27},
    "kube-scheduler": {"policy-config-file": 23},
    KUBELET: {
        "cloud-config": 34,
        "container-runtime": 27,
        "keep-terminated-pod-volumes": 31,
        "network-plugin": 24,
        "pod-infra-container-image": 35,
    },
}


class UpgradeError(ValueError):
    """The upgrade cannot be done, or not in one step; the message says what to do."""


class Version(NamedTuple):
    """A version of Kubernetes."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}.{self.patch}"


def read_version(text: str) -> Version:
    """``v1.36.3`` or ``1.36.3``; what follows, as in ``-rc.1``, is not looked at. Raises UpgradeError."""
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)(?:[-+].*)?$", text)
    if found is None:
        raise UpgradeError(f'"{text}" is not a version of Kubernetes; write it like 1.36.3')
    return Version(*(int(part) for part in found.groups()))


def check_path(old: Version, new: Version) -> None:
    """Raises UpgradeError when there is no way from one to the other in one step."""
    if new < old:
        raise UpgradeError(f"the cluster has {old}: Kubernetes cannot go back to {new}")
    if new.major != old.major or new.minor > old.minor + 1:
        raise UpgradeError(f"from {old} an upgrade goes to v{old.major}.{old.minor + 1}.x first, not to {new}")


def removed_flags(program: str, flags: Iterable[str], new: Version) -> list[str]:
    """Flags of the configuration that the new version of a program no longer has."""
    known = REMOVED_FLAGS.get(program, {})
    return sorted(flag for flag in flags if known.get(flag, new.minor + 1) <= new.minor)


def removed_apis(metrics: str, new: Version) -> list[str]:
    """APIs that somebody has asked the API server for since it started, and that the new version does not have.

    ``metrics`` are the API server's; it counts each deprecated API that is asked for, with the release that removes it.
    """
    found = []
    for line in metrics.splitlines():
        if not line.startswith("apiserver_requested_deprecated_apis{") or line.rstrip().endswith(" 0"):
            continue
        labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
        release = re.match(r"1\.(\d+)", labels.get("removed_release", ""))
        if release and int(release.group(1)) <= new.minor:
            group = f"{labels['group']}/" if labels.get("group") else ""
            found.append(f"{labels.get('resource', '?')} of {group}{labels.get('version', '?')}")
    return sorted(set(found))


def image_of(config: Config, program: str) -> str:
    """The image that a configuration leads to."""
    return _settings_of(config, program).image


def flags_of(config: Config, program: str) -> Mapping[str, object]:
    """The flags that a configuration gives to a program."""
    return _settings_of(config, program).extra_args


def _settings_of(config: Config, program: str) -> Component | Kubelet:
    from dozen.machinery.config import kubernetes, kubernetes_node

    if program == KUBELET:
        return kubernetes_node.kubelet(config)
    if program == "kube-apiserver":
        return kubernetes.api_server(config).program
    ask = {
        "kube-controller-manager": kubernetes.controller_manager,
        "kube-scheduler": kubernetes.scheduler,
        PROXY: kubernetes.proxy,
    }
    return ask[program](config)


def with_version(image: str, version: Version) -> str:
    """The same image in another version; a digest, which names one version for ever, is left out."""
    bare = image.partition("@")[0]
    name, colon, tag = bare.rpartition(":")
    if not colon or "/" in tag:
        name = bare
    return f"{name}:{version}"


def with_image(config: Config, text: str, program: str, image: str) -> str:
    """The text of a configuration with another image for a program, where the configuration says it now."""
    from dozen.machinery.config.effective import find_document
    from dozen.machinery.config.patches import patch, read_patch
    from dozen.machinery.yaml import dump

    part, field, kind = _PLACES[program]
    if find_document(config, kind) is not None:
        change: dict[str, object] = {"apiVersion": "v1alpha1", "kind": kind, "image": image}
    else:
        change = {part: {field: {"image": image}}}
    return patch(text, [read_patch(dump(change))])

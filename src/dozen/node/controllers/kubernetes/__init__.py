"""Kubernetes on this node: its name and addresses, the kubelet, and on a control plane the static pods."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dozen.machinery.plan import Controller


def kubernetes_controllers() -> Iterator[Controller]:
    """Everything that plans."""
    from dozen.node.controllers.kubernetes.configs import (
        APIServerSettingsController,
        ControlPlaneConfigController,
        ControlPlaneFilesController,
    )
    from dozen.node.controllers.kubernetes.kubelet import (
        KubeletController,
        KubeletFilesController,
        KubeletStatusController,
    )
    from dozen.node.controllers.kubernetes.naming import (
        NodeAddressFilterController,
        NodeIPController,
        NodenameController,
    )
    from dozen.node.controllers.kubernetes.static_pods import StaticPodController, StaticPodFilesController

    yield from (
        NodenameController(),
        NodeIPController(),
        NodeAddressFilterController(),
        KubeletController(),
        KubeletFilesController(),
        KubeletStatusController(),
    )
    yield from (ControlPlaneConfigController(), APIServerSettingsController(), ControlPlaneFilesController())
    yield from (StaticPodController(), StaticPodFilesController())

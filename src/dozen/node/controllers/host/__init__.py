"""The host around Kubernetes, as the configuration wants it: variables of services, files, and whom to trust."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dozen.machinery.plan import Controller


def host_controllers(managed: bool) -> Iterator[Controller]:
    """Everything that plans. A container (not ``managed``) has its /var from who made it."""
    from dozen.node.controllers.host.environment import EnvironmentController
    from dozen.node.controllers.host.files import HostFileController, PlacingController

    yield EnvironmentController()
    yield HostFileController()
    yield PlacingController(managed)

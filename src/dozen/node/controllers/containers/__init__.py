"""What the runtime of containers is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dozen.machinery.plan import Controller


def container_controllers() -> Iterator[Controller]:
    """Everything that plans; not for a container, which runs no containers."""
    from dozen.node.controllers.containers import registries, runtime

    yield registries.RegistriesController()
    yield registries.RegistryFilesController()
    yield runtime.RuntimeController()

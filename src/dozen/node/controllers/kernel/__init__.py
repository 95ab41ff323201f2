"""The kernel of a node: parameters and modules, as we, the configuration and the kernel itself have them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dozen.engine.publisher import Watcher
    from dozen.engine.store import Store
    from dozen.machinery.plan import Controller


def kernel_controllers() -> Iterator[Controller]:
    """Everything that plans; not for a container, whose kernel is its host's."""
    from dozen.node.controllers.kernel import modules, parameters, rebind

    yield parameters.ParameterSpecController()
    yield parameters.ParameterController()
    yield modules.ModuleSpecController()
    yield modules.ModuleController()
    yield rebind.RebindConfigController()
    yield rebind.RebindController()


def kernel_watchers(store: Store) -> Iterator[Watcher]:
    """Everything that observes."""
    from dozen.node.controllers.kernel import parameters

    yield parameters.ParameterWatcher(store)

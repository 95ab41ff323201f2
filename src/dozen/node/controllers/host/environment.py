"""Variables that the configuration wants in the environment of services.

Services get them when they are started (`dozen.node.services.supervisor`), and keep what they were started with. What
the node downloads itself asks for them each time, so a proxy takes effect at once.
"""

from __future__ import annotations

from collections.abc import Iterable

from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources import config, runtime
from dozen.node.configuration import parse

MACHINED = "machined"


class EnvironmentController:
    """MachineConfig → Environment."""

    name = "environment"
    inputs = (Input(config.MACHINE_CONFIG, config.ACTIVE),)
    outputs = (runtime.ENVIRONMENT,)

    def plan(self, view: View) -> Iterable[Step]:
        from dozen.machinery.config.host import variables

        active = view.get(config.MACHINE_CONFIG, config.ACTIVE)
        values = variables(parse(active.spec.text)) if active is not None else {}
        spec = runtime.EnvironmentSpec(variables=tuple(f"{name}={value}" for name, value in values.items()))
        yield Put(runtime.ENVIRONMENT, MACHINED, spec)

"""Groups of processes that were ended because memory was short."""

from __future__ import annotations

from dozen.machinery.resource import Kind, Sensitivity
from dozen.machinery.resources.spec import Spec


class OOMActionSpec(Spec):
    """One end: what was known when it was decided, the group's score, and the processes that it had.

    The id counts from 1; the newest are kept.
    """

    trigger_context: str = ""
    score: float = 0.0
    processes: tuple[str, ...] = ()

    WIRE = "1 triggerContext string omit, 2 score double omit, 3 processes [string] omit"


OOM_ACTION = Kind(
    "OOMActions.talos.dev",
    "runtime",
    OOMActionSpec,
    "OOMAction",
    aliases=("oomaction", "oomactions", "ooma", "oomas"),
    sensitivity=Sensitivity.SENSITIVE,
    columns=(("Score", "{.score}"),),
)

"""What the machine is busy with, as the sequencer says it: the input of MachineStatus that no watcher can observe."""

from __future__ import annotations

from dozen.machinery.resource import Kind
from dozen.machinery.resources.spec import Spec


class StageSpec(Spec):
    """The stage in the words of MachineStatus: booting, maintenance, running, rebooting, shutting down."""

    stage: str = ""

    WIRE = """
         1 stage string
    """


STAGE = Kind("MachineStages.runtime.dozen", "runtime", StageSpec, "MachineStage", columns=(("Stage", "{.stage}"),))

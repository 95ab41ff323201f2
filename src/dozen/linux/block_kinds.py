"""What is observed of block devices beyond the wire's resources, for the controllers that plan volumes.

The wire says which file system a device holds. To decide whether a disk may be written to, more is needed: whether it
is blank, or merely not recognized, or cannot be read (`CONTENT`); whether every device that the machine has was found
yet (`SCAN`); and what came of the effects on devices (`OUTCOME`), so that a plan can answer a failed mount with a
repair.
"""

from __future__ import annotations

from dozen.machinery.resource import Kind
from dozen.machinery.resources.spec import Spec

# CONTENT's words.
BLANK = "blank"  # nothing but zeros where any format would have its marks
RECOGNIZED = "recognized"  # what it is, the DiscoveredVolume says
UNKNOWN = "unknown"  # some data, of no format that we know
INTERRUPTED = "interrupted"  # mkfs.xfs began and did not finish
XFS_REMAINS = "xfs-remains"  # a copy of an XFS superblock, but not the first one
UNREADABLE = "unreadable"

# OUTCOME's words: actions and results.
PARTITION, FORMAT, MOUNT, REPAIR = "partition", "format", "mount", "repair"
WIPE, DROP = "wipe", "drop"
OK = "ok"
FAILED = "failed"
CORRUPT = "corrupt"  # the file system is damaged
DIRTY_LOG = "dirty-log"  # xfs_repair wants the log replayed first (xfs_repair(8), "Dirty Log")


class ContentSpec(Spec):
    """What reading a device showed. ``generation`` tells attachments apart: it grows with each (sysfs ``diskseq``)."""

    content: str = BLANK
    generation: int = 0
    error: str = ""

    WIRE = "1 content string, 2 generation int64, 3 error string omit"


CONTENT = Kind(
    "BlockContents.block.dozen",
    "runtime",
    ContentSpec,
    "BlockContent",
    columns=(("Content", "{.content}"), ("Error", "{.error}")),
)


class ScanSpec(Spec):
    """Whether all devices were found and read; id ``devices``. It stays settled once it is."""

    settled: bool = False

    WIRE = "1 settled bool"


SCAN = Kind("BlockScans.block.dozen", "runtime", ScanSpec, "BlockScan", columns=(("Settled", "{.settled}"),))
DEVICES = "devices"  # the id of the one SCAN


class OutcomeSpec(Spec):
    """What came of the last effect of one action on a device; id ``<device>/<action>``.

    ``number`` grows with each effect, so that of two outcomes the later one can be told.
    """

    device: str = ""
    action: str = ""
    result: str = OK
    message: str = ""
    generation: int = 0
    number: int = 0

    WIRE = """
        1 device string, 2 action string, 3 result string, 4 message string omit, 5 generation int64, 6 number int64
    """


OUTCOME = Kind(
    "BlockOutcomes.block.dozen",
    "runtime",
    OutcomeSpec,
    "BlockOutcome",
    columns=(("Action", "{.action}"), ("Result", "{.result}"), ("Message", "{.message}")),
)


def outcome_id(device: str, action: str) -> str:
    """The id of the outcome of ``action`` on a device, ``vdb3`` for example."""
    return f"{device}/{action}"

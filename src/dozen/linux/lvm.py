"""Carries out effects on LVM's volumes, with the image's /sbin/lvm."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from dozen.machinery.effects.lvm import RemoveVolume
from dozen.machinery.plan import EffectError, Permanent, Temporary

RunProgram = Callable[[Sequence[str], float], Awaitable[tuple[int, bytes]]]

LVM = "/sbin/lvm"
TIMEOUT = 60.0
# How lvm says that there is no such thing (tools/toollib.c, tools/pvremove.c and lib/device of lvm2).
_ABSENT = ("not found", "failed to find", "no pv label", "couldn't find device")


class NoSuchVolume(Permanent):
    """LVM knows nothing by that name."""


async def run(effect: RemoveVolume, run_program: RunProgram) -> None:
    """Remove a volume. Raises `NoSuchVolume`, `Permanent` with lvm's words when it is in use, or `Temporary`."""
    # A logical volume that is active but not open is removed only by who says so; groups and labels are emptied first,
    # and a question, which nobody is there to answer, is how lvm says that they are not empty.
    sure = ("--yes",) if effect.kind == "lv" else ()
    command = [LVM, f"{effect.kind}remove", *sure, "--", effect.name]
    try:
        code, printed = await run_program(command, TIMEOUT)
    except OSError as error:  # TimeoutError is one
        why = "it took too long" if isinstance(error, TimeoutError) else error.strerror or str(error)
        raise Temporary(f"lvm cannot {effect}: {why}") from error
    if code != 0:
        raise explain(effect, printed.decode("utf-8", "replace"))


def explain(effect: RemoveVolume, printed: str) -> EffectError:
    """What lvm's complaints mean for whoever asked."""
    lines = [line.strip() for line in printed.splitlines() if line.strip() and "WARNING" not in line]
    words = "; ".join(dict.fromkeys(lines)) or "lvm did not say why"
    kind = NoSuchVolume if any(word in words.lower() for word in _ABSENT) else Permanent
    return kind(f"{effect.name} is not removed: {words}")

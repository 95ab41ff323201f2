"""What a controller may ask for: the steps of a plan, as plain values.

A controller's ``plan`` reads resources and yields steps. It does no I/O. The engine takes the steps in order:

* an `Effect` is something done to the machine; the runner in `dozen.linux` executes it;
* a `Put` writes a resource that the controller owns;
* a `Remove` ends a resource that the controller owns, and waits until nobody needs it any more;
* a `Requeue` asks to be planned again after a delay even if nothing changes.

When an effect fails, the steps behind it are not taken, and the plan is made again after a back-off. So a status that
is put behind an effect is a statement that the effect happened. What a plan no longer puts, the engine tears down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic, Protocol

import msgspec

from dozen.machinery.resource import NO_LABELS, Kind, Resource, SpecT, SpecT_co


class Effect:
    """Base of every effect. Subclasses are frozen structs whose ``str()`` is one line for logs and plans."""

    __slots__ = ()


class Put(msgspec.Struct, Generic[SpecT_co], frozen=True):
    """Create the resource, or change it; a spec and labels equal to the present ones change nothing."""

    kind: Kind[SpecT_co]
    id: str
    spec: SpecT_co
    labels: Mapping[str, str] = NO_LABELS


class Remove(msgspec.Struct, frozen=True):
    """See to it that an own resource is gone before the steps behind this one are taken.

    What a plan does not put is torn down anyway, but only after all its steps. Where something has to be undone after
    everybody has let go (unmount when no service uses the mount any more), this step stands before the effect. While
    somebody holds a finalizer on the resource, the plan ends here, and is made again when it is gone: so put such steps
    last, and let the effects behind them bear being repeated.
    """

    kind: Kind[msgspec.Struct]
    id: str


class Requeue(msgspec.Struct, frozen=True):
    """Plan again after ``seconds``."""

    seconds: float


Step = Effect | Put[msgspec.Struct] | Remove | Requeue


class Input(msgspec.Struct, frozen=True):
    """A kind that a controller reads, all of it or one ``id``. A change of it makes the controller plan again.

    ``finalize``: the controller holds a finalizer on each of these, so that one that is torn down stays readable (phase
    tearingDown) until a plan that saw it has been carried out whole.
    """

    kind: Kind[msgspec.Struct]
    id: str | None = None
    finalize: bool = False


class Shared(msgspec.Struct, frozen=True):
    """An output kind that several controllers and watchers put resources of; each resource still has one owner."""

    kind: Kind[msgspec.Struct]


Output = Kind[msgspec.Struct] | Shared


class View(Protocol):
    """What a plan may look at: the controller's declared inputs (and its own outputs), as of now.

    What is on its way out is hidden, except among inputs that the controller holds a finalizer on.
    """

    def get(self, kind: Kind[SpecT], id: str) -> Resource[SpecT] | None: ...

    def list(self, kind: Kind[SpecT]) -> tuple[Resource[SpecT], ...]: ...


class Controller(Protocol):
    """Declared inputs, declared outputs (its alone unless `Shared`), and a pure plan."""

    @property
    def name(self) -> str: ...

    @property
    def inputs(self) -> tuple[Input, ...]: ...

    @property
    def outputs(self) -> tuple[Output, ...]: ...

    def plan(self, view: View) -> Iterable[Step]: ...


class EffectError(Exception):
    """Base of what an effect's runner may raise on purpose; the message is one sentence for an operator."""


class Temporary(EffectError):
    """The effect may succeed later: try again after ``delay`` seconds, or after the usual back-off when None."""

    def __init__(self, message: str, delay: float | None = None) -> None:
        super().__init__(message)
        self.delay = delay


class Permanent(EffectError):
    """Trying again is useless until an input changes."""

"""What can go wrong between the engine and those who use it.

`EngineError` is the base. Errors of effects are not here: `dozen.machinery.plan` has them, because the rooms that run
effects may not import the engine.
"""

from __future__ import annotations


class EngineError(Exception):
    """Base of the engine's errors; the message is one sentence."""


class NotFound(EngineError):
    """There is no such resource."""


class OwnerConflict(EngineError):
    """The resource belongs to somebody else."""


class VersionConflict(EngineError):
    """The resource has changed since it was read."""


class PhaseConflict(EngineError):
    """The resource is being torn down."""


class FinalizersPending(EngineError):
    """The resource cannot be destroyed: somebody still holds a finalizer on it."""


class KindConflict(EngineError):
    """Two kinds have one name, or a spec is not of its kind."""


class BookmarkExpired(EngineError):
    """The history no longer reaches back to the bookmark, or the bookmark is not one of this store."""


class DeclarationError(EngineError):
    """A controller or watcher claims what it must not, or reads or writes what it did not declare."""

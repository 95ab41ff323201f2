"""Keeps the standard library from importing what a node rarely needs.

asyncio, logging and msgspec import modules for their tracebacks, for checks of annotations, for TLS or for starting
programs. A node is to answer soon after its start, and most nodes never print a traceback. So these modules, named in
`LATER`, are put into ``sys.modules`` empty; the first look at one of their attributes runs them. This is what
``importlib.util.LazyLoader`` does, with fewer imports of its own.
"""

from __future__ import annotations

import sys
from _thread import RLock
from types import ModuleType
from typing import Any


def _extract_stack(frame: Any = None, limit: int | None = None) -> Any:
    """What asyncio's compiled part takes out of traceback while it is imported."""
    import traceback

    # The first attribute that is missing here runs the module, which puts its own function in the place of this one.
    _ = traceback.StackSummary
    return traceback.extract_stack(frame or sys._getframe(1), limit)


def _is_coroutine_function(function: Any) -> bool:
    """What asyncio asks inspect about whoever wants to hear of a signal. A bound method has its function's code."""
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & _CO_COROUTINE)


class _Never:
    """A class that nothing is an instance of, for as long as the module with the real one has not run."""


# inspect.CO_COROUTINE.
_CO_COROUTINE = 0x80

# Module → attributes that others read while they are imported or merely to say no, with their values.
LATER: dict[str, dict[str, object]] = {
    "ast": {},
    "asyncio.sslproto": {},
    "dis": {},
    "inspect": {"iscoroutinefunction": _is_coroutine_function},
    "linecache": {},
    "locale": {},
    "msgspec.inspect": {},
    "msgspec.msgpack": {},
    "msgspec.toml": {},
    "msgspec.yaml": {},
    "platform": {},
    # asyncio asks each socket whether it is this one.
    "ssl": {"SSLSocket": _Never},
    # subprocess(3): what asyncio names as defaults of its parameters.
    "subprocess": {"PIPE": -1, "STDOUT": -2, "DEVNULL": -3},
    "textwrap": {},
    "tokenize": {},
    "traceback": {"extract_stack": _extract_stack},
}

_loading = RLock()
_running: set[str] = set()


class _Later(ModuleType):
    """A module that has not run yet. ``__spec__`` is the real one."""

    def __getattr__(self, name: str) -> Any:
        # Another thread waits here until the module is whole; what the module's own imports look for, while it runs, it
        # does not have.
        with _loading:
            if self.__name__ in _running:
                raise AttributeError(f"module {self.__name__!r} is being imported and has no attribute {name!r} yet")
            if type(self) is _Later:
                _running.add(self.__name__)
                try:
                    self.__loader__.run(self)  # type: ignore[union-attr]
                    self.__class__ = ModuleType  # type: ignore[assignment]
                finally:
                    _running.discard(self.__name__)
        return getattr(self, name)


class _Loader:
    """Stands between the import system and a module's own loader."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: Any) -> ModuleType:
        module = ModuleType(spec.name)
        module.__dict__.update(LATER[spec.name])
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing for now: the module is complete but for its content."""
        module.__class__ = _Later

    def run(self, module: ModuleType) -> None:
        """Hand the module over to its own loader."""
        assert module.__spec__ is not None
        module.__spec__.loader = self._loader
        module.__dict__["__loader__"] = self._loader
        self._loader.exec_module(module)


class _Finder:
    """Asks all other finders and puts a `_Loader` in front of what they found."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in LATER:
            return None
        for finder in sys.meta_path:
            spec: Any = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                spec.loader = _Loader(spec.loader)
                return spec
        return None


def import_lazily() -> None:
    """From now on, modules of `LATER` run when they are first used."""
    sys.meta_path.insert(0, _Finder())

"""The machine configuration: what a person writes to say what a computer is to be.

`load` reads and checks a text, `generate` writes the first one of a new cluster. `effective` answers what a
configuration means for one subject, whichever of its forms said it. The models are in `machine`, `cluster`, `links`
(the v1alpha1 document) and `documents` (the others).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dozen.machinery.config.loading import Config, load
from dozen.machinery.config.problems import ConfigError, Problem

if TYPE_CHECKING:
    from dozen.machinery.config.clients import client_config
    from dozen.machinery.config.generating import Bundle, Choices, generate
    from dozen.machinery.config.secrets import Secrets, new_secrets

__all__ = [
    "Bundle",
    "Choices",
    "Config",
    "ConfigError",
    "Problem",
    "Secrets",
    "client_config",
    "generate",
    "load",
    "new_secrets",
]

_LATER = {"Bundle": "generating", "Choices": "generating", "client_config": "clients", "generate": "generating"}
_LATER |= {"Secrets": "secrets", "new_secrets": "secrets"}


def __getattr__(name: str) -> Any:
    """Writing is for clients: a node that only reads does not pay for its modules."""
    if name not in _LATER:
        raise AttributeError(name)
    import importlib

    module = importlib.import_module(f"{__name__}.{_LATER[name]}")
    globals()[name] = value = getattr(module, name)
    return value

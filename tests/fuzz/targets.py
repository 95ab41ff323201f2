"""All targets by name, and the module that each is in."""

from __future__ import annotations

from fuzz import documents, kernel, wire

TARGETS = {target.name: target for module in (wire, kernel, documents) for target in module.TARGETS}
MODULES = {target.name: module.__name__ for module in (wire, kernel, documents) for target in module.TARGETS}

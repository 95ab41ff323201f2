"""All targets by name, and the module that each is in."""

from __future__ import annotations

from fuzz import documents, kernel, links, servers, wire

THEMES = (wire, kernel, links, servers, documents)
TARGETS = {target.name: target for module in THEMES for target in module.TARGETS}
MODULES = {target.name: module.__name__ for module in THEMES for target in module.TARGETS}

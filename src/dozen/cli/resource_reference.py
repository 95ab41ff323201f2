"""``docs/resources.md``: every type of resource, who serves it or why it is not there, and the test that shows it.

``python -m dozen.cli.resource_reference`` writes it; tests hold the file to the code and its names to the tests there
are. Who puts resources of a type is asked of the very table that a node's engine is filled from.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dozen.cli.resource_absences import ABSENT
from dozen.cli.resource_tests import SHOWN
from dozen.cli.shown import tests_by_name
from dozen.machinery.plan import Shared
from dozen.machinery.resource import Sensitivity
from dozen.machinery.resources import NAMESPACES, all_kinds

ROOT = Path(__file__).parents[3]
OUTPUT = ROOT / "docs" / "resources.md"
HEAD = """# Resources

Every type of resource of the machine API: 197 that clients know from elsewhere, and then this system's own. They are
listed by `dozenctl get` with a type or an alias of it; those of a sensitive type are for administrators. *Served by*
names the controller or watcher that puts them, as `dozenctl inspect dependencies` draws it, or machined, where it is
PID 1 itself. Tests are named as pytest names them below `tests`.

What a node does not know it does not list in ResourceDefinitions, and whoever asks for it is told that the type is not
supported; the reason stands here.

This page is made from the code by `python -m dozen.cli.resource_reference`.
"""
# Put by PID 1 itself, outside of the engine.
MACHINED = (
    "DevicesStatuses.runtime.talos.dev",
    "Diagnostics.runtime.talos.dev",
    "ImageCacheConfigs.cri.talos.dev",
    "MachineConfigs.config.talos.dev",
    "Namespaces.meta.cosi.dev",
    "PlatformNetworks.config.dozen",
    "ResourceDefinitions.meta.cosi.dev",
    "ServicePIDs.runtime.talos.dev",
    "Services.v1alpha1.talos.dev",
)
# Known, so that clients may watch them, and never there.
EMPTY = {
    "SiderolinkStatuses.siderolink.talos.dev": "known, and empty: dashboards watch it, and SideroLink is not spoken",
}
ABSENT_TEST = "native/test_resources.py::test_types_that_a_node_does_not_know_are_refused"


def owners() -> dict[str, tuple[str, ...]]:
    """Types, and the controllers and watchers of a node that put resources of them."""
    found: dict[str, list[str]] = {name: ["machined"] for name in MACHINED}
    for each in asyncio.run(_collect()):
        for output in each.outputs:
            kind = output.kind if isinstance(output, Shared) else output
            names = found.setdefault(kind.name, [])
            if each.name not in names:
                names.append(each.name)
    return {type_: tuple(names) for type_, names in found.items()}


class _Table:
    """Takes the place of the engine, and keeps what is added."""

    def __init__(self) -> None:
        self.parts: list[Any] = []

    def add(self, controller: object) -> None:
        self.parts.append(controller)

    add_watcher = add


async def _collect() -> list[Any]:
    from dozen.node import registry
    from dozen.node.machine import Machine
    from dozen.node.process import Reaper

    machine, table = Machine("metal", Reaper()), _Table()
    machine.runtime = table  # type: ignore[assignment]
    registry.add_first_wave(machine)
    registry.add_second_wave(machine)
    registry.add_third_wave(machine)
    return table.parts


def absences() -> dict[str, tuple[str, bool, tuple[str, ...], str]]:
    """Types that a node does not know: namespace, whether it is sensitive, aliases, reason."""
    found = {}
    for reason, text in ABSENT.items():
        for line in text.strip().splitlines():
            name, namespace, mark, *aliases = line.split()
            found[name] = namespace, mark == "sensitive", tuple(aliases), reason
    return found


def shown_by() -> dict[str, str]:
    """Types and the tests that show them."""
    return tests_by_name(SHOWN)


def is_ours(name: str) -> bool:
    """Whether a type is this system's own, or of the machinery of resources, and none of the 197."""
    return name.endswith((".dozen", ".cosi.dev"))


def render() -> str:
    """The whole page."""
    rows = dict(_known())
    absent = absences()
    for name, (namespace, sensitive, aliases, reason) in absent.items():
        state = f"not here: {reason}"
        rows[name] = namespace, _row(name, aliases, sensitive, state, ABSENT_TEST)
    served = sum(not is_ours(name) and name not in absent and name not in EMPTY for name in rows)
    count = f"Of the 197, {served} are served, {len(EMPTY)} are known and empty, {len(absent)} are not here.\n"
    parts = [HEAD, count]
    for namespace in sorted({namespace for namespace, _ in rows.values()}):
        own = NAMESPACES.get(namespace, "")
        parts += [f"## {namespace}\n", f"{own}.\n"] if own else [f"## {namespace}\n"]
        parts += ["| type | aliases | sensitive | state | shown by |", "|---|---|---|---|---|"]
        parts += [text for _, (where, text) in sorted(rows.items()) if where == namespace]
        parts.append("")
    return "\n".join(parts)


def _known() -> Iterator[tuple[str, tuple[str, str]]]:
    who, tests = owners(), shown_by()
    for kind in all_kinds():
        names = ", ".join(f"`{each}`" for each in who.get(kind.name, ()))
        state = EMPTY.get(kind.name) or f"served by {names}"
        sensitive = kind.sensitivity is Sensitivity.SENSITIVE
        text = _row(kind.name, kind.aliases, sensitive, state, tests.get(kind.name, ""))
        yield kind.name, (kind.namespace, text)


def _row(name: str, aliases: tuple[str, ...], sensitive: bool, state: str, test: str) -> str:
    shown = f"`{test}`" if test else "**no test names it yet**"
    said = "yes" if sensitive else ""
    return f"| {name} | {' '.join(dict.fromkeys(aliases))} | {said} | {state} | {shown} |"


if __name__ == "__main__":
    OUTPUT.write_text(render())
    sys.stdout.write(f"{OUTPUT}\n")

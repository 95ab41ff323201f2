"""Follows Debian's dependencies, for the toolroot.

The image itself never takes what a package *says* it depends on: it takes what its files need (`closure`). The toolroot
is a place to run compilers in, so there Debian's own word is good enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from dozen.compose.archive import Index, Stanza
from dozen.compose.errors import SourceError

NAME = re.compile(r"\s*([a-z0-9][a-z0-9.+-]*)")


def resolve_depends(index: Index, wanted: Iterable[str], skip: frozenset[str] = frozenset()) -> list[Stanza]:
    """``wanted`` and all that they depend on, sorted by name.

    Of alternatives the first that exists is taken, unless another is already in; a virtual package stands for the
    alphabetically first that provides it.
    """
    chosen: dict[str, Stanza] = {}
    queue = list(wanted)
    while queue:
        name = queue.pop(0)
        if name in chosen or name in skip:
            continue
        stanza = index.find(name)
        chosen[name] = stanza
        for clause in filter(None, (part.strip() for part in stanza.depends.split(","))):
            names = [match.group(1) for match in map(NAME.match, clause.split("|")) if match]
            if not any(option in chosen or option in skip for option in names):
                queue.append(_pick(index, names, stanza.name))
    return [chosen[name] for name in sorted(chosen)]


def _pick(index: Index, options: list[str], wanter: str) -> str:
    for option in options:
        if option in index.packages:
            return option
        if providers := index.providers.get(option):
            return min(providers)
    raise SourceError(f"nothing in the suite satisfies {' | '.join(options)}, which {wanter} depends on")

"""Following dependencies for the toolroot."""

import pytest

from dozen.compose.archive import Index, Stanza
from dozen.compose.depends import resolve_depends
from dozen.compose.errors import SourceError


def stanza(name: str, depends: str = "", provides: tuple[str, ...] = ()) -> Stanza:
    return Stanza(name, "1", "debian", f"pool/{name}.deb", 1, name, name, depends, provides)


def names(wanted: list[str], *stanzas: Stanza) -> list[str]:
    return [found.name for found in resolve_depends(Index(stanzas), wanted)]


def test_alternatives_take_the_first_that_exists() -> None:
    assert names(["a"], stanza("a", "gone | b (>= 2) | c"), stanza("b"), stanza("c")) == ["a", "b"]


def test_an_alternative_that_is_already_in_suffices() -> None:
    assert names(["c", "a"], stanza("a", "b | c"), stanza("b"), stanza("c")) == ["a", "c"]


def test_virtual_packages_and_cycles() -> None:
    found = names(["a"], stanza("a", "virtual, b:any"), stanza("b", "a"), stanza("z", provides=("virtual",)))
    assert found == ["a", "b", "z"]


def test_what_nothing_satisfies_is_an_error_that_names_who_wants_it() -> None:
    with pytest.raises(SourceError, match="nothing in the suite satisfies ghost, which a depends on"):
        names(["a"], stanza("a", "ghost"))

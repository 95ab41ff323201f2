"""Which imports of a module a live node can reach."""

from dozen.compose.imports import imports_of

SOURCE = b"""
from __future__ import annotations
import os.path
from typing import TYPE_CHECKING
from . import sibling
if TYPE_CHECKING:
    import only.for_types
try:
    import maybe
except ImportError:
    import instead
def later():
    from cryptography import x509, fernet
    try:
        import always
    except ValueError:
        pass
"""


def test_late_imports_count_and_guarded_ones_do_not() -> None:
    found = {
        (module, name) for user, module, name in imports_of("dozen.node.main", SOURCE) if user == "dozen.node.main"
    }
    assert found == {
        ("dozen.node.main", ""),
        ("os.path", ""),
        ("typing", "TYPE_CHECKING"),
        ("instead", ""),
        ("cryptography", "x509"),
        ("cryptography", "fernet"),
        ("always", ""),
    }

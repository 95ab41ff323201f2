"""What tests on the build machine's own kernel need of whoever runs them."""

from __future__ import annotations

import os

import pytest

REASON = "needs root: makes namespaces, mounts and devices"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason=REASON)


def require_root() -> None:
    """The same for fixtures, which cannot be marked."""
    if os.geteuid() != 0:
        pytest.skip(REASON)

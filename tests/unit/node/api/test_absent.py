"""Methods that are not served say why, and nothing that is served is called absent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dozen.cli import api_reference
from dozen.rpc.status import Code, RpcError

Ask = Callable[..., list[Any]]
ABSENT = [
    path
    for service, methods in api_reference.services().items()
    for path in [f"/{service}/{method}" for method in methods]
    if not api_reference.is_served(path)
]


@pytest.mark.parametrize("path", ABSENT)
def test_what_is_not_served_says_why(ask: Ask, path: str) -> None:
    with pytest.raises(RpcError, match="is not served: ") as caught:
        ask(path.removeprefix("/"))
    assert caught.value.code is Code.UNIMPLEMENTED

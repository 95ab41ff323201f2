"""Running the build's tools: what goes wrong is said with the way out."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dozen.compose import toolroot
from dozen.compose.errors import ToolError


@pytest.mark.parametrize(
    ("code", "said", "told"),
    [
        # unshare(1), to who is not root where user namespaces are switched off, or inside a chroot.
        (
            1,
            "unshare: unshare failed: Operation not permitted",
            r"run this as root, or allow user namespaces .*: Operation not permitted",
        ),
        (3, "no such option", r"`mkfs.erofs --fast` failed in the toolroot .* \(3\): no such option"),
    ],
)
def test_a_tool_that_fails_is_told_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int, said: str, told: str
) -> None:
    done = subprocess.CompletedProcess((), code, b"", said.encode())
    monkeypatch.setattr(toolroot.subprocess, "run", lambda *_, **__: done)
    with pytest.raises(ToolError, match=told):
        toolroot.ToolRoot(tmp_path, "key").run(["mkfs.erofs", "--fast"])

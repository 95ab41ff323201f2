"""Whole builds of an image, from the real packages: one that the budget refuses, and what a good one's parts are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dozen.compose import packages
from dozen.compose.build import build_image
from dozen.compose.console import Console
from dozen.compose.elf import read_elf
from dozen.compose.errors import BudgetError
from dozen.compose.image import FILE
from dozen.provider.machines import BootImage

# One program more, a program where none may be, and data that is a script.
MORE = """
[[binary]]
path = "/bin/ctr"
source = "usr/bin/ctr"
reason = "It would be handy."

[[binary]]
path = "/usr/bin/containerd-shim-runc-v1"
source = "usr/bin/containerd-shim-runc-v1"
reason = "Once it was useful."

[[data]]
path = "/etc/start"
own = "start"
reason = "Old habits."
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This checkout with a recipe that wants too much."""
    project, root = tmp_path / "project", packages.project_root()
    project.mkdir()
    for original in root.iterdir():
        if original.name not in ("recipes", "build"):
            (project / original.name).symlink_to(original)
    shutil.copytree(root / "recipes", project / "recipes")
    with (project / "recipes/containerd/recipe.toml").open("a") as recipe:
        recipe.write(MORE)
    (project / "recipes/containerd/start").write_text("#!/bin/sh\n")
    monkeypatch.setattr(packages, "project_root", lambda: project)
    return project


@pytest.mark.usefixtures("project")
def test_a_build_that_exceeds_the_budget_fails_and_leaves_no_image(tmp_path: Path) -> None:
    with pytest.raises(BudgetError) as refused:
        build_image("dev", tmp_path / "out", Console(quiet=True))
    said = str(refused.value)
    assert "13 programs in /bin and /sbin, 12 are allowed; take one out of its recipe:" in said
    assert "/bin/ctr (recipes/containerd, package containerd " in said
    assert "/usr/bin/containerd-shim-runc-v1 (recipes/containerd, package containerd " in said
    assert "is a program outside of /bin and /sbin" in said
    assert "/etc/start (recipes/containerd) is a script" in said
    assert not (tmp_path / "out" / FILE).exists()
    assert not (tmp_path / "out/rootfs.img").exists()


def test_stage_1_depends_on_no_library_and_no_loader(image: BootImage) -> None:
    """Nothing but it is in the initramfs when it starts."""
    assert image.tree
    launcher = image.tree.parent / "launcher"
    stage1 = read_elf((launcher / "stage1").read_bytes(), "stage1")
    assert (stage1.interpreter, stage1.needed) == ("", ())
    init = read_elf((launcher / "init").read_bytes(), "init")
    assert init.interpreter == "/lib64/ld-linux-x86-64.so.2"

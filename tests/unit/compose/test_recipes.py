"""Recipes as data: what is refused, and that our own are sound."""

from pathlib import Path

import pytest

from dozen.compose.errors import RecipeError
from dozen.compose.packages import project_root
from dozen.compose.recipes import Recipes, load_recipes

SOUND = 'summary = "s"\nlicence = "MIT"\npackages = ["pkg"]\n'


def write(root: Path, name: str, text: str) -> Path:
    (root / name).mkdir(parents=True)
    (root / name / "recipe.toml").write_text(text)
    return root


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SOUND + 'colour = "red"\n', "colour"),
        (SOUND + '[[binary]]\npath = "/bin/a"\nsource = "a"\n', "reason"),
        (SOUND + 'origin = "elsewhere"\n', "elsewhere"),
        (SOUND + 'name = "a"\n', "named by its folder"),
        ("summary = [", "recipe.toml"),
    ],
    ids=["unknown field", "no reason", "origin", "name", "syntax"],
)
def test_a_bad_recipe_is_named_with_its_field(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words) as caught:
        load_recipes(write(tmp_path, "a", text))
    assert "recipe.toml" in str(caught.value)


def test_two_recipes_cannot_have_one_package(tmp_path: Path) -> None:
    write(tmp_path, "a", SOUND)
    with pytest.raises(RecipeError, match="recipes/b and recipes/a both name the package pkg"):
        load_recipes(write(tmp_path, "b", SOUND))


def test_any_change_in_a_folder_changes_the_key(tmp_path: Path) -> None:
    before = load_recipes(write(tmp_path, "a", SOUND)).key
    (tmp_path / "a" / "own.conf").write_text("x")
    assert load_recipes(tmp_path).key != before


@pytest.fixture(scope="module")
def ours() -> Recipes:
    return load_recipes(project_root() / "recipes")


def test_ours_hold_exactly_the_twelve(ours: Recipes) -> None:
    binaries = {binary.path for recipe in ours.all for binary in recipe.binary}
    assert binaries == {
        *("/bin/containerd", "/bin/containerd-shim", "/bin/containerd-shim-runc-v2", "/bin/runc"),
        *("/sbin/init", "/sbin/modprobe", "/sbin/lvm", "/sbin/dmsetup", "/sbin/udevd", "/sbin/mkfs.xfs"),
        *("/sbin/xfs_repair", "/sbin/xtables-legacy-multi"),
    }


def test_ours_have_twenty_eight_names(ours: Recipes) -> None:
    binaries = [binary for recipe in ours.all for binary in recipe.binary]
    assert sum(1 + len(binary.links) + len(binary.hardlinks) for binary in binaries) == 28


def test_every_reason_of_ours_is_a_sentence(ours: Recipes) -> None:
    parts = [part for recipe in ours.all for part in (*recipe.binary, *recipe.data, *recipe.link, *recipe.directory)]
    reasons = [part.reason for part in parts] + [library.reason for r in ours.all for library in r.library.values()]
    reasons += [why for r in ours.all for why in (*r.dlopen.take.values(), *r.dlopen.leave.values())]
    assert [reason for reason in reasons if len(reason) < 15 or not reason.endswith(".")] == []


def test_the_lock_has_all_that_ours_name(ours: Recipes) -> None:
    from dozen.compose.lock import read_lock
    from dozen.compose.packages import lock_path
    from dozen.compose.toolroot import PACKAGES

    lock = read_lock(lock_path())
    assert [name for name in (*ours.packages(), *ours.follow()) if lock.find(name) is None] == []
    assert set(PACKAGES) <= {pin.name for pin in lock.toolroot}
    assert {pin.archive for pin in (*lock.image, *lock.toolroot)} <= {"debian", "debian-security"}

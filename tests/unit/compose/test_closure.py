"""The search for shared objects."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dozen.compose.closure import add_libraries
from dozen.compose.contents import Sources
from dozen.compose.errors import BudgetError
from dozen.compose.recipes import Dlopen, Library, Recipe, Recipes
from dozen.compose.tree import Entry, Tree, Why
from dozen.compose.unpack import Package

MakeElf = Callable[..., bytes]
Put = Callable[..., Entry]
FOLDER = "usr/lib/x86_64-linux-gnu"
TOOL = Why("tool", "Works.", "tool", "1.0", "MIT")


class World:
    """A tool, and library packages that its closure may take from."""

    def __init__(self, make_package: Callable[..., Package], put: Put) -> None:
        self.make_package, self.put = make_package, put
        self.tree = Tree()
        self.packages: dict[str, Package] = {}
        self.libraries: dict[str, Library] = {}
        self.decisions: dict[str, Dlopen] = {}

    def tool(self, content: bytes) -> None:
        self.put(self.tree, "/bin/tool", content, mode=0o755, why=TOOL)

    def library(self, package: str, files: dict[str, bytes | str]) -> None:
        self.packages[package] = self.make_package(package, files)
        self.libraries[package] = Library("LGPL-2.1-only", f"{package} is useful.")

    def close(self) -> Tree:
        recipes = tuple(
            Recipe("s", "MIT", name=name, dlopen=self.decisions.get(name, Dlopen()), library=libraries)
            for name, libraries in (("tool", {}), ("libraries", self.libraries))
        )
        add_libraries(self.tree, Sources(Recipes(Path(), recipes, ""), self.packages, Path(), Path()))
        return self.tree

    def problems(self) -> list[str]:
        with pytest.raises(BudgetError) as caught:
            self.close()
        return caught.value.problems


@pytest.fixture
def world(make_package: Callable[..., Package], put: Put) -> World:
    return World(make_package, put)


def test_what_libraries_need_comes_along_and_knows_why(world: World, make_elf: MakeElf) -> None:
    world.tool(make_elf(("liba.so.1",), program=True))
    world.library("liba", {f"{FOLDER}/liba.so.1.2": make_elf(("libb.so.2",), soname="liba.so.1")})
    world.library(
        "libb", {f"{FOLDER}/libb.so.2": make_elf(soname="libb.so.2"), f"{FOLDER}/libx.so": make_elf(soname="x")}
    )
    tree = world.close()
    libraries = {path: entry for path, entry in tree.entries.items() if entry.elf and path != "/bin/tool"}
    assert sorted(libraries) == [f"/{FOLDER}/liba.so.1", f"/{FOLDER}/libb.so.2"]
    assert libraries[f"/{FOLDER}/libb.so.2"].wanted_by == (f"/{FOLDER}/liba.so.1",)
    assert libraries[f"/{FOLDER}/libb.so.2"].why.reason == "libb is useful."
    assert {entry.mode for entry in libraries.values()} == {0o644}


def test_libraries_that_need_each_other_end(world: World, make_elf: MakeElf) -> None:
    world.tool(make_elf(("liba.so",), program=True))
    world.library(
        "lib",
        {
            f"{FOLDER}/a": make_elf(("libb.so",), soname="liba.so"),
            f"{FOLDER}/b": make_elf(("liba.so",), soname="libb.so"),
        },
    )
    assert len([entry for entry in world.close().entries.values() if entry.elf]) == 3


def test_only_the_loader_gets_the_x_bit(world: World, make_elf: MakeElf) -> None:
    world.tool(make_elf(("libc.so.6",), program=True, interpreter="/lib64/ld.so.2"))
    world.tree.add(Entry("/lib64", "link", 0o777, TOOL, target=FOLDER))
    libc = make_elf(("ld.so.2",), soname="libc.so.6")
    world.library("libc6", {f"{FOLDER}/libc.so.6": libc, f"{FOLDER}/ld.so.2": make_elf(soname="ld.so.2")})
    tree = world.close()
    assert tree.entries[f"/{FOLDER}/ld.so.2"].mode == 0o755
    assert tree.entries[f"/{FOLDER}/libc.so.6"].mode == 0o644


def test_a_library_that_no_recipe_has_is_named_with_its_chain(world: World, make_elf: MakeElf) -> None:
    world.tool(make_elf(("liba.so.1",), program=True))
    world.library("liba", {f"{FOLDER}/liba.so.1": make_elf(("libmagic.so.1",), soname="liba.so.1")})
    (problem,) = world.problems()
    assert f"/{FOLDER}/liba.so.1 (wanted by /bin/tool, listed in recipes/tool) needs libmagic.so.1" in problem
    assert "recipes/libraries/recipe.toml" in problem


def test_what_may_be_loaded_needs_a_decision(world: World, make_elf: MakeElf) -> None:
    world.tool(make_elf(program=True, dlopen=(("libk.so.2", "libk.so.1"),)))
    world.library("libk", {f"{FOLDER}/libk.so.2": make_elf(soname="libk.so.2")})
    problems = world.problems()
    assert "/bin/tool may load libk.so.2 or libk.so.1 (d, suggested)" in problems[0]
    assert "recipes/tool/recipe.toml" in problems[0]


def test_taken_is_taken_and_left_is_left(world: World, make_elf: MakeElf) -> None:
    world.tool(make_elf(program=True, dlopen=(("libk.so.2",), ("libz.so.9",))))
    world.library("libk", {f"{FOLDER}/libk.so.2": make_elf(soname="libk.so.2")})
    world.decisions["tool"] = Dlopen(take={"libk.so.2": "Drivers."}, leave={"libz.so.9": "No."})
    assert world.close().entries[f"/{FOLDER}/libk.so.2"].wanted_by == ("/bin/tool",)


def test_a_listed_package_that_nothing_needs_is_no_longer_explained(world: World, make_elf: MakeElf) -> None:
    world.tool(make_elf(program=True))
    world.library("libold", {f"{FOLDER}/libold.so": make_elf(soname="libold.so")})
    assert world.problems() == ["nothing needs a library of libold: remove it from recipes/libraries"]


def test_a_private_directory_must_be_searched_by_who_needs_it(world: World, make_elf: MakeElf) -> None:
    private = {f"{FOLDER}/private/libp.so": make_elf(soname="libp.so")}
    world.tool(make_elf(("libp.so",), program=True, runpath=f"/{FOLDER}/private"))
    world.library("libp", private)
    assert f"/{FOLDER}/private/libp.so" in world.close().entries
    world.tree = Tree()
    world.tool(make_elf(("libp.so",), program=True))
    assert "in no directory that it searches" in world.problems()[0]

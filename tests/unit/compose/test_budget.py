"""Every rule of the budget, each on a tree that breaks just this one."""

from collections.abc import Callable

import pytest

from dozen.compose.budget import LIMIT, check_budget, interpreters, real_path
from dozen.compose.errors import BudgetError
from dozen.compose.objects import get_object
from dozen.compose.tree import Entry, Tree, Why

MakeElf = Callable[..., bytes]
Put = Callable[..., Entry]
WHY = Why("some", "It is needed.", "pkg", "1.0", "MIT")
LOADER = "/usr/lib/ld.so"


@pytest.fixture
def tree(make_elf: MakeElf, put: Put) -> Tree:
    """A sound tree: as many programs as are allowed, their loader, a library and some data."""
    tree = Tree()
    for number in range(LIMIT):
        content = make_elf(program=True, interpreter="/lib64/ld.so", mark=str(number))
        put(tree, f"/bin/p{number}" if number % 2 else f"/sbin/p{number}", content, mode=0o755)
    tree.add(Entry("/sbin/again", "link", 0o777, WHY, target="p0"))
    tree.add(Entry("/lib64", "link", 0o777, WHY, target="usr/lib"))
    put(tree, LOADER, make_elf(soname="ld.so"), mode=0o755)
    put(tree, "/usr/lib/liba.so", make_elf(soname="liba.so"))
    put(tree, "/etc/a.conf", b"# not a script\n")
    return tree


def check(tree: Tree) -> list[str]:
    try:
        check_budget(tree, lambda entry: get_object(entry.sha256)[:2])
    except BudgetError as error:
        return error.problems
    return []


def test_a_sound_tree_passes(tree: Tree) -> None:
    assert check(tree) == []


def test_one_program_too_many(tree: Tree, make_elf: MakeElf, put: Put) -> None:
    put(tree, "/bin/sh", make_elf(program=True, mark="shell"), mode=0o755, why=Why("shell", "x", "dash", "0.5", "BSD"))
    (problem,) = check(tree)
    assert problem.startswith("13 programs in /bin and /sbin, 12 are allowed")
    assert "/bin/sh (recipes/shell, package dash 0.5)" in problem


def test_further_names_of_one_file_do_not_count(tree: Tree) -> None:
    first = tree.entries["/sbin/p0"]
    tree.add(Entry("/sbin/p0-too", "hardlink", 0o755, WHY, first.size, first.sha256, target="/sbin/p0"))
    assert check(tree) == []


def test_a_program_elsewhere(tree: Tree, make_elf: MakeElf, put: Put) -> None:
    put(tree, "/usr/lib/udev/helper", make_elf(program=True))
    assert check(tree) == [
        "/usr/lib/udev/helper (recipes/some, package pkg 1.0) is a program outside of /bin and /sbin: "
        "leave it out of the recipe"
    ]


def test_an_x_bit_elsewhere_names_what_pulled_the_file_in(tree: Tree, make_elf: MakeElf, put: Put) -> None:
    put(tree, "/usr/lib/libb.so", make_elf(soname="libb.so"), mode=0o755)
    tree.want("/usr/lib/libb.so", "/bin/p1")
    (problem,) = check(tree)
    assert "has mode 0755" in problem
    assert "wanted by /bin/p1" in problem


def test_only_the_loader_that_programs_name_may_have_the_x_bit(tree: Tree, make_elf: MakeElf, put: Put) -> None:
    put(tree, "/usr/lib/ld-other.so", make_elf(soname="ld-other.so"), mode=0o755)
    assert interpreters(tree) == {LOADER}
    assert len(check(tree)) == 1


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o6755])
def test_set_id_bits(tree: Tree, mode: int) -> None:
    entry = tree.entries["/bin/p1"]
    tree.replace(Entry(entry.path, "file", mode, WHY, entry.size, entry.sha256, elf=entry.elf))
    assert f"has mode {mode:04o}" in check(tree)[0]


def test_file_capabilities(tree: Tree) -> None:
    entry = tree.entries["/bin/p1"]
    names = ("security.capability", "user.note")
    tree.replace(Entry(entry.path, "file", 0o755, WHY, entry.size, entry.sha256, elf=entry.elf, xattrs=names))
    assert ["carries file capabilities" in problem for problem in check(tree)] == [True]


def test_a_script(tree: Tree, put: Put) -> None:
    put(tree, "/usr/share/run.txt", b"#!/bin/sh\n")
    assert "is a script" in check(tree)[0]


def test_data_among_the_programs(tree: Tree, put: Put) -> None:
    put(tree, "/sbin/readme", b"text")
    assert any("/sbin/readme" in problem and "is no program" in problem for problem in check(tree))


def test_no_reason(tree: Tree, put: Put) -> None:
    put(tree, "/etc/odd", why=Why("", ""))
    assert check(tree) == ["/etc/odd has no reason to be here: let a recipe list it and say why, or take it out"]


def test_no_licence(tree: Tree, put: Put) -> None:
    put(tree, "/etc/odd", why=Why("some", "x", "pkg", "1.0"))
    assert "has no licence" in check(tree)[0]


def test_a_library_that_nothing_needs(tree: Tree, make_elf: MakeElf, put: Put) -> None:
    why = Why("libraries", "Compression.", "zlib1g", "1.3", "Zlib")
    put(tree, "/usr/lib/libz.so.1", make_elf(soname="libz.so.1"), why=why)
    assert "nobody can explain it" in check(tree)[0]
    tree.want("/usr/lib/libz.so.1", "/bin/p1")
    assert check(tree) == []


@pytest.mark.parametrize("target", ["/usr/lib/liba.so", "missing", "../etc/a.conf"])
def test_a_name_in_bin_that_is_no_program(tree: Tree, target: str) -> None:
    tree.add(Entry("/bin/odd", "link", 0o777, WHY, target=target))
    assert "points to" in check(tree)[0]


def test_all_problems_are_told_at_once(tree: Tree, put: Put) -> None:
    put(tree, "/usr/share/run.txt", b"#!/bin/sh\n", mode=0o755)
    put(tree, "/etc/odd", why=Why("", ""))
    with pytest.raises(BudgetError, match=r"3 problems") as caught:
        check_budget(tree, lambda entry: get_object(entry.sha256)[:2])
    assert str(caught.value).count("\n  - ") == 3


def test_links_are_followed_through_directories(tree: Tree) -> None:
    assert real_path("/lib64/ld.so", tree) == LOADER
    tree.add(Entry("/a", "link", 0o777, WHY, target="/a"))
    assert isinstance(real_path("/a/b", tree), str)

"""What recipes list by themselves, put into a tree."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dozen import __version__
from dozen.compose.contents import Sources, add_recipe
from dozen.compose.errors import RecipeError
from dozen.compose.objects import get_object
from dozen.compose.recipes import Binary, Data, Directory, Link, Recipe, Recipes
from dozen.compose.tree import Tree
from dozen.compose.unpack import Package

MakeElf = Callable[..., bytes]
MakePackage = Callable[..., Package]


@pytest.fixture
def compose(make_elf: MakeElf, make_package: MakePackage, tmp_path: Path) -> Callable[..., Tree]:
    files = {
        "usr/bin/tool": make_elf(program=True),
        "usr/bin/alias": "tool",
        "usr/lib/rules/1.rules": b'RUN+="/usr/sbin/dmsetup"\n',
        "usr/lib/rules/2.rules": b"plain\n",
        "usr/lib/rules/deep/3.rules": b"deep\n",
        "usr/share/certs/b.crt": b"B\n",
        "usr/share/certs/a.crt": b"A\n",
    }
    package = make_package("pkg", files)
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "os").write_text("V=@VERSION@\n")

    def run(**fields) -> Tree:
        recipe = Recipe("summary", "MIT", name="some", packages=("pkg",), **fields)
        tree = Tree()
        add_recipe(tree, recipe, Sources(Recipes(tmp_path, (recipe,), ""), {"pkg": package}, tmp_path, tmp_path))
        return tree

    return run


def test_a_binary_through_a_packages_link_and_its_other_names(compose: Callable[..., Tree]) -> None:
    binary = Binary("/sbin/tool", "usr/bin/alias", "Works.", hardlinks=("hard",), links=("soft",))
    tree = compose(binary=(binary,))
    entry = tree.entries["/sbin/tool"]
    assert (entry.mode, entry.why.package, entry.why.version) == (0o755, "pkg", "1.0-1")
    assert entry.elf is not None
    assert entry.elf.executable
    assert (tree.entries["/sbin/hard"].kind, tree.entries["/sbin/hard"].target) == ("hardlink", "/sbin/tool")
    assert (tree.entries["/sbin/soft"].kind, tree.entries["/sbin/soft"].target) == ("link", "tool")
    assert tree.entries["/sbin"].kind == "directory"


def test_a_glob_stays_in_its_directory(compose: Callable[..., Tree]) -> None:
    data = Data("/usr/lib/rules/", "Rules.", source="usr/lib/rules/*.rules", excluding=("*/2.rules",))
    assert [path for path in compose(data=(data,)).entries if path.endswith(".rules")] == ["/usr/lib/rules/1.rules"]


def test_joined_files_are_in_order_of_name(compose: Callable[..., Tree]) -> None:
    data = Data("/etc/all.crt", "All.", source="usr/share/certs/*.crt", join=True)
    assert get_object(compose(data=(data,)).entries["/etc/all.crt"].sha256) == b"A\nB\n"


def test_replacements_must_find_something(compose: Callable[..., Tree]) -> None:
    change = {"/usr/sbin/dmsetup": "/sbin/dmsetup"}
    tree = compose(data=(Data("/r/", "Rules.", source="usr/lib/rules/1.rules", replace=change),))
    assert get_object(tree.entries["/r/1.rules"].sha256) == b'RUN+="/sbin/dmsetup"\n'
    with pytest.raises(RecipeError, match=r"recipes/some: usr/lib/rules/2\.rules no longer holds"):
        compose(data=(Data("/r/", "Rules.", source="usr/lib/rules/2.rules", replace=change),))


def test_own_files_know_the_version(compose: Callable[..., Tree]) -> None:
    tree = compose(data=(Data("/etc/os-release", "Name.", own="os"),))
    assert get_object(tree.entries["/etc/os-release"].sha256) == f"V={__version__}\n".encode()


def test_what_a_package_no_longer_has_is_named(compose: Callable[..., Tree]) -> None:
    with pytest.raises(RecipeError, match=r"recipes/some wants usr/bin/gone of pkg 1\.0-1"):
        compose(binary=(Binary("/bin/gone", "usr/bin/gone", "Works."),))
    with pytest.raises(RecipeError, match="no such file"):
        compose(data=(Data("/x/", "Data.", source="usr/none/*"),))


def test_a_path_has_one_owner(compose: Callable[..., Tree]) -> None:
    with pytest.raises(RecipeError, match="/etc/a is contributed twice"):
        compose(link=(Link("/etc/a", "b", "One."), Link("/etc/a", "c", "Two.")))


def test_a_link_is_no_directory_as_well(compose: Callable[..., Tree]) -> None:
    with pytest.raises(RecipeError, match="/lib is contributed twice"):
        compose(link=(Link("/lib", "usr/lib", "Merged."),), directory=(Directory("/lib/modules", "Modules."),))

"""Choosing kernel modules. Modules are played by listings: what counts is what depends on what."""

import pytest

from dozen.compose.errors import RecipeError
from dozen.compose.kernel_modules import ModuleSet, add_module, in_load_order
from dozen.compose.objects import put_object
from dozen.compose.recipes import Recipe
from dozen.compose.tree import Tree
from dozen.compose.unpack import Package, PackageFile, read_modinfo

BASE = "usr/lib/modules/6.1"
RECIPE = Recipe("s", "GPL-2.0-only", name="linux")


@pytest.fixture
def modules() -> ModuleSet:
    def module(path: str, *depends: str, soft: str = "") -> PackageFile:
        return PackageFile(f"{BASE}/kernel/{path}.ko", 1, "00", depends=depends, softdep=(soft,) if soft else ())

    builtin = put_object(b"kernel/fs/ext4/ext4.ko\nkernel/drivers/virtio/virtio_pci.ko\n")
    files = (
        module("net/virtio_net", "net_failover"),
        module("net/net_failover", "failover"),
        module("net/failover"),
        module("net/xt_mark", "x_tables"),
        module("net/xt_comment", "x_tables"),
        module("net/x_tables"),
        module("fs/xfs", soft="pre: crypto-crc32c crc32c-intel"),
        module("crypto/crc32c-intel"),
        PackageFile(f"{BASE}/modules.builtin", 1, builtin),
    )
    return ModuleSet(Package("linux-image-6.1", "6.1", files))


def test_names_globs_and_both_spellings(modules: ModuleSet) -> None:
    assert modules.expand("xt_*", RECIPE) == ["xt_comment", "xt_mark"]
    assert modules.expand("crc32c_intel", RECIPE) == modules.expand("crc32c-intel", RECIPE) == ["crc32c_intel"]


def test_what_is_built_in_needs_no_file_and_what_is_unknown_is_named(modules: ModuleSet) -> None:
    assert modules.expand("ext4", RECIPE) == []
    with pytest.raises(RecipeError, match="recipes/linux wants the module e1000"):
        modules.expand("e1000", RECIPE)


def test_load_order_puts_needs_first_and_each_once(modules: ModuleSet) -> None:
    order = in_load_order(modules, "virtio_net", [])
    assert order == ["failover", "net_failover", "virtio_net"]
    assert in_load_order(modules, "virtio_net", ["failover"]) == ["net_failover", "virtio_net"]


def test_soft_dependencies_count_where_they_are_modules(modules: ModuleSet) -> None:
    assert in_load_order(modules, "xfs", []) == ["crc32c_intel", "xfs"]


def test_dependencies_come_along_and_know_for_whom(modules: ModuleSet) -> None:
    tree = Tree()
    add_module(tree, modules, "xt_mark", RECIPE, "Filtering.")
    add_module(tree, modules, "xt_comment", RECIPE, "Filtering.")
    needed = tree.entries[f"/{BASE}/kernel/net/x_tables.ko"]
    assert needed.wanted_by == (f"/{BASE}/kernel/net/xt_mark.ko", f"/{BASE}/kernel/net/xt_comment.ko")
    assert "others need" in needed.why.reason


def test_modinfo_of_no_module_is_empty(make_elf) -> None:
    assert read_modinfo(make_elf()) == {}

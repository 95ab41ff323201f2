"""Licence texts: every package that has a file in the image brings its copyright file along.

Licences ask for that, and it is what makes the licence column of the manifest checkable: an expression that a recipe
states must be made of licences that the package's own copyright file names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dozen.compose.contents import Sources, file_entry
from dozen.compose.errors import BudgetError, RecipeError
from dozen.compose.objects import get_object
from dozen.compose.tree import Tree, Why
from dozen.compose.unpack import Package, PackageFile, join_link
from dozen.compose.wheels import Wheel

FOLDER = "/usr/share/licenses"
TEXTS = re.compile(r"[^/]+\.dist-info/(licenses/)?.*(LICEN[CS]E|COPYING|NOTICE)[^/]*$", re.I)

# Debian's short names (the copyright format's list, and what packages use besides) for SPDX identifiers.
SHORT_NAMES = {
    "0BSD": ("0bsd",),
    "Apache-2.0": ("apache-2.0", "apache-2"),
    "Artistic-2.0": ("artistic-2",),
    "BSD-2-Clause": ("bsd-2-clause", "bsd-2"),
    "BSD-3-Clause": ("bsd-3-clause", "bsd-3", "bsd", "bsd-variant"),
    "GPL-2.0-only": ("gpl-2", "gpl-2.0"),
    "GPL-2.0-or-later": ("gpl-2+", "gpl-2.0+"),
    "LGPL-2.0-only": ("lgpl-2", "lgpl-2.0"),
    "LGPL-2.1-only": ("lgpl-2.1",),
    "LGPL-2.1-or-later": ("lgpl-2.1+", "lgpl-2+", "lgpl-2.0+"),
    "LicenseRef-public-domain": ("public-domain", "pd"),
    "MIT": ("expat", "mit"),
    "MIT-X11": ("x11", "mit/x11", "mit-x11"),
    "MPL-2.0": ("mpl-2.0",),
    "PSF-2.0": ("psf-2", "python"),
    "Zlib": ("zlib",),
}


def add_licences(tree: Tree, sources: Sources, wheels: list[Wheel]) -> None:
    """Add the texts of all contributing packages. Raises BudgetError when a recipe states what its package denies."""
    found: dict[str, Why] = {}
    stated: dict[str, set[str]] = {}
    for entry in tree.entries.values():
        if entry.kind == "file" and entry.why.package:
            found.setdefault(entry.why.package, entry.why)
            stated.setdefault(entry.why.package, set()).add(entry.why.licence)
    by_name = {package.name: package for package in sources.packages.values()}
    problems: list[str] = []
    for name, why in sorted(found.items()):
        reason = f"The licences of {name}, which ask to be kept with it."
        about = Why(why.recipe, reason, name, why.version, why.licence)
        if name in by_name:
            file = copyright_file(by_name[name], by_name)
            tree.add(file_entry(f"{FOLDER}/{name}/copyright", file, about))
            for licence in sorted(stated[name]):
                problems += check_licence(name, licence, get_object(file.sha256).decode(errors="replace"))
        for path, file in wheel_texts(wheels, name):
            tree.add(file_entry(f"{FOLDER}/{name}/{path}", file, about))
    if problems:
        raise BudgetError(problems)


def wheel_texts(wheels: list[Wheel], name: str) -> Iterator[tuple[str, PackageFile]]:
    """Licence files of a wheel, with their paths below its metadata."""
    files = (file for wheel in wheels if wheel.name == name for file in wheel.files)
    yield from ((file.path.partition("/")[2], file) for file in files if TEXTS.match(file.path))


def copyright_file(package: Package, by_name: dict[str, Package]) -> PackageFile:
    """A package's copyright file, which may be that of a sister package (its folder is a link then)."""
    folder = f"usr/share/doc/{package.name}"
    link = next((file for file in package.files if file.path == folder and file.target), None)
    if link is not None:
        sister = join_link(folder, link.target).rpartition("/")[2]
        if sister not in by_name:
            raise RecipeError(
                f"the licences of {package.name} are in the package {sister}: list it in `packages` of the same recipe"
            )
        return copyright_file(by_name[sister], by_name)
    return package.find(f"{folder}/copyright", f"the licence of {package.name}")


def check_licence(package: str, expression: str, text: str) -> Iterator[str]:
    """Problems with a stated licence; a copyright file that is not machine-readable is not judged."""
    named = {word.lower() for line in re.findall(r"(?m)^License:\s*(.+)$", text) for word in re.split(r"[\s,]+", line)}
    if not text.startswith("Format:") or not named:
        return
    for part in re.split(r"\s+(?:AND|OR)\s+", expression):
        plain = part.split(" WITH ")[0]
        options = SHORT_NAMES.get(plain, (plain.lower(), plain.lower().replace("-or-later", "+").replace(".0", "")))
        if not named.intersection((*options, plain.lower())):
            names = ", ".join(sorted(named - {"and", "or"}))
            yield f"{package} is stated to be {part}, but its copyright file names only {names}: correct its recipe"

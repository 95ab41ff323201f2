"""The budget: what an image must not hold. Checked on every build; there is no switch to turn it off.

The rules are the promise that the system makes: twelve programs, all in /bin and /sbin; nothing else that the kernel
would run; no way to more rights through a file; no scripts; nothing that nobody can explain.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator

from dozen.compose.errors import BudgetError
from dozen.compose.tree import Entry, Tree

LIMIT = 12
PLACES = ("/bin", "/sbin")
LIBRARIES = "libraries"

ReadStart = Callable[[Entry], bytes]


def check_budget(tree: Tree, read_start: ReadStart) -> None:
    """Raises BudgetError with every problem. ``read_start`` gives the first two bytes of a file's content."""
    problems = [*check_count(tree)]
    loaders = interpreters(tree)
    for entry in tree.sorted():
        problems += check_rights(entry, tree)
        problems += check_reason(entry)
        if entry.kind == "file":
            problems += check_place(entry, tree, loaders)
            if read_start(entry) == b"#!":
                problems.append(f"{about(entry, tree)} is a script (it starts with #!): nothing here could run it")
        elif entry.kind == "link" and posixpath.dirname(entry.path) in PLACES:
            problems += check_link(entry, tree)
    if problems:
        raise BudgetError(problems)


def about(entry: Entry, tree: Tree) -> str:
    """A file with its origin: which recipe and package, and what pulled it in."""
    why = entry.why
    origin = f"recipes/{why.recipe}" + (f", package {why.package} {why.version}" if why.package else "")
    pulled = f", wanted by {', '.join(entry.wanted_by[:3])}" if entry.wanted_by else ""
    return f"{entry.path} ({origin}{pulled})"


def binaries(tree: Tree) -> list[Entry]:
    """The unique programs in /bin and /sbin: hard links and symbolic links are further names of one."""
    return [entry for entry in tree.sorted() if entry.kind == "file" and posixpath.dirname(entry.path) in PLACES]


def interpreters(tree: Tree) -> set[str]:
    """Paths of the dynamic loaders that the programs name, through the tree's links."""
    programs = [entry.elf for entry in tree.entries.values() if entry.elf and entry.mode & 0o111]
    named = {program.interpreter for program in programs if program.interpreter}
    return {real_path(path, tree) for path in named}


def real_path(path: str, tree: Tree) -> str:
    """Follow symbolic links within the tree; gives the path as far as it got."""
    done = ""
    rest = [part for part in path.split("/") if part]
    for _ in range(64):
        if not rest:
            break
        part = rest.pop(0)
        done = posixpath.normpath(f"{done}/{part}")
        entry = tree.entries.get(done)
        if entry is not None and entry.kind == "link":
            base = "" if entry.target.startswith("/") else posixpath.dirname(done).rstrip("/")
            rest = [word for word in entry.target.split("/") if word] + rest
            done = base
    return done


def check_count(tree: Tree) -> Iterator[str]:
    found = binaries(tree)
    unique = {entry.sha256 for entry in found}
    if len(unique) > LIMIT:
        names = "; ".join(about(entry, tree) for entry in found)
        yield f"{len(unique)} programs in /bin and /sbin, {LIMIT} are allowed; take one out of its recipe: {names}"


def check_place(entry: Entry, tree: Tree, loaders: set[str]) -> Iterator[str]:
    in_place = posixpath.dirname(entry.path) in PLACES
    runs = entry.elf is not None and entry.elf.executable
    if in_place and not (runs and entry.mode & 0o111):
        yield f"{about(entry, tree)} is no program: /bin and /sbin hold programs only, move it below /usr"
    if in_place or entry.path in loaders:
        return
    if runs:
        yield f"{about(entry, tree)} is a program outside of /bin and /sbin: leave it out of the recipe"
    elif entry.mode & 0o111:
        yield f"{about(entry, tree)} has mode {entry.mode:04o}, but only /bin and /sbin hold executables: make it 0644"


def check_rights(entry: Entry, tree: Tree) -> Iterator[str]:
    if entry.mode & 0o6000:
        yield f"{about(entry, tree)} has mode {entry.mode:04o}: no file here is set-user-id or set-group-id"
    for name in entry.xattrs:
        if name == "security.capability":
            yield f"{about(entry, tree)} carries file capabilities: no file here gives rights to who runs it"


def check_reason(entry: Entry) -> Iterator[str]:
    if not entry.why.recipe or not entry.why.reason:
        yield f"{entry.path} has no reason to be here: let a recipe list it and say why, or take it out"
    elif entry.kind == "file" and not entry.why.licence:
        yield f"{entry.path} (recipes/{entry.why.recipe}) has no licence: say it in the recipe"
    elif entry.elf is not None and entry.why.recipe == LIBRARIES and not entry.wanted_by:
        yield f"{entry.path} ({entry.why.package}) is a library that nothing needs: nobody can explain it"


def check_link(entry: Entry, tree: Tree) -> Iterator[str]:
    target = real_path(entry.path, tree)
    if posixpath.dirname(target) not in PLACES or target not in tree.entries:
        yield f"{about(entry, tree)} points to {entry.target}, which is no program in /bin or /sbin"

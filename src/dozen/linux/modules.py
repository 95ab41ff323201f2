"""Kernel modules: which there are, which are loaded, and loading one with all that it depends on.

depmod wrote down, beside the modules, what each one needs (``modules.dep``), by which other names the kernel may ask
for it (``modules.alias``) and which ones are part of the kernel already (``modules.builtin``). The kernel itself loads
modules by running /sbin/modprobe; this module spares PID 1 from starting a program for those that it wants itself.

A module's name has underscores where its file may have dashes. Files may be compressed, as Debian's are: the kernel
unpacks them if it was built to (``MODULE_DECOMPRESS``), else we do.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable

import msgspec

LOADED = "/proc/modules"
COMPRESSED = (".xz", ".zst", ".gz")
MODULE_INIT_COMPRESSED_FILE = 4  # finit_module(2)

Insert = Callable[[int, str, int], None]  # descriptor, parameters, flags


class UnknownModule(LookupError):
    """No module of this name is installed."""


class LoadError(OSError):
    """The kernel, or the file, refused; ``errno`` says why and ``filename`` which file."""


class LoadedModule(msgspec.Struct, frozen=True):
    """A line of /proc/modules. ``state`` is ``Live``, ``Loading`` or ``Unloading``; ``size`` is bytes."""

    name: str
    size: int
    references: int
    users: tuple[str, ...]
    state: str
    address: str


class ModuleIndex:
    """The modules installed for one kernel, below ``directory``; its files are read when they are first needed."""

    def __init__(self, directory: str = "") -> None:
        self.directory = directory or f"/lib/modules/{os.uname().release}"
        self._files: dict[str, tuple[str, tuple[str, ...]]] | None = None
        self._builtin: frozenset[str] | None = None
        self._aliases: tuple[tuple[str, str], ...] | None = None

    def load_order(self, name: str) -> list[str]:
        """Files to load, dependencies first; empty when it is built in. Raises `UnknownModule`."""
        found = self._find(normalize_name(name))
        if found is None:
            if normalize_name(name) in self.builtin():
                return []
            raise UnknownModule(f"no kernel module {name!r} in {self.directory}")
        file, needs = found
        # depmod lists the nearest dependency first, so the farthest is loaded first
        return [f"{self.directory}/{path}" for path in (*reversed(needs), file)]

    def builtin(self) -> frozenset[str]:
        """Names of the modules that are part of the kernel."""
        if self._builtin is None:
            lines = self._read("modules.builtin").splitlines()
            self._builtin = frozenset(module_name(line) for line in lines)
        return self._builtin

    def names(self) -> frozenset[str]:
        """Names of the modules that have a file."""
        return frozenset(self._index())

    def _find(self, name: str) -> tuple[str, tuple[str, ...]] | None:
        found = self._index().get(name)
        if found is None:
            real = self._resolve_alias(name)
            found = self._index().get(real) if real else None
        return found

    def _resolve_alias(self, name: str) -> str:
        from fnmatch import fnmatchcase

        if self._aliases is None:
            self._aliases = tuple(parse_aliases(self._read("modules.alias")))
        return next((real for pattern, real in self._aliases if fnmatchcase(name, pattern)), "")

    def _index(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        if self._files is None:
            self._files = parse_dependencies(self._read("modules.dep"))
        return self._files

    def _read(self, file: str) -> str:
        try:
            with open(f"{self.directory}/{file}", encoding="utf-8") as stream:
                return stream.read()
        except FileNotFoundError:
            return ""


def normalize_name(name: str) -> str:
    """The kernel's spelling of a module's name."""
    return name.replace("-", "_")


def module_name(path: str) -> str:
    """The name of the module that a file holds."""
    return normalize_name(os.path.basename(path.strip()).split(".ko", 1)[0])


def parse_dependencies(text: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """modules.dep: name → (file, files that it needs, the nearest first)."""
    index = {}
    for line in text.splitlines():
        file, colon, needs = line.partition(":")
        if colon:
            index[module_name(file)] = (file, tuple(needs.split()))
    return index


def parse_aliases(text: str) -> Iterable[tuple[str, str]]:
    """modules.alias: (pattern, name) in order."""
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[0] == "alias":
            yield normalize_name(words[1]), normalize_name(words[2])


def parse_loaded(text: str) -> list[LoadedModule]:
    """The lines of /proc/modules; broken ones are left out."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 6 or not words[1].isdecimal():
            continue
        users = tuple(name for name in words[3].split(",") if name and name != "-")
        references = int(words[2]) if words[2].isdecimal() else 0  # "-" where modules cannot be unloaded
        found.append(LoadedModule(words[0], int(words[1]), references, users, words[4], words[5]))
    return found


def list_loaded(path: str = LOADED) -> list[LoadedModule]:
    """The modules in the kernel now; none where the kernel has no modules at all."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return parse_loaded(file.read())
    except FileNotFoundError:
        return []


def load(
    name: str,
    parameters: Iterable[str] = (),
    *,
    index: ModuleIndex | None = None,
    insert: Insert | None = None,
) -> None:
    """Load a module and what it needs; parameters are for itself. Raises `UnknownModule` or `LoadError`.

    One that is loaded already, or built in, is fine.
    """
    files = (index or ModuleIndex()).load_order(name)
    if not files:
        return
    present = {module.name for module in list_loaded()}
    for file in files[:-1]:
        if module_name(file) not in present:
            _insert_file(file, "", insert or _insert)
    if module_name(files[-1]) not in present:
        _insert_file(files[-1], " ".join(parameters), insert or _insert)


def _insert(descriptor: int, parameters: str, flags: int) -> None:
    from dozen.linux.sys import finit_module

    finit_module(descriptor, parameters, flags)


def _insert_file(file: str, parameters: str, insert: Insert) -> None:
    compressed = file.endswith(COMPRESSED)
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            insert(descriptor, parameters, MODULE_INIT_COMPRESSED_FILE if compressed else 0)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno == errno.EEXIST:
            return
        if compressed and error.errno in (errno.EOPNOTSUPP, errno.EINVAL):
            _insert_unpacked(file, parameters, insert)
            return
        raise LoadError(error.errno, os.strerror(error.errno or 0), file) from error


def _insert_unpacked(file: str, parameters: str, insert: Insert) -> None:
    """For kernels that do not unpack: through a file in memory, as finit_module wants a descriptor."""
    try:
        data = _unpack(file)
        descriptor = os.memfd_create(os.path.basename(file))
        try:
            os.write(descriptor, data)
            insert(descriptor, parameters, 0)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno != errno.EEXIST:
            raise LoadError(error.errno, os.strerror(error.errno or 0), file) from error


def _unpack(file: str) -> bytes:
    with open(file, "rb") as stream:
        data = stream.read()
    if file.endswith(".xz"):
        import lzma

        try:
            return lzma.decompress(data)
        except lzma.LZMAError as error:
            raise OSError(errno.EBADMSG, str(error)) from None
    if file.endswith(".gz"):
        import zlib

        try:
            return zlib.decompress(data, wbits=31)
        except zlib.error as error:
            raise OSError(errno.EBADMSG, str(error)) from None
    # Python has no zstd before 3.14, and kernels with zstd modules unpack them
    raise OSError(errno.EOPNOTSUPP, "neither the kernel nor we can unpack it")

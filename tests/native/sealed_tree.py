"""A small root file system around the real launcher, for tests that need no more of the image than that.

It holds /sbin/init under all its names, the libraries it needs, the standard library as bytecode, and `seal/main.py` in
the place of the node's program. Each run sees it read-only in a mount namespace of its own, with a writable /var that
holds what an intruder might have left there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dozen.compose import launcher, toolroot
from dozen.compose.bundle import make_bundle
from dozen.compose.namespaces import in_namespaces

HERE = Path(__file__).resolve().parent / "seal"
NAMES = ("wrapperd", "apid", "dashboard", "poweroff", "shutdown", "stranger")
LIBRARIES = ("libpython3.13.so.1.0", "libc.so.6", "libm.so.6", "libz.so.1", "libexpat.so.1", "libffi.so.8")
TRIPLET = "usr/lib/x86_64-linux-gnu"

# $root, $var and $before are set by the caller. The view is put together in a fresh mount namespace.
VIEW = """
set -e
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount --bind "$var" "$root/var"
mount -t tmpfs tmpfs "$root/dev"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/urandom" c 1 9
mknod -m 666 "$root/dev/full" c 1 7
eval "$before"
cd "$root"
exec "$@"
"""


@dataclass(frozen=True, slots=True)
class SealedTree:
    root: Path
    var: Path

    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        before: str = "",
        stdin: bytes = b"",
        namespaces: Sequence[str] = ("--uts",),
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program of the tree. ``before``: shell text run in the view first, with $root at hand."""
        settings = [f"{name}={value}" for name, value in (environment or {}).items()]
        # env is the host's: the variables must reach the program, not the chroot that starts it.
        return subprocess.run(
            [
                *(*in_namespaces(*namespaces), "sh", "-c", VIEW, "view"),
                *("python3", "-c", ENTER, str(self.root), *settings, "--", *argv),
            ],
            env={**os.environ, "root": str(self.root), "var": str(self.var), "before": before},
            input=stdin,
            capture_output=True,
            timeout=timeout,
            check=False,
        )


ENTER = """
import os, sys
split = sys.argv.index("--")
os.chroot(sys.argv[1])
os.chdir("/")
program = sys.argv[split + 1:]
os.execve(program[0], program, dict(word.split("=", 1) for word in sys.argv[2:split]))
"""


def build_tree(directory: Path) -> SealedTree:
    """Assemble the tree below ``directory``; compiles the launcher when its sources changed."""
    tools = toolroot.ensure()
    tree = SealedTree(directory / "root", directory / "var")
    for name in ("sbin", "dev", "proc", "var", "tmp", "lib64", "usr/lib/dozen/dozen/node", TRIPLET):
        (tree.root / name).mkdir(parents=True)
    (tree.root / "lib").symlink_to("usr/lib")
    built = launcher.build(tools, directory / "launcher")
    shutil.copy2(built.init, tree.root / "sbin/init")
    for name in NAMES:
        (tree.root / "sbin" / name).hardlink_to(tree.root / "sbin/init")
    for name in LIBRARIES:
        shutil.copy2(tools.path / TRIPLET / name, tree.root / TRIPLET / name)
    shutil.copy2(tools.path / TRIPLET / "ld-linux-x86-64.so.2", tree.root / "lib64/ld-linux-x86-64.so.2")
    shutil.copytree(tools.path / "usr/lib/python3.13", tree.root / "usr/lib/python3.13", symlinks=True)
    program = tree.root / "usr/lib/dozen/dozen"
    for name in ("__init__.py", "node/__init__.py"):
        (program / name).write_text("")
    shutil.copy2(HERE / "main.py", program / "node/main.py")
    for name in ("late.py", "later.py"):
        (program.parent / name).write_text("")
    _compile(tools, tree)
    _leave_traps(tools, tree)
    return tree


def _compile(tools: toolroot.ToolRoot, tree: SealedTree) -> None:
    tools.run(
        [
            *("python3.13", "-OO", "-m", "compileall", "-b", "-q", "--invalidation-mode", "unchecked-hash"),
            *("-s", "/tmp", "-p", "/usr", "/tmp/lib/python3.13", "/tmp/lib/dozen"),
        ],
        {tree.root / "usr/lib": "/tmp/lib"},
    )
    for source in (tree.root / "usr/lib").rglob("*.py"):
        source.unlink()
    _bundle(tree.root / "usr/lib/python3.13", "stdlib", keep=())
    # One is left as a file of its own: the importer of single files is there as well.
    _bundle(tree.root / "usr/lib/dozen", "dozen", keep=("late.pyc",))
    _compile_probe(tools, tree.root / "usr/lib/dozen")


def _compile_probe(tools: toolroot.ToolRoot, folder: Path, *options: str) -> None:
    argv = ["gcc-14", "-shared", "-fPIC", "-I/usr/include/python3.13", *options, "/tmp/seal/probe.c"]
    tools.run([*argv, "-o", "/tmp/out/probe.so"], {folder: "/tmp/out", HERE: "/tmp/seal"})


def _bundle(folder: Path, name: str, keep: tuple[str, ...]) -> None:
    files = [path for path in folder.rglob("*.pyc") if path.name not in keep]
    modules = {path.relative_to(folder).as_posix()[:-1]: path.read_bytes() for path in files}
    (folder / f"{name}.bundle").write_bytes(make_bundle(modules))
    for path in files:
        path.unlink()


def _leave_traps(tools: toolroot.ToolRoot, tree: SealedTree) -> None:
    """What an intruder might leave in /var; each says ``came in`` when it runs."""
    tree.var.mkdir()
    for name in ("evil", "sitecustomize", "usercustomize", "os", "encodings"):
        (tree.var / f"{name}.py").write_text("print('came in')\n")
    tools.run(["python3.13", "-m", "compileall", "-b", "-q", "/tmp/var"], {tree.var: "/tmp/var"})
    tools.run(["python3.13", "-m", "zipfile", "-c", "/tmp/var/evil.zip", "/tmp/var/evil.py"], {tree.var: "/tmp/var"})
    _compile_probe(tools, tree.var, "-DTRAP")

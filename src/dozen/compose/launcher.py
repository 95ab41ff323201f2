"""Compiles ``launcher/``: /sbin/init, which embeds CPython, and the static stage 1 of the initramfs.

The compiler and Python's headers are the toolroot's, the sources appear at a fixed path inside it, and nothing of the
time or the machine goes into the result: the same sources and lock give the same bits anywhere.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from dozen.compose.cache import cache_dir, fresh_directory, hash_sources, stage_key
from dozen.compose.toolroot import ToolRoot

SOURCES = Path(__file__).resolve().parents[3] / "launcher"
INSIDE_SOURCES = "/tmp/launcher"
INSIDE_RESULT = "/tmp/result"
COMPILER = "gcc-14"

WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Wstrict-prototypes", "-Wvla", "-Werror")
HARDENING = (
    "-D_FORTIFY_SOURCE=3",
    "-fstack-protector-strong",
    "-fstack-clash-protection",
    "-fcf-protection",
    "-ftrivial-auto-var-init=zero",
)
REPRODUCIBLE = (f"-ffile-prefix-map={INSIDE_SOURCES}=launcher", "-Wl,--build-id=none", "-Wdate-time")
SEALED_LINK = ("-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack", "-Wl,-z,separate-code", "-s")

INIT_SOURCES = ("bundle.c", "console.c", "crypto.c", "init.c", "module.c", "seal.c", "wrapperd.c")
STAGE1_SOURCES = ("console.c", "stage1.c")


@dataclass(frozen=True, slots=True)
class Launcher:
    """The two programs, as files on the build machine."""

    init: Path
    stage1: Path


def compile_commands() -> list[list[str]]:
    """What is run in the toolroot, in order; paths are the toolroot's."""
    common = [COMPILER, "-std=gnu17", *WARNINGS, *HARDENING, *REPRODUCIBLE, *SEALED_LINK]
    init = [
        *common,
        *("-O2", "-fPIE", "-pie", "-fvisibility=hidden", "-I/usr/include/python3.13"),
        *(f"{INSIDE_SOURCES}/{name}" for name in INIT_SOURCES),
        *("-o", f"{INSIDE_RESULT}/init", "-lpython3.13"),
    ]
    stage1 = [
        *common,
        *("-Os", "-static-pie", "-fPIE", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"),
        *(f"{INSIDE_SOURCES}/{name}" for name in STAGE1_SOURCES),
        *("-o", f"{INSIDE_RESULT}/stage1"),
    ]
    return [init, stage1]


def build(toolroot: ToolRoot, out_dir: Path, sources: Path = SOURCES) -> Launcher:
    """Compile, or take the result of an earlier compilation of the same sources, and copy it to ``out_dir``.

    Raises ToolError with the compiler's words.
    """
    commands = compile_commands()
    words = [word for command in commands for word in command]
    key = stage_key("launcher", toolroot.key, hash_sources(sources, ("*.c", "*.h")), *words)
    result = cache_dir() / "launcher" / key[:32]
    if not result.is_dir():
        with fresh_directory(result) as directory:
            binds = {sources: INSIDE_SOURCES, directory: INSIDE_RESULT}
            for command in commands:
                toolroot.run(command, binds)
    out_dir.mkdir(parents=True, exist_ok=True)
    launcher = Launcher(out_dir / "init", out_dir / "stage1")
    for program in (launcher.init, launcher.stage1):
        shutil.copyfile(result / program.name, program)
        program.chmod(0o755)
    return launcher

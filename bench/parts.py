"""Measures what needs no machine: sizes, composing, the client's start, the engine, the API natively."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from dozen.compose.cache import cache_dir
from dozen.compose.image import Image

TOP = Path(__file__).resolve().parents[1]
CHECKOUT = ("src", "recipes", "components", "images", "requirements", "launcher", "api", "pyproject.toml")
# What a build takes from outside, and the Go programs, which are built once and take the toolchain minutes.
KEPT = ("downloads", "go", "components")
CHANGED = "src/dozen/node/main.py"
HELP_GOAL = 150  # milliseconds


def with_bytecode() -> dict[str, str]:
    """This environment with what Python compiles kept, as it is for people, whatever is said here about that."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(TOP / "build" / "bytecode")}


def run(command: list[str], top: Path = TOP, **environ: str) -> tuple[float, str]:
    """Seconds and standard output. Raises RuntimeError with what was said when the command fails."""
    start = time.monotonic()
    done = subprocess.run(
        command,
        cwd=top,
        env={**with_bytecode(), "PYTHONPATH": str(top / "src"), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - start
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr.strip()[-400:]}")
    return seconds, done.stdout


def measure_sizes(image: Image) -> dict[str, float]:
    """MB (10^6 bytes) of each artefact."""
    parts = {"root file system": image.rootfs, "initramfs": image.initramfs, "kernel": image.vmlinuz}
    return {name: round(part.size / 1e6, 1) for name, part in parts.items()}


def copy_checkout(top: Path) -> None:
    """All that an image is made from, as it is here, committed or not."""
    top.mkdir(parents=True)
    for part in CHECKOUT:
        source = TOP / part
        if source.is_dir():
            shutil.copytree(source, top / part, symlinks=True)
        else:
            shutil.copy2(source, top / part)


def build_in(top: Path, **environ: str) -> float:
    """Seconds that the development image took in this checkout."""
    seconds, _ = run([sys.executable, "-m", "dozen.compose", "--quiet", "build"], top, **environ)
    return seconds


def measure_compose() -> dict[str, float]:
    """Seconds to compose the development image in a checkout of its own: with nothing but downloads and
    the programs built from Go, with nothing to do, and with one of our files changed."""
    with tempfile.TemporaryDirectory(prefix="dozen-bench-", dir=cache_dir().parent) as scratch:
        top, cache = Path(scratch) / "checkout", Path(scratch) / "cache" / "dozen"
        copy_checkout(top)
        cache.mkdir(parents=True)
        for name in KEPT:
            (cache / name).symlink_to(cache_dir() / name)
        environ = {"XDG_CACHE_HOME": str(cache.parent)}
        cold = build_in(top, **environ)
        same = statistics.median(build_in(top, **environ) for _ in range(3))
        with (top / CHANGED).open("a") as file:
            file.write("\n# changed\n")
        changed = build_in(top, **environ)
    return {"from cached downloads and Go programs": cold, "nothing changed": same, "one file changed": changed}


def measure_client() -> dict[str, float | str]:
    """Milliseconds of ``dozenctl --help`` (median and worst of eleven, the first, which fills caches, left out), and of
    the help of every command (medians of three)."""
    from dozen.cli.main import COMMANDS

    command = [sys.executable, "-m", "dozen.cli"]
    times = [run([*command, "--help"])[0] * 1000 for _ in range(12)][1:]
    helps = {
        name: round(statistics.median(run([*command, name, "--help"])[0] * 1000 for _ in range(3))) for name in COMMANDS
    }
    slow = sorted((name for name, took in helps.items() if took > HELP_GOAL), key=lambda name: -helps[name])
    return {
        "median": round(statistics.median(times)),
        "worst": round(max(times)),
        f"help of each of {len(helps)} commands: median": round(statistics.median(helps.values())),
        "help of each command: worst": f"{max(helps.values())} ({max(helps, key=lambda name: helps[name])})",
        f"commands whose help takes more than {HELP_GOAL}": ", ".join(f"{name} {helps[name]}" for name in slow) or 0,
    }


def measure_script(name: str) -> dict[str, Any]:
    """What a benchmark script of its own says: the last line of its output is one JSON object, or all of it is."""
    _, printed = run([sys.executable, "-m", f"bench.{name}"])
    try:
        figures = json.loads(printed)
    except ValueError:
        figures = json.loads(printed.strip().splitlines()[-1])
    return dict(figures)

"""`make fuzz`: looks for inputs that break a decoder, for a bounded time over all targets together.

Each target is fuzzed in a process of its own, as many at once as there are processors, by atheris (requirements/
fuzz.txt), which changes inputs so that they reach code that none has reached before. What it found on the way is kept
in build/fuzz, where the next run goes on. A crash is shown with its input; put that into ``corpus/NAME/`` under a name
that says what is wrong, and mend the decoder.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fuzz.targets import MODULES, TARGETS

WORK = Path("build/fuzz")
# An input that takes longer than this (seconds), or more memory (MiB), is a crash too: somebody else chose it.
SLOWEST, LARGEST = 10, 1024
LONGEST_INPUT = 16384
# What a process needs until it fuzzes, and the least that is worth that (seconds).
START, LEAST = 2.5, 1.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description="Fuzz the decoders.")
    parser.add_argument("names", nargs="*", metavar="TARGET", help=f"some of: {', '.join(TARGETS)} (all)")
    parser.add_argument("--seconds", type=float, default=60.0, help="for all of them together (60)")
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(TARGETS))
    if unknown:
        parser.error(f"there is no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    names = given.names or list(TARGETS)
    at_once = min(len(names), os.cpu_count() or 1)
    print(f"fuzzing {len(names)} decoders for {given.seconds:.0f} s, {at_once} at once", flush=True)
    waiting, ends, failed = list(names), time.monotonic() + given.seconds, []

    def work() -> None:
        while waiting:
            share = (ends - time.monotonic()) * at_once / len(waiting) - START
            name = waiting.pop(0)
            if run(name, max(LEAST, share)):
                failed.append(name)

    with ThreadPoolExecutor(at_once) as pool:
        for each in [pool.submit(work) for _ in range(at_once)]:
            each.result()
    print(f"{len(failed)} of {len(names)} decoders broke{': ' + ', '.join(failed) if failed else ''}")
    return 1 if failed else 0


def run(name: str, seconds: float) -> bool:
    """Fuzz one target in another process; whether it broke."""
    before = time.time()
    kept, given, crashes = WORK / "found" / name, WORK / "seeds" / name, WORK / "crashes" / name
    for folder in (kept, given, crashes):
        folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(TARGETS[name].inputs()):
        (given / str(number)).write_bytes(data)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "fuzz.worker", MODULES[name], name),
            *(str(kept), str(given)),
            f"-max_total_time={max(1, round(seconds))}",
            f"-timeout={SLOWEST}",
            f"-rss_limit_mb={LARGEST}",
            f"-max_len={LONGEST_INPUT}",
            f"-artifact_prefix={crashes}/",
            *("-print_final_stats=1", "-verbosity=0"),
        ],
        capture_output=True,
        text=True,
        errors="replace",
    )
    said = done.stdout + done.stderr
    tried = next((line.split()[-1] for line in said.splitlines() if "number_of_executed_units" in line), "?")
    print(f"  {name:20} {tried:>9} inputs  {'ok' if done.returncode == 0 else 'BROKE'}", flush=True)
    if done.returncode != 0:
        print(
            "".join(f"    {line}\n" for line in explain(name, crashes, before) or said.splitlines()[-20:]), flush=True
        )
    return done.returncode != 0


def explain(name: str, crashes: Path, since: float) -> list[str]:
    """What to tell about the inputs that a run kept: where each is, and what the decoder raises for it."""
    lines = []
    for path in sorted(crashes.iterdir()):
        if path.stat().st_mtime < since - 1:
            continue
        lines.append(f"{path}: {path.read_bytes()[:200]!r}")
        if path.name.startswith("crash-"):
            try:
                TARGETS[name].take(path.read_bytes())
            except Exception:  # noqa: BLE001 (whatever it is, it is what is looked for)
                lines += traceback.format_exc().splitlines()
    return lines


if __name__ == "__main__":
    sys.exit(main())

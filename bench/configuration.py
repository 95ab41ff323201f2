"""How long a machine configuration of two thousand lines takes to be read and checked. Prints JSON.

PYTHONPATH=src python -m bench.configuration
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable

from dozen.machinery import yaml
from dozen.machinery.config import generate, load
from dozen.machinery.config.patches import patch, read_patch
from dozen.machinery.config.support import warnings

LINES, RUNS = 2000, 11


def make_text() -> str:
    """A control plane's configuration with many interfaces, each of eleven lines."""
    base = generate("bench", "https://10.0.0.1:6443").controlplane
    interfaces = [
        {
            "interface": f"eth{number}",
            "addresses": [f"10.{number}.0.1/24", f"fd00:{number:x}::1/64"],
            "mtu": 1400,
            "routes": [
                {"network": f"172.16.{number}.0/24", "gateway": f"10.{number}.0.254", "metric": 100},
                {"network": f"172.17.{number}.0/24", "gateway": f"10.{number}.0.253"},
            ],
        }
        for number in range(1, 200)
    ]
    text = ""
    for count in range(len(interfaces), 0, -1):
        said = yaml.dump({"machine": {"network": {"interfaces": interfaces[:count]}}})
        text = patch(base, [read_patch(said)])
        if text.count("\n") <= LINES:
            return text
    return text


def median_of(work: Callable[[], object]) -> float:
    """Milliseconds; the first run, which imports, is left out."""
    times = []
    for _ in range(1 + RUNS):
        begun = time.perf_counter()
        work()
        times.append((time.perf_counter() - begun) * 1e3)
    return round(statistics.median(times[1:]), 1)


def main() -> int:
    text = make_text()
    config = load(text)
    figures = {
        "lines": text.count("\n"),
        "YAML alone, ms": median_of(lambda: yaml.load_documents(text)),
        "decoded and validated, ms": median_of(lambda: load(text)),
        "warnings of what is ignored, ms": median_of(lambda: warnings(config)),
        "python": platform.python_version(),
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

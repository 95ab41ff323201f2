"""``python -m bench [--count N] [--only PART,...]``: measures, and writes docs/benchmarks.md.

A part that fails is reported in its place; the rest goes on. With ``--only`` the page keeps the other parts' figures
of the last run on this checkout (build/bench.json).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import traceback
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from bench import boots, clusters, debian, kubeadm, page, parts
from bench.ablations import ABLATIONS, built_without
from bench.boots import say
from bench.debian import DebianSystem
from dozen.compose.build import build_image
from dozen.compose.image import Image
from dozen.provider import accelerator
from dozen.provider.cluster import cache_folder
from dozen.provider.emulator import find_emulator
from dozen.provider.machines import BootImage
from dozen.provider.qemu import Qemu

TOP = parts.TOP
PARTS = (
    "client",
    "configuration",
    "engine",
    "rpc",
    "native",
    "compose",
    "dev",
    "release",
    "debian",
    "cluster",
    "kubeadm",
    *(f"without-{name}" for name in ABLATIONS),
)


class Bench:
    """One run. Each part's method returns what goes into the results under its name."""

    def __init__(self, count: int) -> None:
        self.count, self.cache = count, cache_folder(os.environ)
        self.work = self.cache / "bench" / "work"
        self.work.mkdir(parents=True, exist_ok=True)
        self.provider = Qemu(self.cache, os.environ.get("DOZEN_ACCELERATOR"))

    def client(self) -> Any:
        return parts.measure_client()

    def engine(self) -> Any:
        return parts.measure_script("engine")

    def configuration(self) -> Any:
        return parts.measure_script("configuration")

    def native(self) -> Any:
        return parts.measure_script("native")

    def rpc(self) -> Any:
        return parts.measure_script("rpc")

    def compose(self) -> Any:
        return parts.measure_compose()

    def dev(self) -> Any:
        return self._dozen(build_image("dev"))

    def release(self) -> Any:
        return self._dozen(build_image("release"))

    def _dozen(self, image: Image) -> Any:
        first, later = asyncio.run(
            boots.boot_dozen(self.provider, BootImage.load(Path(image.directory)), self.work, self.count)
        )
        return {
            **asdict(boots.medians(later)),
            "first boot": asdict(first),
            "kernel": image.kernel_version,
            "root file system, MB": parts.measure_sizes(image)["root file system"],
            "names in the folders of PATH": image.names,
        }

    def debian(self) -> Any:
        system = self._debian()
        kernel = self._debian_kernel(system)
        measured = asyncio.run(
            boots.boot_debian(self.provider, kernel, Path(system.initramfs), Path(system.disk), self.work, self.count)
        )
        return {
            **asdict(boots.medians(measured)),
            "kernel": version_of(Path(system.kernel)),
            "root file system, MB": round(system.size_mib * 2**20 / 1e6),
            "names in the folders of PATH": system.names,
            "listed": system.listed,
            "packages": system.packages,
            "release": system.release,
        }

    def cluster(self) -> Any:
        built = build_image("dev")
        image = BootImage.load(Path(built.directory))
        measured = asyncio.run(clusters.boot_cluster(self.provider, image, self.work, self.count))
        return {**asdict(boots.medians(measured)), "boots": self.count, "kernel": built.kernel_version}

    def kubeadm(self) -> Any:
        base = self._debian()
        system = kubeadm.build(self.cache, base, say)
        kernel = self._debian_kernel(base)
        measured = asyncio.run(
            clusters.boot_kubeadm(self.provider, kernel, Path(base.initramfs), system, self.work, self.count)
        )
        return {**asdict(boots.medians(measured)), "boots": self.count, "kernel": version_of(Path(base.kernel))}

    def without(self, name: str) -> Any:
        """Booted once: what it costs is seen in processor time, which varies less than the clock."""
        say(ABLATIONS[name].title)
        with built_without(ABLATIONS[name]) as folder:
            measured = asyncio.run(clusters.boot_cluster(self.provider, BootImage.load(folder), self.work, 1))
        return asdict(boots.medians(measured))

    def part(self, name: str) -> Callable[[], Any]:
        """What measures the part of that name."""
        kind, _, what = name.partition("-")
        return partial(self.without, what) if what else getattr(self, kind)

    def _debian(self) -> DebianSystem:
        return debian.build(self.cache, build_image("dev").kernel_version, say)

    @staticmethod
    def _debian_kernel(system: DebianSystem) -> Path:
        """The same kernel for both, in the form that starts fastest, if it is the same version."""
        image = build_image("dev")
        kernel = Path(system.kernel)
        if version_of(kernel) == image.kernel_version:
            return image.path(image.vmlinux)
        say(f"Debian's kernel is {kernel.name}, ours {image.kernel_version}: each boots its own")
        return kernel


def version_of(kernel: Path) -> str:
    return kernel.name.removeprefix("vmlinuz-")


def guarded(name: str, part: Callable[[], Any]) -> Any:
    """The part's result, or in words why there is none."""
    say(f"{name} …")
    try:
        return part()
    # Whatever went wrong, the other parts are still worth having.
    except Exception as error:  # noqa: BLE001
        traceback.print_exc()
        return f"{type(error).__name__}: {error}".partition("\n")[0]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure, and write docs/benchmarks.md.")
    parser.add_argument("--count", type=int, default=3, help="measured boots of each system (default 3)")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, of {','.join(PARTS)}")
    arguments = parser.parse_args()
    kept = TOP / "build" / "bench.json"
    results = json.loads(kept.read_text()) if kept.exists() else {}
    bench = Bench(arguments.count)
    image = BootImage.load(Path(build_image("dev").directory))
    chosen = accelerator.choose(find_emulator(), image.kernel, bench.cache, os.environ.get("DOZEN_ACCELERATOR"))
    results["machine"] = page.describe_machine(chosen.name)
    for name in arguments.only.split(","):
        begun = page.now_and_load()
        results[name] = guarded(name, bench.part(name))
        results.setdefault("begun", {})[name] = begun
        kept.write_text(json.dumps(results, indent=1))
    (TOP / "docs" / "benchmarks.md").write_text(page.render(results))
    say("wrote docs/benchmarks.md")


if __name__ == "__main__":
    main()

"""Upstream's conformance tests against a cluster of ours: ``python -m dozen.testing.conformance [--some] [--keep]``.

The test program is built like the components, from the same module. Its workloads come from images that a registry
would give; the three that most tests use come with the nodes (`dozen.testing.preloaded`), so that the bulk of the set
runs with no registry in reach. `SOME` are the tests that decide whether a change lands: one of
each thing that a node does for its pods, a dozen minutes under emulation instead of many hours.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from dozen.compose.components import obtain

SOME = (
    "[sig-api-machinery] Servers with support for Table transformation should return a 406",
    "[sig-api-machinery] Namespaces [Serial] should patch a Namespace",
    "[sig-node] Lease lease API should be available",
    "[sig-node] ConfigMap should be consumable via environment variable",
    "[sig-node] Secrets should be consumable from pods in env vars",
    "[sig-node] Downward API should provide pod name, namespace and IP address as env vars",
    "[sig-storage] ConfigMap should be consumable from pods in volume [NodeConformance]",
    "[sig-storage] EmptyDir volumes should support (root,0644,tmpfs)",
    "[sig-storage] Projected combined should project all components that make up the projection API",
    "[sig-storage] Downward API volume should provide podname only",
    "[sig-auth] ServiceAccounts should mount projected service account token",
    "[sig-apps] Deployment RecreateDeployment should delete old pods and create new ones",
)
ALL = r"\[Conformance\]"


@dataclass(frozen=True, slots=True)
class Result:
    """One test: its name and, when it failed, why."""

    name: str
    failure: str = ""


def focus(names: Sequence[str]) -> str:
    """The expression that chooses exactly the tests that begin so; all of the conformance set without any."""
    return "|".join(re.escape(name) for name in names) if names else ALL


def command(program: Path, kubeconfig: Path, reports: Path, names: Sequence[str]) -> list[str]:
    """The test program's command line. Taints of control planes are no reason to wait."""
    return [
        *(str(program), f"--kubeconfig={kubeconfig}", "--provider=skeleton", f"--report-dir={reports}"),
        *("--ginkgo.no-color", f"--ginkgo.focus={focus(names)}", "--ginkgo.timeout=24h", "--ginkgo.v=false"),
        *("--disable-log-dump", "--allowed-not-ready-nodes=0", "--node-schedulable-timeout=10m"),
        *("--system-pods-startup-timeout=10m", "--dump-logs-on-failure=false"),
        "--non-blocking-taints=node-role.kubernetes.io/control-plane",
    ]


def run(kubeconfig: Path, names: Sequence[str], folder: Path, seconds: float) -> list[Result]:
    """Runs the tests and gives what came of each. The program's own words go to e2e.log in ``folder``."""
    with (folder / "e2e.log").open("wb") as log:
        subprocess.run(
            command(obtain("e2e.test"), kubeconfig, folder, names),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ.get("PATH", ""), "HOME": str(folder)},
            timeout=seconds,
            check=False,
        )
    reports = sorted(folder.glob("junit*.xml"))
    if not reports:
        raise RuntimeError(f"the test program left no report; its last words are in {folder / 'e2e.log'}")
    return read_report(reports[-1].read_text())


def read_report(text: str) -> list[Result]:
    """The tests of a JUnit report that ran; those that were not chosen are left out."""
    found = []
    for case in ElementTree.fromstring(text).iter("testcase"):
        if case.find("skipped") is not None or not case.get("name", "").startswith("[It]"):
            continue
        failure = case.find("failure") if case.find("failure") is not None else case.find("error")
        said = "" if failure is None else failure.get("message") or (failure.text or "").strip() or "it failed"
        found.append(Result(case.get("name", "").removeprefix("[It] "), said.partition("\n")[0]))
    return found


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make conformance ARGS=…", description="Run upstream's conformance tests.")
    parser.add_argument("--some", action="store_true", help=f"only the {len(SOME)} tests of which CI makes sure")
    parser.add_argument("--focus", action="append", default=[], help="only tests that begin so; several times")
    parser.add_argument("--keep", action="store_true", help="leave the cluster running")
    chosen = parser.parse_args(argv)
    names = [*chosen.focus, *(SOME if chosen.some else ())]
    results = in_a_cluster_of_its_own(names, chosen.keep)
    for result in results:
        sys.stdout.write(f"{'failed' if result.failure else '    ok'}  {result.name}\n")
        if result.failure:
            sys.stdout.write(f"        {result.failure}\n")
    failed = sum(1 for result in results if result.failure)
    sys.stdout.write(f"{len(results)} conformance tests ran, {failed} failed\n")
    return 1 if failed or not results else 0


def in_a_cluster_of_its_own(names: Sequence[str], keep: bool) -> list[Result]:
    """Two nodes, since some tests want to move pods from one to another."""
    from dozen.compose.build import build_image
    from dozen.provider.cluster import Clusters
    from dozen.testing.kubecluster import KubeCluster
    from dozen.testing.portal import Portal
    from dozen.testing.preloaded import with_test_images

    folder = Path(tempfile.mkdtemp(prefix="dozen-conformance-"))
    (folder / "image").mkdir()
    image = with_test_images(Path(build_image("dev").directory), folder / "image")
    portal = Portal()
    cluster = KubeCluster(Clusters(), "conformance", image, portal)
    try:
        made = cluster.create(workers=1)
        return run(made.kubeconfig, names, folder, 86400)
    finally:
        sys.stderr.write(f"what the tests said is in {folder}\n")
        if not keep:
            cluster.destroy()
        portal.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Builds the programs that containers of a cluster run: Kubernetes, etcd, CoreDNS and the rest, from their Go modules.

Each folder of ``components/`` is a Go module of ours with little in it: a main that links what upstream has, and go.mod
and go.sum, which pin every module by version and hash. The toolchain comes from the package index, pinned by hash too,
so that a computer needs no Go of its own and two computers get the same bytes. What was built is kept by the hash of
all that goes into it; Go's own caches are kept as well, so a change to one main is linked in seconds.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from dozen.compose.cache import alone_in, cache_dir, hash_sources, stage_key
from dozen.compose.console import Console
from dozen.compose.errors import ToolError
from dozen.compose.launcher import COMPILER
from dozen.compose.packages import project_root
from dozen.compose.toolroot import ToolRoot
from dozen.machinery.kubernetes import versions

FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false")
PLUGINS = "github.com/containernetworking/plugins/plugins"
# What `kubectl version` and /version tell; upstream's own builds say more, which only their builders know.
KUBERNETES_VARIABLES = {
    f"k8s.io/{package}.{name}": value
    for package in ("component-base/version", "client-go/pkg/version")
    for name, value in (
        ("gitVersion", versions.KUBERNETES),
        ("gitMajor", versions.KUBERNETES.lstrip("v").split(".")[0]),
        ("gitMinor", versions.KUBERNETES.split(".")[1]),
        ("gitTreeState", "clean"),
        ("buildDate", "1970-01-01T00:00:00Z"),
    )
}


class Program(NamedTuple):
    """A program: the folder below ``components/``, the Go package in it (``test``: its test program), and the values of
    variables that are set when it is linked. ``licence`` is the upstream project's.
    """

    name: str
    folder: str
    package: str = "."
    variables: Mapping[str, str] = {}
    licence: str = "Apache-2.0"
    test: bool = False


PROGRAMS = (
    Program("kube", "kube", variables=KUBERNETES_VARIABLES),
    Program("etcd", "etcd"),
    Program("coredns", "coredns"),
    Program("flanneld", "flannel"),
    Program("tiny", "tiny"),
    Program("cni/flannel", "cni", "./flannel"),
    *(
        Program(f"cni/{path.rpartition('/')[2]}", "cni", f"{PLUGINS}/{path}")
        for path in (
            *("ipam/host-local", "main/bridge", "main/loopback"),
            *("meta/bandwidth", "meta/firewall", "meta/portmap"),
        )
    ),
)
# Not part of any image: what tests run in a cluster, and what the benchmark makes the other cluster with.
TEST_PROGRAMS = (
    Program("agnhost", "kube", "k8s.io/kubernetes/test/images/agnhost", KUBERNETES_VARIABLES),
    Program("e2e.test", "kube", "k8s.io/kubernetes/test/e2e", KUBERNETES_VARIABLES, test=True),
    Program("kubeadm", "kube", "k8s.io/kubernetes/cmd/kubeadm", KUBERNETES_VARIABLES),
)


def obtain(name: str, console: Console | None = None) -> Path:
    """One program by name, built if it is not there yet. Raises ToolError with the compiler's last words."""
    program = next(each for each in (*PROGRAMS, *TEST_PROGRAMS) if each.name == name)
    return build_programs((program,), console or Console())[name]


def build_programs(programs: Iterable[Program], console: Console) -> dict[str, Path]:
    """Every program by name, built if it is not there yet; one after another, since each keeps all processors busy."""
    found = {program.name: _place(program) for program in programs}
    if all(place.exists() for place in found.values()):
        return found
    go = _toolchain(console)
    # Two builds at a time would do the same work twice and take longer than one after the other.
    with alone_in(cache_dir() / "components"):
        missing = [program for program in programs if not found[program.name].exists()]
        for number, program in enumerate(missing, start=1):
            start = time.monotonic()
            console.say(f"components: building {program.name} ({number} of {len(missing)})")
            _build(program, go, found[program.name])
            size = found[program.name].stat().st_size / 1e6
            console.say(f"components: {program.name} {size:.1f} MB in {time.monotonic() - start:.0f} s")
    return found


def build_pause(tools: ToolRoot) -> Path:
    """The first process of every pod, which is C so that it is small."""
    source = project_root() / "components" / "pause"
    path = cache_dir() / "components" / stage_key("pause", tools.key, hash_sources(source))[:32] / "pause"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".pause-", dir=path.parent) as scratch:
            options = ("-Os", "-static", "-s", "-Wall", "-Wextra", "-Werror", "-Wl,--build-id=none")
            command = (COMPILER, *options, "-o", "/tmp/out/pause", "/tmp/source/pause.c")
            tools.run(command, {source: "/tmp/source", Path(scratch): "/tmp/out"})
            (Path(scratch) / "pause").rename(path)
    return path


def programs_key() -> str:
    """The hash of everything that the programs are built from."""
    return stage_key("components", *(_key(program) for program in PROGRAMS))


def _key(program: Program) -> str:
    root = project_root()
    linked = [f"{name}={value}" for name, value in sorted(program.variables.items())]
    toolchain = (root / "requirements" / "components.txt").read_bytes()
    what = (program.name, program.package, str(program.test), *FLAGS, *linked)
    return stage_key("component", toolchain, hash_sources(root / "components" / program.folder), *what)


def _place(program: Program) -> Path:
    return cache_dir() / "components" / _key(program)[:32] / program.name.rpartition("/")[2]


def _toolchain(console: Console) -> Path:
    """The Go of requirements/components.txt, in an environment of its own."""
    done = subprocess.run(
        [str(project_root() / "setup" / "prepare"), "--venv", "components"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ToolError("the Go toolchain could not be installed", done.stderr[-3000:])
    found = sorted(Path(done.stdout.strip()).glob("lib/python3.*/site-packages/go/bin/go"))
    if not found:
        raise ToolError("the Go toolchain is not where it should be", f"remove {done.stdout.strip()} and try again")
    return found[0]


def _build(program: Program, go: Path, target: Path) -> None:
    folder = project_root() / "components" / program.folder
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    values = [f"-X {name}={value}" for name, value in program.variables.items()]
    link = ["-ldflags", " ".join(["-s", "-w", "-buildid=", *values])]
    verb = ["test", "-c"] if program.test else ["build"]
    # Without priority: a build of minutes must not make the computer unpleasant to work at.
    command = ["nice", str(go), *verb, *FLAGS, *link, "-o", str(draft), program.package]
    done = subprocess.run(
        command, cwd=folder, env=_environment(go), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        draft.unlink(missing_ok=True)
        raise ToolError(f"{program.name} could not be built in {folder}", (done.stderr + done.stdout)[-3000:])
    draft.replace(target)


def _environment(go: Path) -> dict[str, str]:
    """The caller's, for proxies and credentials; but nothing in it may change what is built."""
    kept = {name: value for name, value in os.environ.items() if name not in ("GOFLAGS", "GOWORK", "GOROOT")}
    base = cache_dir() / "go"
    return {
        **kept,
        "CGO_ENABLED": "0",
        "GOOS": "linux",
        "GOARCH": "amd64",
        "GOAMD64": "v1",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOCACHE": str(base / "build"),
        "GOMODCACHE": str(base / "modules"),
        # Modules are kept writable, so that whoever clears the cache can.
        "GOFLAGS": "-modcacherw",
        "PATH": f"{go.parent}:{os.environ.get('PATH', '/usr/bin:/bin')}",
    }

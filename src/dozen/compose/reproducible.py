"""Checks that an image is reproducible: two builds in surroundings that differ in all that should not matter.

Each build has a checkout at a path of its own, its own empty cache (downloads aside), another set of processors, time
zone, umask, locale and hash seed; they run one after the other, so the clock differs too. Then every
artefact must have one hash.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dozen.compose import packages
from dozen.compose.cache import cache_dir
from dozen.compose.console import Console
from dozen.compose.errors import ComposeError
from dozen.compose.filesystems import Profile
from dozen.compose.image import Image, read_image
from dozen.compose.manifest import decode_manifest

COPIED = ("api", "components", "images", "launcher", "recipes", "requirements", "setup", "src")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What one of the builds finds around it."""

    folder: str
    processors: int
    umask: int
    environment: dict[str, str]


FIRST = Surroundings("a", 1, 0o022, {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1"})
SECOND = Surroundings("second/b", 64, 0o077, {"TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "4711"})


def check_reproducible(profile: Profile, console: Console) -> bool:
    """Build twice and compare; says what differs."""
    with tempfile.TemporaryDirectory(prefix="dozen-twice-") as scratch:
        snapshot = Path(scratch) / "snapshot"
        copy_checkout(packages.project_root(), snapshot)
        images = [build_in(snapshot, Path(scratch), around, profile, console) for around in (FIRST, SECOND)]
        different = compare_images(*images)
        for name, (first, second) in different.items():
            console.warn(f"{name} differs: {first} and {second}")
        if different:
            for path in compare_manifests(*images):
                console.warn(f"  in the manifest: {path}")
        if not different:
            console.say(f"reproducible: {len(images[0].artefacts())} artefacts are the same twice")
            for part in images[0].artefacts():
                console.say(f"  {part.sha256}  {part.name}")
    return not different


def compare_images(first: Image, second: Image) -> dict[str, tuple[str, str]]:
    """Artefact → its two hashes, of those that differ."""
    pairs = zip(first.artefacts(), second.artefacts(), strict=True)
    return {one.name: (one.sha256, two.sha256) for one, two in pairs if one.sha256 != two.sha256}


def compare_manifests(first: Image, second: Image) -> list[str]:
    """Paths whose records differ; a manifest in the image differs whenever another file does."""
    one, two = (
        {record.path: record for record in decode_manifest(image.path(image.manifest).read_bytes()).files}
        for image in (first, second)
    )
    return sorted(path for path in one.keys() | two.keys() if one.get(path) != two.get(path))


def copy_checkout(project: Path, target: Path) -> None:
    """What a build reads, without what earlier builds left."""
    for name in COPIED:
        ignored = shutil.ignore_patterns("__pycache__", "api.binpb")
        shutil.copytree(project / name, target / name, ignore=ignored)


def build_in(snapshot: Path, scratch: Path, around: Surroundings, profile: Profile, console: Console) -> Image:
    """One build, in a process of its own. Raises ComposeError with its last words."""
    base = scratch / around.folder
    project = base / "checkout"
    copy_checkout(snapshot, project)
    cache = base / "cache"
    cache.mkdir()
    (cache / "go").mkdir()
    # What was downloaded is pinned by hash; what was compiled is done again.
    for name in ("downloads", "replaced", "go/modules"):
        (cache_dir() / name).mkdir(parents=True, exist_ok=True)
        (cache / name).symlink_to(cache_dir() / name)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("LC_", "PYTHON", "DOZEN_CACHE"))},
        **around.environment,
        "DOZEN_CACHE": str(cache),
        "PYTHONPATH": str(project / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    allowed = sorted(os.sched_getaffinity(0))[: around.processors]
    argv = [sys.executable, "-m", "dozen.compose", "--quiet", "build", "--profile", profile, "--out", str(base / "out")]
    console.say(f"building on {len(allowed)} processor(s) in {project}")
    done = subprocess.run(
        ["taskset", "--cpu-list", ",".join(map(str, allowed)), *argv],
        cwd=project,
        env=environment,
        umask=around.umask,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ComposeError(f"the build in {around.folder} failed: {done.stderr.strip()[-2000:]}")
    return read_image(base / "out")

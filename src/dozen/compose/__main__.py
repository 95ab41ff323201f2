"""``python -m dozen.compose``: build an image, refresh the lock, check that builds are reproducible."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dozen.compose import packages
from dozen.compose.console import Console
from dozen.compose.errors import ComposeError


def main(argv: list[str]) -> int:
    """Exit status 0, or 1 with one message that says what to do."""
    arguments = parse(argv)
    console = Console(quiet=arguments.quiet)
    try:
        return int(COMMANDS[arguments.command](arguments, console))
    except ComposeError as error:
        console.warn(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        console.warn("stopped; what was downloaded is kept, run again to go on")
        return 130


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dozen.compose", description="Compose Dozen Linux images.")
    parser.add_argument("--quiet", action="store_true", help="print warnings and errors only")
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="compose an image")
    build.add_argument("--profile", choices=("dev", "release"), default="dev")
    build.add_argument("--out", type=Path, help="output directory (default: build/PROFILE)")
    commands.add_parser("lock", help="pin the newest signed packages in recipes/lock.json")
    commands.add_parser("toolroot", help="prepare the build tools; prints their directory")
    component = commands.add_parser("component", help="build one of the programs of container images; prints its path")
    component.add_argument("name")
    check = commands.add_parser("check-reproducible", help="build twice in different surroundings and compare")
    check.add_argument("--profile", choices=("dev", "release"), default="release")
    return parser.parse_args(argv)


def run_build(arguments: argparse.Namespace, console: Console) -> int:
    from dozen.compose.build import build_image

    image = build_image(arguments.profile, arguments.out, console)
    sys.stdout.write(f"{image.directory}\n")
    return 0


def run_lock(arguments: argparse.Namespace, console: Console) -> int:
    from dozen.compose.lock import make_lock, open_archive, read_lock, write_lock
    from dozen.compose.recipes import load_recipes
    from dozen.compose.toolroot import PACKAGES

    path = packages.lock_path()
    recipes = load_recipes(packages.project_root() / "recipes")
    containers = load_recipes(packages.project_root() / "images")
    index, release = open_archive(console)
    new = make_lock(index, release, recipes.packages(), recipes.follow(), PACKAGES, containers.packages())
    old = read_lock(path) if path.exists() else None
    before = {pin.name: pin.version for pin in (*old.image, *old.toolroot, *old.containers)} if old else {}
    after = {pin.name: pin.version for pin in (*new.image, *new.toolroot, *new.containers)}
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            console.say(f"{name}: {before.get(name, 'new')} -> {after.get(name, 'removed')}")
    write_lock(path, new)
    console.say(
        f"{path}: {len(new.image)} packages of the image, {len(new.toolroot)} of the toolroot, "
        f"{len(new.containers)} more of container images"
    )
    return 0


def run_toolroot(arguments: argparse.Namespace, console: Console) -> int:
    from dozen.compose.toolroot import ensure

    sys.stdout.write(f"{ensure(console=console).path}\n")
    return 0


def run_component(arguments: argparse.Namespace, console: Console) -> int:
    from dozen.compose.components import obtain

    sys.stdout.write(f"{obtain(arguments.name, console)}\n")
    return 0


def run_check(arguments: argparse.Namespace, console: Console) -> int:
    from dozen.compose.reproducible import check_reproducible

    return 0 if check_reproducible(arguments.profile, console) else 1


COMMANDS = {
    "build": run_build,
    "lock": run_lock,
    "toolroot": run_toolroot,
    "component": run_component,
    "check-reproducible": run_check,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

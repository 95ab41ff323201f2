"""Takes symbols for debuggers out of compiled Python packages; Debian's packages come without them already.

Some wheels are mostly such symbols. The result depends on the file and the toolroot's ``strip`` only, and is kept.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from dozen.compose.cache import cache_dir, stage_key
from dozen.compose.objects import get_object, object_path, put_object
from dozen.compose.toolroot import ToolRoot

INSIDE = "/tmp/strip"


def strip_all(objects: Iterable[str], toolroot: ToolRoot) -> Mapping[str, str]:
    """Object of an ELF file → object of the same without symbols that loading does not need."""
    made: dict[str, str] = {}
    missing: dict[str, Path] = {}
    for name in objects:
        result = cache_dir() / "stripped" / stage_key("strip", "1", toolroot.key, name)
        if result.exists() and object_path(stripped := result.read_text()).exists():
            made[name] = stripped
        else:
            missing[name] = result
    if missing:
        with tempfile.TemporaryDirectory(prefix="dozen-strip-") as scratch:
            for name in missing:
                (Path(scratch) / name).write_bytes(get_object(name))
            argv = ["strip", "--strip-unneeded", "--enable-deterministic-archives"]
            toolroot.run([*argv, *(f"{INSIDE}/{name}" for name in missing)], {Path(scratch): INSIDE})
            for name, result in missing.items():
                made[name] = put_object((Path(scratch) / name).read_bytes())
                result.parent.mkdir(parents=True, exist_ok=True)
                result.write_text(made[name])
    return made

"""Compiles ``api/**/*.proto`` into the one descriptor file that nodes and clients make their messages from.

No Python is generated: `dozen.machinery.messages` makes classes from the descriptors. The file is a product of the
build, ignored by git; it holds no comments and no times, and its files are sorted, so equal sources give equal bytes.

``python -m dozen.compose.protos`` writes it; `ensure_descriptors` does so only when a source is newer.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[3]
SOURCES = ROOT / "api"
OUTPUT = ROOT / "src" / "dozen" / "machinery" / "api.binpb"


class ProtoError(Exception):
    """The sources do not compile; the compiler has printed where."""


def ensure_descriptors(sources: Path = SOURCES, output: Path = OUTPUT) -> Path:
    """Make the descriptor file unless it is newer than every source; gives its path.

    An installed package has the file and no sources; then there is nothing to do.
    """
    if not sources.is_dir():
        if output.exists():
            return output
        raise ProtoError(f"neither {sources} nor {output} exists")
    if not _is_current(sources, output):
        write_descriptors(sources, output)
    return output


def write_descriptors(sources: Path = SOURCES, output: Path = OUTPUT) -> None:
    """Compile every source; the file appears whole or not at all, also when several processes do this at once."""
    from grpc_tools import protoc

    well_known = Path(protoc.__file__).parent / "_proto"
    names = sorted(path.relative_to(sources).as_posix() for path in sources.rglob("*.proto"))
    handle, draft = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
    os.close(handle)
    try:
        arguments = [f"-I{sources}", f"-I{well_known}", "--include_imports", f"--descriptor_set_out={draft}", *names]
        if protoc.main(["protoc", *arguments]) != 0:
            raise ProtoError(f"the definitions in {sources} do not compile; see the lines above")
        Path(draft).chmod(0o644)
        Path(draft).replace(output)
    finally:
        Path(draft).unlink(missing_ok=True)


def _is_current(sources: Path, output: Path) -> bool:
    """Folders count as well: removing a source changes only its folder."""
    if not output.exists():
        return False
    made = output.stat().st_mtime_ns
    inputs = [sources, *(path for path in sources.rglob("*") if path.is_dir() or path.suffix == ".proto")]
    return all(path.stat().st_mtime_ns <= made for path in inputs)


if __name__ == "__main__":
    write_descriptors()
    sys.stdout.write(f"{OUTPUT}\n")
